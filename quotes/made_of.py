"""What a price was made of: its sources, what each of them said, and when. As it stands beside the price in Redis.

`coinbase,42350.1,42350.9,1764493736123;kraken,...`: name, bid, ask, milliseconds of Redis' clock. It decides nothing;
it is for whoever asks later which price that was. Who reads it judges the form first: other programs may write there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from accounts.timestamps import from_milliseconds

MOST_SOURCES: Final = 16
_NAME: Final = r"[a-z][a-z0-9_]{0,27}"  # with one more, sixteen might not fit in a deal's 2000 characters
_ONE: Final = _NAME + r",\d{1,20}(?:\.\d{1,18})?,\d{1,20}(?:\.\d{1,18})?,\d{1,14}"
_FORM: Final = re.compile(rf"{_ONE}(?:;{_ONE}){{0,{MOST_SOURCES - 1}}}", re.ASCII)
FORM_IN_SQL: Final = "^" + _FORM.pattern.replace("(?:", "(") + "$"
"""The same for PostgreSQL's `~`."""
NAME: Final = re.compile(_NAME, re.ASCII)


class SaidBy(Protocol):
    @property
    def source(self) -> str: ...
    @property
    def bid(self) -> Decimal: ...
    @property
    def ask(self) -> Decimal: ...
    @property
    def at(self) -> int: ...


class SourcePrice(NamedTuple):
    """What a source said, as of `at`."""

    source: str
    bid: Decimal
    ask: Decimal
    at: datetime


def written(quotes: Iterable[SaidBy]) -> str:
    """As text; '' where a source has no name (tests)."""
    parts = [(one.source, f"{one.bid:f}", f"{one.ask:f}", str(one.at)) for one in quotes]
    return ";".join(map(",".join, parts)) if all(part[0] for part in parts) else ""


def is_written(text: str) -> bool:
    """Whether one of our feeds could have written this."""
    return _FORM.fullmatch(text) is not None


def read(text: str) -> tuple[SourcePrice, ...]:
    """What was written; of a text that isn't, nothing."""
    if not is_written(text):
        return ()
    parts = [one.split(",") for one in text.split(";")]
    return tuple(
        SourcePrice(name, Decimal(bid), Decimal(ask), from_milliseconds(int(at))) for name, bid, ask, at in parts
    )
