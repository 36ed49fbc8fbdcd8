"""What the instrument and the market have to say about an order's terms. Each refusal names both."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from accounts.money import EXACT, parse_decimal, printed
from quotes.models import Instrument
from quotes.prices import Price
from trades.margin.errors import AgainstTheRules
from trades.margin.rows import OrderRow
from trades.margin.session import Session
from trades.margin.terms import PRICES
from trades.margin.triggers import waits_for


def check_size(order: OrderRow, instrument: Instrument) -> None:
    """Quantity and leverage within what the instrument allows. Raises AgainstTheRules."""
    if not instrument.min_quantity <= order.quantity <= instrument.max_quantity:
        raise AgainstTheRules(
            f"Quantity must be between {printed(instrument.min_quantity)} and {printed(instrument.max_quantity)}"
            f" for {instrument.symbol}"
        )
    check_decimals(order.quantity, instrument)
    if order.leverage > instrument.leverage_cap:
        raise AgainstTheRules(f"Leverage must be at most {instrument.leverage_cap} for {instrument.symbol}")


def check_decimals(quantity: Decimal, instrument: Instrument) -> None:
    if _decimals(quantity) > instrument.quantity_decimals:
        raise AgainstTheRules(f"Quantity may have {instrument.quantity_decimals} decimals for {instrument.symbol}")


def check_ticks(prices: Mapping[str, Decimal | None], instrument: Instrument) -> None:
    """No price and no distance finer than the instrument's own: the market never gets there exactly.

    Takes what was asked for by its name in the request. Raises AgainstTheRules.
    """
    for name, called in PRICES.items():
        price = prices.get(name)
        if price is not None and _decimals(price) > instrument.price_decimals:
            raise AgainstTheRules(
                f"{called} has more decimals than {instrument.symbol}, which has {instrument.price_decimals}"
            )


def _decimals(value: Decimal) -> int:
    """How many decimals a number needs; below 0 for whole tens."""
    return -int(value.normalize(EXACT).as_tuple().exponent)


def check_part(quantity: Decimal, order: OrderRow, instrument: Instrument) -> None:
    """A part and what it leaves are at least the least quantity; all that is left may always be closed."""
    check_decimals(quantity, instrument)
    if quantity > order.quantity:
        raise AgainstTheRules("Quantity is more than what is open")
    if quantity == order.quantity:
        return
    least, symbol = printed(instrument.min_quantity), instrument.symbol
    if quantity < instrument.min_quantity:
        raise AgainstTheRules(f"Quantity must be at least {least} for {symbol}, or all of {printed(order.quantity)}")
    if order.quantity - quantity < instrument.min_quantity:
        raise AgainstTheRules(
            f"Quantity must leave at least {least} open for {symbol}, or be all of {printed(order.quantity)}"
        )


def is_past_take_profit(order: OrderRow, price: Decimal) -> bool:
    """Whether a position opened at this price could only lose by its take profit, or break even."""
    if order.take_profit is None:
        return False
    return order.take_profit <= price if order.side == "buy" else order.take_profit >= price


def check_limits(order: OrderRow, instrument: Instrument, price: Decimal, name: str) -> None:
    """Take profit, stop loss and trailing stop on their side of a price, which a refusal calls by `name`."""
    shown, is_buy = printed(price, instrument.price_decimals), order.side == "buy"
    if is_past_take_profit(order, price):
        raise AgainstTheRules(
            f"Take profit must be {'above' if is_buy else 'below'} the {name} {shown} for a {order.side} order"
        )
    if order.stop_loss is not None and (order.stop_loss >= price if is_buy else order.stop_loss <= price):
        raise AgainstTheRules(
            f"Stop loss must be {'below' if is_buy else 'above'} the {name} {shown} for a {order.side} order"
        )
    if order.trailing_stop is not None and order.trailing_stop >= price:
        raise AgainstTheRules(f"Trailing stop must be a distance smaller than the {name} {shown}")


def check_waits(order: OrderRow, instrument: Instrument, market: Price) -> None:
    """A pending order's price must still be to come: else it would be a market order. Raises AgainstTheRules."""
    entry = market.entry(order.side)
    trigger = waits_for(order)
    if trigger.fires(order, entry):
        below = trigger.fires_below(order.side)
        raise AgainstTheRules(
            f"The price of a {order.side} {order.type} order must be {'below' if below else 'above'} the current price"
            f" {printed(entry, instrument.price_decimals)}"
        )


def set_trail(session: Session, order: OrderRow, market: Price) -> None:
    """From here on the trailing stop follows the exit price."""
    order.trail_peak, order.trail_at = market.exit(order.side), session.at
    session.trails_set.add(order.instrument_id)


def number(given: object) -> Decimal:
    value = parse_decimal(given)
    if value is None:
        raise AgainstTheRules(f"{given!r} is not a number")
    return value


def optional(given: object) -> Decimal | None:
    return None if given is None else number(given)
