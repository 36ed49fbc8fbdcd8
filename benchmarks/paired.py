"""Two checkouts side by side, in turns: `python -m benchmarks.paired PATH_OF_THE_OTHER [--rounds 12]`.

Each has a system of its own, which idles while the other one has its turn. A round is a burst of each kind on both,
who begins alternates. Shown are medians, and the median of the rounds' ratios, which a slow minute does not change.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.system import CHECKOUT

# What is done in a round: verb, clients, requests.
BURSTS: Final = {
    "close, 16 clients": ("close", 16, 600),
    "close, 64 clients": ("close", 64, 600),
    "close, one client": ("close", 1, 80),
    "open, 16 clients": ("create", 16, 400),
    "open, one client": ("create", 1, 80),
}
WARMING_UP: Final = (("close", 16, 300), ("create", 16, 200))
Figures = dict[str, float]


class Side:
    """The system of one checkout, in a process that uses its code."""

    def __init__(self, checkout: Path) -> None:
        script = CHECKOUT / "benchmarks" / "side.py"
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def ask(self, *wanted: str | int) -> Figures:
        assert self._process.stdin is not None
        print(json.dumps(wanted), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Figures:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a side has ended")
        figures: Figures = json.loads(line)
        return figures

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@contextmanager
def _both(other: Path) -> Iterator[tuple[Side, Side]]:
    sides: list[Side] = []
    try:
        for checkout in (other, CHECKOUT):
            sides.append(Side(checkout))
        yield sides[0], sides[1]
    finally:
        for side in sides:
            side.end()


def compare(other: Path, rounds: int, names: list[str]) -> dict[str, list[tuple[Figures, Figures]]]:
    """For each burst what both sides did in each round: the other one, then this one."""
    done: dict[str, list[tuple[Figures, Figures]]] = {name: [] for name in names}
    closes = sum(count for verb, _, count in (BURSTS[name] for name in names) if verb == "close") * rounds + 300
    with _both(other) as sides:
        for side in sides:
            side.ask("prepare", closes)
            for burst in WARMING_UP:
                side.ask(*burst)
        for number in range(rounds):
            for name in names:
                first = number % 2
                figures: dict[int, Figures] = {}
                for which in (first, 1 - first):
                    figures[which] = sides[which].ask(*BURSTS[name])
                done[name].append((figures[0], figures[1]))
    return done


def show(done: dict[str, list[tuple[Figures, Figures]]]) -> None:
    table = Table("burst", "measure", "other", "this", "this / other")
    for name, pairs in done.items():
        one = name.endswith("one client")
        for measure in sorted(pairs[0][0]):
            if measure in (("per_s", "p99_ms") if one else ("p50_ms",)):
                continue
            before, after = ([pair[side][measure] for pair in pairs] for side in (0, 1))
            ratios = [new / old for old, new in zip(before, after, strict=True) if old]
            ratio = f"{median(ratios):.3f}" if ratios else ""
            table.add_row(name, measure, f"{median(before):.5g}", f"{median(after):.5g}", ratio)
    Console(width=100).print(table)


def main() -> None:
    wanted: Any = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("other", type=Path)
    wanted.add_argument("--rounds", type=int, default=12)
    wanted.add_argument("--burst", action="append", choices=sorted(BURSTS))
    asked = wanted.parse_args()
    show(compare(asked.other.resolve(), asked.rounds, asked.burst or list(BURSTS)))


if __name__ == "__main__":
    main()
