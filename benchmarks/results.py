"""One table on the screen, and the same rows with date, commit and machine in `results/<name>.json`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """`ratio` is value / yardstick, both taken in this run on this machine; None where there is nothing to compare."""

    measure: str
    value: float
    unit: str
    yardstick: str = ""
    ratio: float | None = None


def rounded(value: float) -> float:
    """Three significant digits are more than a noisy machine can promise."""
    return float(f"{value:.3g}") if abs(value) < 1000 else round(value)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many of a hundred don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def show(name: str, rows: list[Row]) -> list[Row]:
    """Print the rows as a table; gives them as they are shown."""
    rows = [
        Row(r.measure, rounded(r.value), r.unit, r.yardstick, None if r.ratio is None else rounded(r.ratio))
        for r in rows
    ]
    table = Table("measure", "value", "unit", "ratio", "to", title=name)
    for row in rows:
        table.add_row(
            row.measure, f"{row.value:,}", row.unit, "" if row.ratio is None else f"{row.ratio:g}", row.yardstick
        )
    Console(width=100).print(table)
    return rows


def report(name: str, rows: list[Row]) -> None:
    """Print the rows and keep them."""
    rows = show(name, rows)
    RESULTS.mkdir(exist_ok=True)
    kept = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "rows": [asdict(row) for row in rows],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n")


def _commit() -> str:
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def _machine() -> dict[str, object]:
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
