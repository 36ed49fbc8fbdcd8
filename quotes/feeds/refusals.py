"""Which symbols' prices are being refused, told once when it begins and once when it ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from accounts.money import printed
from quotes.feeds.venue import VenueTick
from quotes.judging import Fault

log = logging.getLogger("feed")

WHY: Final = {
    Fault.UNSOUND: "is no price",
    Fault.SPREAD: "is wider than the instrument's greatest spread; it counts once it is back below",
    Fault.JUMP: "is too far from the price before; it counts once it is back or accepted (manage.py accept_price)",
    Fault.FUTURE: "comes from the future: the venue's clock is ahead",
}


class Refusals:
    """A run of refusals lasts from a symbol's first refused price to the next one that counts.

    A late price is no news: it was overtaken by a newer one.
    """

    def __init__(self) -> None:
        self._running: set[str] = set()

    def saw(self, ticks: Sequence[VenueTick], faults: Mapping[str, Fault]) -> None:
        """What became of these ticks; `faults` names those that were refused."""
        for symbol, bid, ask, _ in ticks:
            fault = faults.get(symbol)
            if fault is None and symbol in self._running:
                self._running.remove(symbol)
                log.warning("%s: its price counts again", symbol)
            elif fault in WHY and symbol not in self._running:
                self._running.add(symbol)
                log.warning("%s: %s / %s %s", symbol, printed(bid), printed(ask), WHY[fault])
