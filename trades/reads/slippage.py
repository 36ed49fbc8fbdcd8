"""What an execution cost beside another price. Exact; positive is worse for the customer, negative better.

slippage = price - compared of what was bought, compared - price of what was sold; in basis points (hundredths of a
percent) of what it is compared with, rounded to four decimals, half to even.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from accounts.money import NEAREST, exact, rounded

BPS_DECIMALS: Final = 4


def side_of(order_side: str, kind: str) -> str:
    """What a deal did: a bought order is closed by selling."""
    return order_side if kind == "open" else {"buy": "sell", "sell": "buy"}[order_side]


@exact
def slippage(side: str, price: Decimal, compared: Decimal) -> Decimal:
    """Counter asset per whole base unit."""
    return price - compared if side == "buy" else compared - price


@exact
def in_bps(slipped: Decimal, compared: Decimal) -> Decimal | None:
    """None beside nothing: a source's text is believed by its form alone, and may say zero."""
    if not compared:
        return None
    return rounded(slipped * 10_000 / compared, BPS_DECIMALS, NEAREST)


@exact
def middle(bid: Decimal, ask: Decimal) -> Decimal:
    return (bid + ask) / 2
