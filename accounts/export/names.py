"""Names and texts that other programs read as what they are, whatever stands in them.

An asset's code, a key or a reference may hold anything; none of it may become a line, an account or an amount.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, Protocol
from urllib.parse import quote
from uuid import UUID

from accounts.ids import FIRM

_COMMODITY: Final = re.compile(r"[A-Z](?:[A-Z0-9._-]*[A-Z0-9])?")
_WORDS_OF_BEANCOUNT: Final = frozenset({"TRUE", "FALSE", "NULL"})
_PART: Final = re.compile(r"[A-Z0-9][A-Za-z0-9-]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPES: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

# Where an account of each type belongs in a bookkeeper's tree. Customers' money is what the firm owes them.
_HOUSE: Final = {
    "external": "Assets:External",
    "between": "Assets:Between",
    "advances": "Assets:Advances",
    "differences": "Assets:Differences",
    "liquidity": "Liabilities:Liquidity",
    "capital": "Equity:Capital",
    "profit": "Income:Profit",
    "fees": "Income:Fees",
    "swap": "Income:Swap",
    "protection": "Expenses:Protection",
    "adjustments": "Expenses:Adjustments",
}


class Named(Protocol):
    """Whatever says which account it is."""

    @property
    def customer_id(self) -> UUID | None: ...
    @property
    def bucket(self) -> int | None: ...
    @property
    def asset(self) -> str: ...
    @property
    def type(self) -> str: ...


def account(named: Named) -> str:
    """An account's name, e.g. `Liabilities:Customers:C-01a1…:Available:USD` or `Assets:External:B07:USD`."""
    if named.customer_id is not None:
        return f"Liabilities:Customers:C-{named.customer_id.hex}:{named.type.capitalize()}:{_part(named.asset)}"
    bucket = "Firm" if named.bucket == FIRM else f"B{named.bucket or 0:02}"
    tree = _HOUSE.get(named.type) or f"Equity:{_part(named.type.capitalize())}"
    return f"{tree}:{bucket}:{_part(named.asset)}"


def commodity(code: str) -> str:
    """An asset's code as beancount takes it, else one made of it with a digest: no two codes become one."""
    if _COMMODITY.fullmatch(code) and code not in _WORDS_OF_BEANCOUNT:
        return code
    return _made(code)


def _part(code: str) -> str:
    """The same as a part of an account's name."""
    return code if _PART.fullmatch(code) else _made(code)


def _made(code: str) -> str:
    plain = re.sub(r"[^A-Z0-9]", "", code.upper())[:10]
    return f"X{plain}-{sha256(code.encode()).hexdigest()[:12].upper()}"


def quoted(text: str) -> str:
    """A text between quotation marks, on one line, as beancount reads it back."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(lambda found: _ESCAPES.get(found[0], f"\\\\u{ord(found[0]):04x}"), escaped) + '"'


def encoded(text: str) -> str:
    """A text for a journal that has no quotation marks: whatever could end it or mean something is percent-encoded."""
    return quote(text, safe="/:@+=#_-. ").replace("  ", " %20")
