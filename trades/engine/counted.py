"""What an engine has done, as plain numbers that its one thread writes: a tick pays for some additions, and no lock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)  # commands of a tick, with those that prices fired
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Histogram:
    """How many were at or below each bound, and above the last; and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: each with all that are below."""
        names = [*(str(bound) for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))


class Counted(Collector):
    """Of one partition's engine, since this process began."""

    def __init__(self, partition: int) -> None:
        self._partition = str(partition)
        self.commands: dict[str, int] = {}
        self.sizes = Histogram(SIZES)
        self.seconds = Histogram(SECONDS)

    def tick(self, kinds: Sequence[str], seconds: float) -> None:
        """A tick was committed: these kinds of commands, in so long."""
        commands = self.commands
        for kind in kinds:
            commands[kind] = commands.get(kind, 0) + 1
        self.sizes.add(len(kinds))
        self.seconds.add(seconds)

    def collect(self) -> Iterator[Metric]:
        label = ["partition"]
        commands = CounterMetricFamily(
            "brokerage_engine_commands", "Commands applied, by kind: `close` are closes.", labels=[*label, "kind"]
        )
        for kind, count in list(self.commands.items()):
            commands.add_metric([self._partition, kind], count)
        yield commands
        for name, what, histogram in (
            ("brokerage_engine_tick_commands", "Commands of a tick.", self.sizes),
            ("brokerage_engine_tick_seconds", "How long a tick took, its commit included.", self.seconds),
        ):
            family = HistogramMetricFamily(name, what, labels=label)
            family.add_metric([self._partition], histogram.buckets(), histogram.sum)
            yield family
