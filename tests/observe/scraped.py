"""What a collector tells, by name and labels."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Labels = frozenset[tuple[str, str]]


class Scraped:
    """`scraped["name", "value of its label", …]` is the value of one sample."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.samples = {
            (sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples
        }

    def __getitem__(self, key: str | tuple[str, ...]) -> float:
        return self.samples[key if isinstance(key, tuple) else (key,)]

    def get(self, *key: str) -> float:
        """0 where there is none."""
        return self.samples.get(key, 0.0)


def scraped(collector: Collector) -> Scraped:
    return Scraped(collector.collect())
