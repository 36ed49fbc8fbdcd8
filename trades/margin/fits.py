"""What the fields and terms of a command look like: exactly what the gateway makes of a request, and nothing else.

Anybody who can write to Redis can write into the stream. So an engine believes nothing of what it reads there before it
has looked at each value's type, form and size: a list where a name belongs would break the tick of everybody else.
Every function here says whether something is fit, and raises TypeError or AttributeError for a value of another type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from accounts.idempotency_key import is_key
from accounts.request_id import is_request_id
from trades.margin.terms import (
    COLUMNS,
    ENTRY_PRICES,
    OF_THE_MARKET,
    ORDER_CODE,
    TERMS,
    is_name_or_none,
    is_positive,
    is_positive_or_none,
)
from trades.margin.triggers import WAITS_FOR

LONGEST_TTL_MILLISECONDS: Final = 600_000
LATEST_MILLISECONDS: Final = 32_503_680_000_000  # the year 3000

_are_three_ids = re.compile(r"[0-9a-f]{96}", re.ASCII).fullmatch
_is_id = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch
_is_sha256 = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
# Nothing but a list of replies: the engine pushes there whatever it answers.
_is_reply_list = re.compile(r"replies:[0-9A-Za-z_-]{1,64}", re.ASCII).fullmatch
_is_order_code = ORDER_CODE.fullmatch
_WAITED_FOR: Final = frozenset(term.name for term in ENTRY_PRICES)


def fields(said: Mapping[str, Any]) -> bool:
    """Whether every field but `kind`, `terms` and `actor` is what it always is, and nothing else is there.

    An actor, a request's name and a dealer's action stand there only where they say something; a web process of before
    sessions sends neither their generation nor their id.
    """
    id_, customer, user, ttl, until = said["id"], said["customer"], said["user"], said["ttl"], said["until"]
    key, sha, reply = said["key"], said["sha"], said["reply"]
    return bool(
        len(said) == 10 + ("actor" in said) + ("request" in said) + ("action" in said) + 2 * ("gen" in said)
        and ("action" not in said or _is_id(said["action"]) is not None)
        and ("gen" not in said or _session(said["gen"], said["sid"]))
        and ("request" not in said or is_request_id(said["request"]))
        and len(id_) == len(customer) == len(user) == 32
        and _are_three_ids(id_ + customer + user)
        and type(ttl) is int
        and 0 <= ttl <= LONGEST_TTL_MILLISECONDS
        and type(until) is int
        and 0 <= until <= LATEST_MILLISECONDS
        and (reply == "" or _is_reply_list(reply))
        and type(key) is str
        and (key == "" or is_key(key))
        and ((sha == "" and key == "") or _is_sha256(sha))
    )


def _session(generation: Any, session_id: Any) -> bool:
    return type(generation) is int and 0 <= generation < 2**31 and _is_id(session_id) is not None


def nothing(_: Mapping[str, Any]) -> bool:
    """What the engine asks of itself never stands in the stream."""
    return False


def create(terms: Mapping[str, Any]) -> bool:
    """An order to be opened at the market, or to wait for a price."""
    if len(terms) != len(TERMS) or not all(term.fits(terms[term.name]) for term in TERMS):
        return False
    waits_for = WAITS_FOR[terms["orderType"]]
    return all((terms[term.name] is not None) == (term.column in waits_for) for term in ENTRY_PRICES) and (
        not waits_for or all(terms[term.name] is None for term in OF_THE_MARKET)
    )


def close(terms: Mapping[str, Any]) -> bool:
    """An order to be closed: all of it, or a quantity."""
    quantity = terms["quantity"]
    return bool(
        len(terms) == 2 and _is_order_code(terms["orderId"]) and is_positive_or_none(quantity),
    )


def change(terms: Mapping[str, Any]) -> bool:
    """An order's stops to be set or taken away, or the price of one that waits."""
    wanted = terms["set"]
    return bool(
        len(terms) == 2
        and _is_order_code(terms["orderId"])
        and type(wanted) is dict
        and wanted
        and wanted.keys() <= COLUMNS.keys()
        and all(name not in _WAITED_FOR if value is None else is_positive(value) for name, value in wanted.items())
    )


def cancel(terms: Mapping[str, Any]) -> bool:
    """An order that waits, to be cancelled."""
    return len(terms) == 1 and _is_order_code(terms["orderId"]) is not None


def close_all(terms: Mapping[str, Any]) -> bool:
    """Every order to be closed, or those of one symbol."""
    symbol = terms["symbol"]
    return len(terms) == 1 and is_name_or_none(symbol)
