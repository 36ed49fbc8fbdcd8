"""Quotes are issued here, an offer written down with the price it was made at; refused prices are accepted, and prices
held."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import redis
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError
from django.db.models import Max

from accounts import clock, conflicts
from accounts.errors import Refusal, Unavailable, UnknownAsset
from accounts.identity import SYSTEM, Actor
from accounts.models import Asset
from accounts.money import printed
from accounts.selectors import refuse_unverified
from accounts.timestamps import in_milliseconds
from quotes import candles, references, symbols
from quotes import prices as market
from quotes.errors import HoldTooWide, RefusedPriceTooWide, StalePrice, SymbolNotTraded, market_rests
from quotes.hours import is_after_gap
from quotes.judging import PriceLimits, is_too_wide
from quotes.models import Instrument, PriceHold, Quote
from quotes.prices import Price, Prices
from quotes.quoting import FeeTerms, PairDecimals, amounts, moving_delivering, moving_receiving

ACCEPT_MILLISECONDS: Final = 2000  # less than this process waits for Redis' answer
MOVING_LIFE: Final = timedelta(seconds=30)  # of a quote to move money; one to trade has its instrument's
NO_FEE: Final = FeeTerms(Decimal(0))
LONGEST_REASON: Final = 200  # characters of why a price is held
MOST_KNOWN: Final = 10**12  # a number beyond it in Redis is nobody's: it must not use up what a column holds


def quote_trading(
    *,
    customer_id: UUID,
    symbol: str,
    side: str,
    receive: int | None,
    deliver: int | None,
    fees: FeeTerms | None,
    prices: Prices,
    at: datetime,
    external_id: str = "",
) -> Quote:
    """Offer a customer to buy or sell; exactly one amount (base units, > 0) is given and kept exactly.

    Raises UnknownSymbol, CustomerNotVerified, SymbolNotTraded, StalePrice, AmountTooSmall, AmountOutOfRange.
    """
    return issue(
        symbols.instrument(symbol),
        customer_id=customer_id,
        side=side,
        receive=receive,
        deliver=deliver,
        fees=fees,
        prices=prices,
        at=at,
        external_id=external_id,
    )


@conflicts.atomic
def issue(
    instrument: Instrument,
    *,
    customer_id: UUID,
    side: str,
    receive: int | None = None,
    deliver: int | None = None,
    fees: FeeTerms | None,
    prices: Prices,
    at: datetime,
    reference_trade_id: UUID | None = None,
    external_id: str = "",
) -> Quote:
    """Write down an offer at the current price, to a verified customer. Without `fees` the instrument's own apply.

    `external_id` is the partner's own name of it, at most 64 characters.
    With a trade that it takes back it is made for a symbol that is switched off, too: no new risk, and the way out
    stays open.
    Nor is it made at a price that was said before the market opened or was resumed, as nothing executes at one.
    The times are cut to milliseconds, because that is what the customer sees: a quote expires at the
    moment its answer says. Raises CustomerNotVerified, SymbolNotTraded, MarketClosed, MarketHalted, MarketCloseOnly,
    StalePrice, AmountTooSmall, AmountOutOfRange.
    """
    refuse_unverified(customer_id)
    if not instrument.is_active and reference_trade_id is None:
        raise SymbolNotTraded
    state = symbols.hours_of(instrument.symbol).state_at(at)
    if not (state.opens if reference_trade_id is None else state.closes):
        raise market_rests(instrument.symbol, state)
    latest = prices.require(instrument.symbol, instrument.price_age_limit_seconds)
    if not is_after_gap(latest.at, state, at, prices.now):
        raise StalePrice
    price = latest.entry(side)
    pair = PairDecimals(instrument.base_asset.decimals, instrument.counter_asset.decimals)
    terms = fees or FeeTerms(Decimal(instrument.fee_bps))
    offered = amounts(side, price, pair, terms, receive=receive, deliver=deliver)
    issued_at = in_milliseconds(at)
    return Quote.objects.create(
        customer_id=customer_id,
        product_type=Quote.Product.TRADING if reference_trade_id is None else Quote.Product.TRADING_EXIT,
        instrument=instrument,
        side=side,
        price=price,
        receive_amount=offered.receive,
        deliver_amount=offered.deliver,
        fee=offered.fee,
        fee_bps=terms.bps,
        fee_fixed=terms.fixed,
        reference_trade_id=reference_trade_id,
        external_id=external_id or None,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=instrument.quote_life_seconds),
    )


@conflicts.atomic
def quote_funding(
    *,
    customer_id: UUID,
    asset: str,
    side: str,
    receive: int | None,
    deliver: int | None,
    fees: FeeTerms | None,
    at: datetime,
    external_id: str = "",
    product: str = Quote.Product.FUNDING,
) -> Quote:
    """Offer a verified customer to bring money in (deposit) or to take it out (withdrawal).

    With the product BOOK_TRANSFER: to deliver money to another customer; its side is always deposit.

    Exactly one amount (base units, > 0) is given and kept exactly. Without `fees` it costs nothing. A quote promises no
    money: whether there is enough is judged when it is used.
    Raises UnknownAsset, CustomerNotVerified, AmountTooSmall, AmountOutOfRange.
    """
    refuse_unverified(customer_id)
    if not Asset.objects.filter(pk=asset).exists():
        raise UnknownAsset
    terms = fees or NO_FEE
    if receive is not None:
        offered = moving_receiving(receive, terms)
    elif deliver is not None:
        offered = moving_delivering(deliver, terms)
    else:
        raise ValueError("one of receive and deliver must be given")
    issued_at = in_milliseconds(at)
    return Quote.objects.create(
        customer_id=customer_id,
        product_type=product,
        asset_id=asset,
        side=side,
        receive_amount=offered.receive,
        deliver_amount=offered.deliver,
        fee=offered.fee,
        fee_bps=terms.bps,
        fee_fixed=terms.fixed,
        external_id=external_id or None,
        issued_at=issued_at,
        expires_at=issued_at + MOVING_LIFE,
    )


def accept_price(instrument: Instrument, *, seen: Price, by: UUID) -> Price:
    """Accept the feed's price that was refused as a jump, in the name of a member of the staff. Gives it.

    `seen` is the refused price that they were shown. The action stands in the instrument's history, and is written
    there first: what can't be written down doesn't happen. What was refused then is written there, too. Redis itself
    refuses it ACCEPT_MILLISECONDS after the action began, however long a call was under way. Once it counts it is in
    its minute's candle as well, by which readers judge it.
    A closed market's price is none, so none of it is accepted.
    Raises MarketClosed, NoRefusedPrice, RefusedPriceMoved, RefusedPriceTooWide, AcceptedTooLate, Unavailable.
    """
    state = symbols.hours_of(instrument.symbol).state_at(clock.firm_now())
    if not state.has_prices:
        raise market_rests(instrument.symbol, state)
    limits = limits_of(instrument)
    if is_too_wide(seen.bid, seen.ask, limits.spread):
        raise RefusedPriceTooWide
    try:
        until = market.clock() + ACCEPT_MILLISECONDS
    except redis.RedisError as error:
        raise Unavailable("Redis can't be reached: nothing was accepted.") from error
    wanted = f"the refused price {printed(seen.bid)} / {printed(seen.ask)}"
    _noted(instrument, f"Accepted {wanted}.", by)
    try:
        accepted = market.accept(instrument.symbol, seen=seen, limits=limits, until=until)
    except Refusal as refusal:
        _noted(instrument, f"Not accepted after all: {wanted}. {refusal.text}", by)
        raise
    except redis.RedisError as error:
        raise Unavailable("Redis can't be reached; look whether the price is still refused.") from error
    _recorded(instrument, accepted)
    return accepted


def _recorded(instrument: Instrument, accepted: Price) -> None:
    """In its minute's candle; not while another one is held. What can't be written now, the feed writes soon."""
    with suppress(DatabaseError):
        last = PriceHold.objects.filter(instrument=instrument).order_by("-number").first()
        if last is None or not last.is_held:
            candles.note(accepted)


def limits_of(instrument: Instrument) -> PriceLimits:
    """By which an instrument's prices are judged."""
    return PriceLimits(instrument.jump_limit_percent, instrument.max_spread_percent)


