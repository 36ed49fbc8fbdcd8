"""The figures of a margin account. Pure functions over base units of the account currency.

They are the market's usual ones, as OANDA publishes them with a worked example
(help.oanda.com, "Margin-related calculations"), which is a test here.
"""

from __future__ import annotations

from decimal import Decimal

from accounts.money import NEAREST, exact, rounded


def equity(balance: int, unrealized: int) -> int:
    """The net asset value: what would be there if everything were closed now."""
    return balance + unrealized


def free_margin(equity: int, margin: int) -> int:
    """equity - margin; below zero while open positions have lost more than the free cash."""
    return equity - margin


def free_cash(balance: int, margin: int) -> int:
    """balance - margin, at least zero: losses may have consumed a part of what open orders reserved."""
    return max(0, balance - margin)


@exact
def margin_level(equity: int, margin: int) -> Decimal | None:
    """equity / margin x 100, in percent with two decimals; None while no margin is in use."""
    if margin == 0:
        return None
    return (Decimal(equity) / Decimal(margin) * 100).quantize(Decimal("0.01"), rounding=NEAREST)


@exact
def reaches(equity: int, margin: int, percent: int) -> bool:
    """Whether the margin level, equity / margin x 100, is at or below a mark; never while no margin is in use."""
    return margin > 0 and equity * 100 <= margin * percent


@exact
def closeout_percent(equity: int, margin: int, stop_out_percent: int) -> Decimal:
    """How near the stop-out is: margin x stop-out level / equity, 0 without positions, 100 where they are closed.

    With a stop-out level of 50 % it is OANDA's margin closeout percentage, 0.5 x margin used / net asset value. It says
    100.00 exactly where the margin level has fallen to the stop-out level, and never before.
    """
    if margin == 0:
        return Decimal("0.00")
    if equity <= 0 or margin * stop_out_percent >= equity * 100:
        return Decimal("100.00")
    percent = Decimal(margin) * stop_out_percent / Decimal(equity)
    return min(rounded(percent, 2, NEAREST), Decimal("99.99"))
