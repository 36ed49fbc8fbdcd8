"""What is bought and what is sold, held against each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Sides:
    """Margins or exposures of open positions in one symbol, by side, base units."""

    bought: int = 0
    sold: int = 0

    def add(self, side: str, amount: int) -> None:
        if side == "buy":
            self.bought += amount
        else:
            self.sold += amount

    def of(self, side: str) -> int:
        return self.bought if side == "buy" else self.sold

    @property
    def gross(self) -> int:
        return self.bought + self.sold

    @property
    def net(self) -> int:
        return abs(self.bought - self.sold)

    @property
    def larger(self) -> int:
        return max(self.bought, self.sold)

    @property
    def smaller(self) -> int:
        return min(self.bought, self.sold)
