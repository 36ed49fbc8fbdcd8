"""How much leverage a customer gets: by the instrument, by their class, and by their exposure in the symbol.

Exposure is what the open positions in a symbol come to, long and short added up: margin x leverage, each as it opened,
so in the account currency. It is judged with the new order in it, as an order is placed and as it opens. What is open
keeps its leverage and its margin, whatever becomes of caps, class and exposure.
"""

from __future__ import annotations

from accounts.money import printed_amount
from accounts.states import ClientClass
from quotes.leverage import Tier, tiers_of
from quotes.models import Instrument
from trades.margin import pricing
from trades.margin.account import AccountState
from trades.margin.errors import LeverageTooHigh
from trades.margin.rows import OrderRow
from trades.margin.session import Session


def check_caps(order: OrderRow, instrument: Instrument, client_class: str) -> None:
    """The instrument's cap, and that of the customer's class. Raises LeverageTooHigh."""
    if order.leverage > instrument.leverage_cap:
        raise LeverageTooHigh(f"Leverage must be at most {instrument.leverage_cap} for {instrument.symbol}")
    cap = instrument.retail_leverage_cap
    if cap is not None and client_class == ClientClass.RETAIL and order.leverage > cap:
        raise LeverageTooHigh(f"Leverage must be at most {cap} for {instrument.symbol} for retail customers")


def check_exposure(
    session: Session, account: AccountState, order: OrderRow, instrument: Instrument, margin: int
) -> None:
    """The cap of the highest tier that the customer's exposure reaches with this order, which would reserve `margin`.

    Raises LeverageTooHigh.
    """
    tiers = tiers_of(instrument.leverage_tiers)
    if not tiers:
        return
    decimals = session.market.decimals
    exposure = session.exposure(account, instrument.symbol) + margin * order.leverage
    reached = [tier for tier in tiers if exposure >= tier.exposure * 10**decimals]
    if reached and order.leverage > reached[-1].cap:
        raise LeverageTooHigh(_sentence(reached[-1], instrument, exposure, decimals))


def check_pending(session: Session, account: AccountState, order: OrderRow, instrument: Instrument) -> None:
    """The same of an order that waits, as if it opened at its price now. Its margin is known where there is a rate."""
    conversion = session.market.latest_conversion(order)
    if conversion is None or order.price is None or not instrument.leverage_tiers:
        return
    decimals = session.market.decimals
    margin = pricing.margin_required(order.quantity, order.price, order.leverage, decimals, conversion.loss)
    check_exposure(session, account, order, instrument, margin)


def _sentence(tier: Tier, instrument: Instrument, exposure: int, decimals: int) -> str:
    return (
        f"Leverage must be at most {tier.cap} for {instrument.symbol} from an exposure of ${tier.exposure}.00;"
        f" with this order it is ${printed_amount(exposure, decimals)}"
    )
