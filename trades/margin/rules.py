"""What the instrument and the market have to say about an order's terms. Each refusal names both."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from accounts.money import EXACT, UP, exact, parse_decimal, printed, rounded
from quotes.models import Instrument
from quotes.prices import Price
from trades.margin.errors import AgainstTheRules
from trades.margin.rows import OrderRow
from trades.margin.session import Session
from trades.margin.terms import PRICES
from trades.margin.triggers import waits_for


def check_size(order: OrderRow, instrument: Instrument) -> None:
    """The quantity within what the instrument allows. Raises AgainstTheRules."""
    if not instrument.min_quantity <= order.quantity <= instrument.max_quantity:
        raise AgainstTheRules(
            f"Quantity must be between {printed(instrument.min_quantity)} and {printed(instrument.max_quantity)}"
            f" for {instrument.symbol}"
        )
    check_decimals(order.quantity, instrument)


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


def is_past_stop_loss(order: OrderRow, price: Decimal) -> bool:
    """Whether the stop loss would close the order at this price."""
    if order.stop_loss is None:
        return False
    return order.stop_loss >= price if order.side == "buy" else order.stop_loss <= price


def check_limits(order: OrderRow, instrument: Instrument, price: Decimal, name: str) -> None:
    """Take profit, stop loss and trailing stop on their side of a price, which a refusal calls by `name`."""
    shown, is_buy = printed(price, instrument.price_decimals), order.side == "buy"
    if is_past_take_profit(order, price):
        raise AgainstTheRules(
            f"Take profit must be {'above' if is_buy else 'below'} the {name} {shown} for a {order.side} order"
        )
    if is_past_stop_loss(order, price):
        raise AgainstTheRules(
            f"Stop loss must be {'below' if is_buy else 'above'} the {name} {shown} for a {order.side} order"
        )
    if order.trailing_stop is not None and order.trailing_stop >= price:
        raise AgainstTheRules(f"Trailing stop must be a distance smaller than the {name} {shown}")


@exact
def least_distance(price: Decimal, instrument: Instrument) -> Decimal:
    """How far from this price what is set must be: the instrument's part of it, in whole steps of its prices, rounded
    up; 0 where the instrument asks for none."""
    return rounded(price * instrument.least_distance_bps / 10_000, instrument.price_decimals, UP)


@exact
def check_distances(order: OrderRow, instrument: Instrument, closed_at: Decimal) -> None:
    """Stops and take profit are not closer than the instrument asks to the price at which the order would be closed
    as soon as it is open, and that price is not beyond the stop loss already. Raises AgainstTheRules, naming it."""
    least = least_distance(closed_at, instrument)
    shown, away = (printed(price, instrument.price_decimals) for price in (closed_at, least))
    if is_past_stop_loss(order, closed_at):
        side = "below" if order.side == "buy" else "above"
        raise AgainstTheRules(
            f"Stop loss must be {side} {shown}, where this {order.side} order would be closed as soon as it is open"
        )
    for called, price in (("Take profit", order.take_profit), ("Stop loss", order.stop_loss)):
        if price is not None and abs(price - closed_at) < least:
            raise AgainstTheRules(f"{called} must be at least {away} away from {shown} for {instrument.symbol}")
    if order.trailing_stop is not None and order.trailing_stop < least:
        raise AgainstTheRules(f"Trailing stop must be at least {away} at {shown} for {instrument.symbol}")


@exact
def closes_at(price: Decimal, side: str, market: Price) -> Decimal:
    """Where an order that opens at a price would be closed, were the spread then what it is now."""
    return price - (market.entry(side) - market.exit(side))


@exact
def check_price_distance(order: OrderRow, instrument: Instrument, market: Price) -> None:
    """A pending order's price is not closer to the market than the instrument asks. Raises AgainstTheRules."""
    entry = market.entry(order.side)
    least = least_distance(entry, instrument)
    if order.price is not None and abs(order.price - entry) < least:
        shown, away = (printed(price, instrument.price_decimals) for price in (entry, least))
        raise AgainstTheRules(
            f"The price of a {order.side} {order.type} order must be at least {away} away from the current price"
            f" {shown} for {instrument.symbol}"
        )


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
