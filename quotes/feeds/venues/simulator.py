"""The simulated market (`quotes/feeds/simulator.py`)."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from quotes.feeds.simulator import Simulator, SimulatorOptions
from quotes.feeds.sources import Asked
from quotes.feeds.venue import Venue


def made(asked: Asked) -> Venue:
    """Each of several walks by a seed of its own. Raises ImproperlyConfigured where the options make no sense."""
    try:
        options = SimulatorOptions.read(settings.FEED_SIMULATOR)
    except ValueError as error:
        raise ImproperlyConfigured(f"FEED_SIMULATOR: {error}.") from error
    _, _, number = asked.name.rpartition("_")
    seed = asked.seed + int(number) if number.isdecimal() else asked.seed
    return Simulator(asked.simulated, seed, asked.tick_seconds, options, name=asked.name)
