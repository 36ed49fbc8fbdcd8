"""Which symbols' prices are being refused, told once when it begins and once when it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, Protocol

from accounts.money import printed
from quotes.judging import Fault

log = logging.getLogger("feed")

WHY: Final = {
    Fault.UNSOUND: "is no price",
    Fault.SPREAD: "is wider than the instrument's greatest spread; it counts once it is back below",
    Fault.JUMP: "is too far from the price before; it counts once it is back or accepted (manage.py accept_price)",
    Fault.FUTURE: "comes from the future: the venue's clock is ahead",
    Fault.OUTLIER: "is too far from what the other sources say",
    Fault.FEW: "is not agreed to by as many sources as the instrument wants",
}


class Said(Protocol):
    @property
    def symbol(self) -> str: ...
    @property
    def bid(self) -> Decimal: ...
    @property
    def ask(self) -> Decimal: ...


class Refusals:
    """A run of refusals lasts from a symbol's first refused price to the next one that counts.

    A late price is no news: it was overtaken by a newer one.
    """

    def __init__(self) -> None:
        self._running: set[str] = set()

    def saw(self, ticks: Iterable[Said], faults: Mapping[str, Fault]) -> None:
        """What became of these ticks; `faults` names those that were refused."""
        for tick in ticks:
            self.saw_one(tick.symbol, tick.bid, tick.ask, faults.get(tick.symbol))

    def saw_one(self, name: str, bid: Decimal, ask: Decimal, fault: Fault | None) -> None:
        """What became of one, under the name by which the log knows it."""
        if fault is None and name in self._running:
            self._running.remove(name)
            log.warning("%s: its price counts again", name)
        elif fault in WHY and name not in self._running:
            self._running.add(name)
            log.warning("%s: %s / %s %s", name, printed(bid), printed(ask), WHY[fault])
