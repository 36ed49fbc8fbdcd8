"""What the fields and terms of a command look like: exactly what the gateway makes of a request, and nothing else.

Anybody who can write to Redis can write into the stream. So an engine believes nothing of what it reads there before it
has looked at each value's type, form and size: a list where a name belongs would break the tick of everybody else.
Every function here says whether something is fit, and raises TypeError or AttributeError for a value of another type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from accounts.money import MAX_DECIMALS, MAX_WHOLE_DIGITS
from trades.margin.triggers import ENTRIES
from trades.states import OrderType

ORDER_CODE: Final = re.compile(r"ord_[0-9a-f]{16}", re.ASCII)
LONGEST_NAME: Final = 64
MOST_LEVERAGE: Final = 2**15 - 1  # what the column holds; an instrument's own cap is the engine's to know
LONGEST_KEY: Final = 128
LONGEST_TTL_MILLISECONDS: Final = 600_000
LATEST_MILLISECONDS: Final = 32_503_680_000_000  # the year 3000

_CHANGEABLE: Final = frozenset({"takeProfit", "stopLoss", "trailingStop", "price"})

_are_three_ids = re.compile(r"[0-9a-f]{96}", re.ASCII).fullmatch
_is_sha256 = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
# Nothing but a list of replies: the engine pushes there whatever it answers.
_is_reply_list = re.compile(r"replies:[0-9A-Za-z_-]{1,64}", re.ASCII).fullmatch
_is_decimal = re.compile(
    rf"(?:0|[1-9][0-9]{{0,{MAX_WHOLE_DIGITS - 1}}})(?:\.[0-9]{{0,{MAX_DECIMALS - 1}}}[1-9])?", re.ASCII
).fullmatch  # as `money.printed` writes it: no sign, no exponent, no needless zero
_is_order_code = ORDER_CODE.fullmatch


def fields_fit(said: Mapping[str, Any]) -> bool:
    """Whether every field but `kind` and `terms` is what it always is, and nothing else is there."""
    id_, customer, user, ttl, until = said["id"], said["customer"], said["user"], said["ttl"], said["until"]
    key, sha, reply = said["key"], said["sha"], said["reply"]
    return bool(
        len(said) == 10
        and len(id_) == len(customer) == len(user) == 32
        and _are_three_ids(id_ + customer + user)
        and type(ttl) is int
        and 0 <= ttl <= LONGEST_TTL_MILLISECONDS
        and type(until) is int
        and 0 <= until <= LATEST_MILLISECONDS
        and (reply == "" or _is_reply_list(reply))
        and type(key) is str
        and len(key) <= LONGEST_KEY
        and key.isprintable()
        and ((sha == "" and key == "") or _is_sha256(sha))
    )


def create_fits(terms: Mapping[str, Any]) -> bool:
    """An order to be opened at the market, or to wait for a price."""
    leverage, name, slippage = terms["leverage"], terms["clientOrderId"], terms["slippage"]
    price, expected = terms["price"], terms["expectedPrice"]
    if terms["orderType"] == OrderType.MARKET:
        can_be = price is None
    else:
        can_be = terms["orderType"] in ENTRIES and price is not None and slippage is None and expected is None
    return (
        can_be
        and len(terms) == 12
        and _is_name(terms["symbol"])
        and terms["side"] in ("buy", "sell")
        and _is_positive(terms["quantity"])
        and type(leverage) is int
        and 0 < leverage <= MOST_LEVERAGE
        and (name is None or _is_name(name))
        and (slippage is None or _is_decimal(slippage) is not None)
        and (price is None or _is_positive(price))
        and (expected is None or _is_positive(expected))
        and ((stop := terms["takeProfit"]) is None or _is_positive(stop))
        and ((stop := terms["stopLoss"]) is None or _is_positive(stop))
        and ((stop := terms["trailingStop"]) is None or _is_positive(stop))
    )


def close_fits(terms: Mapping[str, Any]) -> bool:
    """An order to be closed: all of it, or a quantity."""
    quantity = terms["quantity"]
    return bool(
        len(terms) == 2 and _is_order_code(terms["orderId"]) and (quantity is None or _is_positive(quantity)),
    )


def change_fits(terms: Mapping[str, Any]) -> bool:
    """An order's stops to be set or taken away, or the price of one that waits."""
    wanted = terms["set"]
    return bool(
        len(terms) == 2
        and _is_order_code(terms["orderId"])
        and type(wanted) is dict
        and wanted
        and wanted.keys() <= _CHANGEABLE
        and all(name != "price" if value is None else _is_positive(value) for name, value in wanted.items())
    )


def cancel_fits(terms: Mapping[str, Any]) -> bool:
    """An order that waits, to be cancelled."""
    return len(terms) == 1 and _is_order_code(terms["orderId"]) is not None


def close_all_fits(terms: Mapping[str, Any]) -> bool:
    """Every order to be closed, or those of one symbol."""
    symbol = terms["symbol"]
    return len(terms) == 1 and (symbol is None or _is_name(symbol))


def _is_name(text: Any) -> bool:
    return type(text) is str and 1 <= len(text) <= LONGEST_NAME and text.isprintable()


def _is_positive(text: Any) -> bool:
    return _is_decimal(text) is not None and text != "0"