def _noted(instrument: Instrument, sentence: str, by: UUID) -> None:
    LogEntry.objects.create(
        user_id=by,
        content_type=ContentType.objects.get_for_model(Instrument),
        object_id=instrument.symbol,
        object_repr=instrument.symbol,
        action_flag=CHANGE,
        change_message=sentence,
    )


# --- holds -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordedHold:
    """A hold or a release as it is written down, and whether Redis has it already; if not, a feed brings it there."""

    hold: PriceHold
    is_in_redis: bool


def hold_price(
    instrument: Instrument,
    bid: Decimal,
    ask: Decimal,
    *,
    by: Actor = SYSTEM,
    reason: str = "",
) -> RecordedHold:
    """Hold an instrument at a price (0 < bid <= ask), from now on and until it is released.

    The row comes first: Redis only copies it, at once and then with each price that a feed publishes. In a transaction
    that is undone, Redis has a number for a while that nobody else knows, and the feed takes it away again. Raises
    HoldTooWide.
    """
    if is_too_wide(bid, ask, instrument.max_spread_percent):
        raise HoldTooWide
    return _hold_or_release(instrument, bid, ask, by, reason)


def release_price(instrument: Instrument, *, by: Actor = SYSTEM, reason: str = "") -> RecordedHold:
    """Let the feed's own price through again."""
    return _hold_or_release(instrument, None, None, by, reason)


