"""What can be asked for about an order, in one table: gateway, rules, presentation and recount are made of it.

Terms travel in commands and are told in events: numbers as exact decimal texts, None for what is absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NamedTuple

from accounts.money import MAX_DECIMALS, MAX_WHOLE_DIGITS
from trades.margin.triggers import WAITS_FOR

ORDER_CODE: Final = re.compile(r"ord_[0-9a-f]{16}", re.ASCII)
LONGEST_NAME: Final = 64
MOST_LEVERAGE: Final = 2**15 - 1  # what the column holds; an instrument's own cap is the engine's to know

_is_decimal = re.compile(
    rf"(?:0|[1-9][0-9]{{0,{MAX_WHOLE_DIGITS - 1}}})(?:\.[0-9]{{0,{MAX_DECIMALS - 1}}}[1-9])?", re.ASCII
).fullmatch  # as `money.printed` writes it: no sign, no exponent, no needless zero


def _is_name(text: Any) -> bool:
    return type(text) is str and 1 <= len(text) <= LONGEST_NAME and text.isprintable()


def is_positive(text: Any) -> bool:
    return _is_decimal(text) is not None and text != "0"


def _is_side(text: Any) -> bool:
    return text in ("buy", "sell")


def _is_type(text: Any) -> bool:
    return text in WAITS_FOR


def _is_leverage(number: Any) -> bool:
    return type(number) is int and 0 < number <= MOST_LEVERAGE


def is_name_or_none(text: Any) -> bool:
    return text is None or _is_name(text)


def is_positive_or_none(text: Any) -> bool:
    return text is None or is_positive(text)


def _is_decimal_or_none(text: Any) -> bool:
    return text is None or _is_decimal(text) is not None


class Use(Enum):
    """What a term is for."""

    ORDER = "says which order it is, for good"
    ENTRY = "a price that a pending order waits for; can be moved while it waits"
    STOP = "closes an open order; can be set and taken away"
    MARKET = "what a market order expects; not kept"


class Term(NamedTuple):
    """`name` is that of the API, the command and the event; `column` the order's, where it is kept.

    `called` begins a refusal. `asked` is the name in a request where that is another one, and `written` what people
    write for it beside, which is refused rather than passed over.
    """

    name: str
    use: Use
    fits: Callable[[Any], bool]
    called: str
    column: str = ""
    written: str = ""
    asked: str = ""
    is_price: bool = False  # or a distance in price: no finer than the instrument's own prices


_FOR_TRAILING: Final = "ts, tsl, trail, trailing, trailingStopLoss, trailingDistance, trailingStopDistance"
TERMS: Final = (
    Term("symbol", Use.ORDER, _is_name, "Symbol", "instrument_id",
         "symbols, ticker, instrument, pair, market, asset, assets, coin, product"),
    Term("side", Use.ORDER, _is_side, "Type", "side", "side, direction", asked="type"),
    Term("quantity", Use.ORDER, is_positive, "Quantity", "quantity", "qty, size, amount, volume, lots, units"),
    Term("leverage", Use.ORDER, _is_leverage, "Leverage", "leverage", "lev"),
    Term("takeProfit", Use.STOP, is_positive_or_none, "Take profit", "take_profit", "tp, tpPrice, takeProfitPrice",
         is_price=True),
    Term("stopLoss", Use.STOP, is_positive_or_none, "Stop loss", "stop_loss", "sl, slPrice, stopLossPrice, stop",
         is_price=True),
    Term("slippage", Use.MARKET, _is_decimal_or_none, "Slippage",
         written="maxSlippage, slippagePercent, slippageTolerance, deviation"),
    Term("expectedPrice", Use.MARKET, is_positive_or_none, "Expected price", is_price=True),
    Term("clientOrderId", Use.ORDER, is_name_or_none, "clientOrderId", "client_order_id",
         "clOrdId, clientId, newClientOrderId"),
    Term("orderType", Use.ORDER, _is_type, "Order type", "type"),
    Term("price", Use.ENTRY, is_positive_or_none, "Price", "price", "limitPrice, stopPrice, triggerPrice, entryPrice",
         is_price=True),
    Term("trailingStop", Use.STOP, is_positive_or_none, "Trailing stop", "trailing_stop", _FOR_TRAILING,
         is_price=True),
)  # fmt: skip
"""In the order in which a create's terms travel."""

ENTRY_PRICES: Final = tuple(term for term in TERMS if term.use is Use.ENTRY)
STOPS: Final = tuple(term for term in TERMS if term.use is Use.STOP)
CHANGEABLE: Final = (*STOPS, *ENTRY_PRICES)
OF_THE_MARKET: Final = tuple(term for term in TERMS if term.use is Use.MARKET)
PRICES: Final = {term.name: term.called for term in TERMS if term.is_price}

COLUMNS: Final = {term.name: term.column for term in CHANGEABLE}
