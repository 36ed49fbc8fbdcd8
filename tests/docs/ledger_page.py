"""docs/ledger.md as data: its stories, the transfers that they are said to make, and the balances afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ledger.md"

_SECTION = re.compile(r"^### (?P<title>.+?)\n(?P<body>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_STORY = re.compile(r"^```story\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ROW = re.compile(
    r"^\| `(?P<kind>\w+)` \| (?P<debit>\w+ `\w+`) \| (?P<credit>\w+ `\w+`) \| (?P<amount>[\d,.]+ \w+)"
    r" \| `(?P<key>[^`]+)` \|$",
    re.MULTILINE,
)
_THEN = re.compile(r"^Then (?:the )?(?P<who>\w+) has: (?P<what>.+)$", re.MULTILINE)
_HELD = re.compile(r"`(?P<type>\w+)` (?P<amount>−?[\d,.]+ \w+)")


@dataclass(frozen=True)
class Told:
    """One transfer as the page tells it; owners are names, `house` and `firm` too; the key may hold names in braces."""

    kind: str
    debit: str
    credit: str
    amount: str
    key: str


@dataclass(frozen=True)
class Example:
    title: str
    story: list[str]
    transfers: list[Told]
    balances: list[tuple[str, str, str]] = field(default_factory=list)  # who, account type, amount


def number(text: str) -> Decimal:
    """A number as people write it: 41,095.75, −0.1."""
    return Decimal(text.replace(",", "").replace("−", "-"))


def examples() -> Iterator[Example]:
    for section in _SECTION.finditer(PAGE.read_text()):
        body = section["body"]
        story = _STORY.search(body)
        if story is None:
            raise AssertionError(f"{section['title']!r} tells no story")
        table = [line for line in body.splitlines() if line.startswith("|")][2:]
        rows = [Told(**row.groupdict()) for row in _ROW.finditer(body)]
        if not rows or len(rows) != len(table):
            raise AssertionError(f"a row of {section['title']!r} can't be read")
        balances = [
            (then["who"], held["type"], held["amount"])
            for then in _THEN.finditer(body)
            for held in _HELD.finditer(then["what"])
        ]
        yield Example(section["title"], story[1].splitlines(), rows, balances)
