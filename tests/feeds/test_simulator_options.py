"""What the simulated market may do beside walking, and that without it the walk is what it always was."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import islice, pairwise

import pytest

from quotes.feeds.simulator import BURST_TICKS, Simulator, SimulatorOptions, SimulatorTerms
from quotes.feeds.venue import VenueTick

TERMS = {
    symbol: SimulatorTerms(Decimal(start), Decimal(20), Decimal(0), 8)
    for symbol, start in (("BTC-USD", 42000), ("ETH-USD", 2300))
}


def batches(options: str, count: int, seed: int = 7) -> list[Sequence[VenueTick]]:
    simulator = Simulator(lambda: TERMS, seed, 0.25, SimulatorOptions.read(options))
    return list(islice(simulator.batches(lambda seconds: False), count))


def steps(options: str, symbol: str, count: int = 2000) -> list[float]:
    mids = [float(tick.bid) for batch in batches(options, count) for tick in batch if tick.symbol == symbol]
    return [after / before - 1 for before, after in pairwise(mids)]


def correlation(options: str) -> float:
    one, other = steps(options, "BTC-USD"), steps(options, "ETH-USD")
    return sum(a * b for a, b in zip(one, other, strict=True)) / sum(a * a for a in one)


def test_correlated_symbols_move_together_and_others_don_t():
    assert correlation("correlation=1") > 0.99
    assert 0.3 < correlation("correlation=0.5") < 0.8
    assert abs(correlation("")) < 0.15


def test_gaps_are_larger_steps_than_any_other():
    assert max(map(abs, steps("", "BTC-USD"))) < 0.003
    assert max(map(abs, steps("gap_percent=1", "BTC-USD"))) > 0.01


def test_an_outage_is_silence_for_its_seconds_once_in_its_time():
    """A tick each 0.25 s, 3 s on, 1 s off."""
    simulator = Simulator(lambda: TERMS, 7, 0.25, SimulatorOptions.read("outage_every=4,outage_seconds=1"))
    turns: list[bool] = []

    def pause(seconds: float) -> bool:
        turns.append(simulator.health.is_connected)
        return len(turns) == 32

    assert len([batch for batch in simulator.batches(pause) if batch]) == 24
    assert turns == ([True] * 12 + [False] * 4) * 2


def test_a_burst_is_many_ticks_without_a_pause():
    simulator = Simulator(lambda: TERMS, 7, 0.25, SimulatorOptions.read("burst_percent=100"))
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    assert len(list(simulator.batches(pause))) == BURST_TICKS
    assert pauses == [0.25]


def test_the_same_seed_does_the_same_again_with_every_option():
    options = "correlation=0.6,burst_percent=5,gap_percent=2"

    def walk() -> list[list[tuple]]:
        return [[tick[:3] for tick in batch] for batch in batches(options, 200)]

    assert walk() == walk()


@pytest.mark.parametrize(
    "wrong",
    [
        "correlation",
        "correlation=",
        "correlation=2",
        "correlation=-1",
        "gap_percent=101",
        "burst_percent=NaN",
        "luck=1",
        "outage_seconds=1",
        "outage_every=1,outage_seconds=2",
        "gap_percent=1,gap_percent=2",
    ],
)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        SimulatorOptions.read(wrong)
