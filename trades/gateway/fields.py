"""The names in the body of an order's request: taken, meant, not offered, or of no concern to us.

No order is opened, changed or closed without something that was asked for. So a name is refused that is another
spelling of one that exists, that stands for what isn't offered, or that belongs to another call and would have narrowed
or protected this one. Any other unknown name is ignored.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trades.margin.errors import NotOffered, UnknownField
from trades.margin.terms import CHANGEABLE, OF_THE_MARKET, TERMS

FIELDS: Final = (*(term.asked or term.name for term in TERMS), "orderId")
NOT_OFFERED: Final = (
    *("guaranteedStopLoss", "reduceOnly", "closePosition", "positionId", "timeInForce", "expiresAt", "goodTillDate"),
    *("postOnly", "hedge", "oco"),
)
SHORT: Final = {
    **{term.asked or term.name: term.written for term in TERMS if term.written},
    "orderId": "id, ids, orderIds, orders",
    "guaranteedStopLoss": "gsl, gslo, guaranteedStop",
    "timeInForce": "tif",
    "expiresAt": "expires, expiry, expiration",
    "goodTillDate": "gtd",
}
"""What people write for a field besides its name."""

_LONGEST: Final = 64
_CHANGEABLE: Final = frozenset(term.name for term in CHANGEABLE)
_OF_THE_MARKET: Final = frozenset(term.name for term in OF_THE_MARKET)


@dataclass(frozen=True, slots=True)
class Fields:
    """The names that one call takes, and those of other calls that it must not pass over."""

    taken: frozenset[str]
    refused: frozenset[str] = frozenset()


CREATE: Final = Fields(frozenset(FIELDS) - {"orderId"})
CHANGE: Final = Fields(
    _CHANGEABLE,
    frozenset({"quantity", "leverage"}) | _OF_THE_MARKET,
)
CLOSE: Final = Fields(
    frozenset({"orderId", "quantity"}),
    frozenset({"orderType"}) | _CHANGEABLE | _OF_THE_MARKET,
)
CLOSE_ALL: Final = Fields(frozenset({"symbol"}), frozenset(FIELDS) - {"symbol"})  # each would mean fewer than all


def check_names(body: Mapping[str, Any], fields: Fields) -> None:
    """Raises NotOffered or UnknownField for the first name that asks for something that wouldn't happen."""
    if body.keys() <= fields.taken:
        return
    for name, value in body.items():
        if name not in fields.taken and len(name) <= _LONGEST:
            _check_name(name, value, fields)


def _check_name(name: str, value: object, fields: Fields) -> None:
    spelled = _spelled(name)
    meant = _SPELLED.get(spelled) or _SHORT.get(spelled)
    if meant is None:
        return
    if meant in NOT_OFFERED:
        if _asks(meant, value):
            raise NotOffered(f"{name} is not offered")
    elif name == meant:
        if name in fields.refused and value not in (None, ""):
            raise NotOffered(f"{name} is not offered here")
    elif spelled in _SPELLED or meant in fields.taken | fields.refused:
        raise UnknownField(name, meant)


def _asks(name: str, value: object) -> bool:
    """Whether a value asks for what isn't offered. false asks for nothing, except that not to hedge is to net."""
    if value is None or value == "" or (value is False and name != "hedge"):
        return False
    return not (name == "timeInForce" and isinstance(value, str) and value.upper() == "GTC")


def _spelled(name: str) -> str:
    """A name without what its spellings differ in: `stop_loss`, `Stop-Loss` and `stopLoss` are `stoploss`."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name))).casefold()


_SPELLED: Final = {_spelled(name): name for name in (*FIELDS, *NOT_OFFERED)}
_SHORT: Final = {_spelled(short): name for name, written in SHORT.items() for short in written.split(",")}