def may_be_held(instrument: Instrument) -> bool:
    """Whether a hold stands, or Redis may keep one: it can't be asked, or knows another number than PostgreSQL."""
    last = PriceHold.objects.filter(instrument=instrument).order_by("-number").first()
    number = last.number if last else None
    try:
        known = market.hold_numbers().get(instrument.symbol, number)
    except redis.RedisError:
        return True
    return known != number or (last is not None and last.is_held)


def _hold_or_release(
    instrument: Instrument,
    bid: Decimal | None,
    ask: Decimal | None,
    by: Actor,
    reason: str,
) -> RecordedHold:
    try:
        known = market.hold_numbers().get(instrument.symbol, 0)
    except redis.RedisError:
        known = 0
    number_known = known if known < MOST_KNOWN else 0
    hold = _write_hold(instrument, bid, ask, by, reason, number_known)
    references.forget()
    try:
        if bid is None or ask is None:
            market.release(instrument.symbol, hold.number)
        else:
            market.hold(instrument.symbol, bid, ask, hold.number)
    except redis.RedisError:
        return RecordedHold(hold, is_in_redis=False)
    return RecordedHold(hold, is_in_redis=True)


@conflicts.atomic
def _write_hold(
    instrument: Instrument,
    bid: Decimal | None,
    ask: Decimal | None,
    by: Actor,
    reason: str,
    known: int,
) -> PriceHold:
    """The next row, with a number above PostgreSQL's own and above what Redis may remember of a lost future."""
    Instrument.objects.select_for_update(no_key=True).get(pk=instrument.pk)  # one number after the other
    last = PriceHold.objects.filter(instrument=instrument).aggregate(last=Max("number"))["last"] or 0
    return PriceHold.objects.create(
        instrument=instrument,
        number=max(last, known) + 1,
        bid=bid,
        ask=ask,
        by_id=by.user_id,
        by_client_id=by.client_id,
        reason=reason,
        at=clock.now(),
    )
