"""The recorded day, which tests and the demo play (`recorded_day.md`), and between what its good prices are."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final

DAY: Final = Path(__file__).with_name("recorded_day.csv.gz")
SYMBOL: Final = "ETH-USD"
LOWEST, HIGHEST = Decimal(2205), Decimal(2295)
"""Two percent around where the simulator starts; what a source says wrongly is 30 % and ten times as much."""
