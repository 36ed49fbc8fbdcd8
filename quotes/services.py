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
from accounts.errors import Refusal, Unavailable
from accounts.money import printed
from quotes import candles, symbols
from quotes import prices as market
from quotes.errors import HoldTooWide, RefusedPriceTooWide, SymbolNotTraded
from quotes.judging import PriceLimits, is_too_wide
from quotes.models import Instrument, PriceHold, Quote
from quotes.prices import Price, Prices
from quotes.quoting import FeeTerms, PairDecimals, amounts

ACCEPT_MILLISECONDS: Final = 2000  # less than this process waits for Redis' answer
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
) -> Quote:
    """Offer a customer to buy or sell; exactly one amount (base units, > 0) is given and kept exactly.

    Raises UnknownSymbol, SymbolNotTraded, StalePrice, AmountTooSmall, AmountOutOfRange.
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
) -> Quote:
    """Write down an offer at the current price. Without `fees` the instrument's own apply.

    With a trade that it takes back it is made for a symbol that is switched off, too: no new risk, and the way out
    stays open.
    The times are cut to milliseconds, because that is what the customer sees: a quote expires at the
    moment its answer says. Raises SymbolNotTraded, StalePrice, AmountTooSmall, AmountOutOfRange.
    """
    if not instrument.is_active and reference_trade_id is None:
        raise SymbolNotTraded
    latest = prices.require(instrument.symbol, instrument.price_age_limit_seconds)
    price = latest.entry(side)
    pair = PairDecimals(instrument.base_asset.decimals, instrument.counter_asset.decimals)
    terms = fees or FeeTerms(Decimal(instrument.fee_bps))
    offered = amounts(side, price, pair, terms, receive=receive, deliver=deliver)
    issued_at = at.replace(microsecond=at.microsecond // 1000 * 1000)
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
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=instrument.quote_life_seconds),
    )


def accept_price(instrument: Instrument, *, seen: Price, by: UUID) -> Price:
    """Accept the feed's price that was refused as a jump, in the name of a member of the staff. Gives it.

    `seen` is the refused price that they were shown. The action stands in the instrument's history, and is written
    there first: what can't be written down doesn't happen. What was refused then is written there, too. Redis itself
    refuses it ACCEPT_MILLISECONDS after the action began, however long a call was under way. Once it counts it is in
    its minute's candle as well, by which readers judge it.
    Raises NoRefusedPrice, RefusedPriceMoved, RefusedPriceTooWide, AcceptedTooLate, Unavailable.
    """
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
    instrument: Instrument, bid: Decimal, ask: Decimal, *, by: UUID | None = None, reason: str = ""
) -> RecordedHold:
    """Hold an instrument at a price (0 < bid <= ask), from now on and until it is released.

    The row comes first: Redis only copies it, at once and then with each price that a feed publishes.
    Raises HoldTooWide.
    """
    if is_too_wide(bid, ask, instrument.max_spread_percent):
        raise HoldTooWide
    return _hold_or_release(instrument, bid, ask, by, reason)


def release_price(instrument: Instrument, *, by: UUID | None = None, reason: str = "") -> RecordedHold:
    """Let the feed's own price through again."""
    return _hold_or_release(instrument, None, None, by, reason)


def _hold_or_release(
    instrument: Instrument, bid: Decimal | None, ask: Decimal | None, by: UUID | None, reason: str
) -> RecordedHold:
    try:
        known = market.hold_numbers().get(instrument.symbol, 0)
    except redis.RedisError:
        known = 0
    hold = _write_hold(instrument, bid, ask, by, reason, known if known < MOST_KNOWN else 0)
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
    instrument: Instrument, bid: Decimal | None, ask: Decimal | None, by: UUID | None, reason: str, known: int
) -> PriceHold:
    """The next row, with a number above PostgreSQL's own and above what Redis may remember of a lost future."""
    Instrument.objects.select_for_update(no_key=True).get(pk=instrument.pk)  # one number after the other
    last = PriceHold.objects.filter(instrument=instrument).aggregate(last=Max("number"))["last"] or 0
    return PriceHold.objects.create(
        instrument=instrument,
        number=max(last, known) + 1,
        bid=bid,
        ask=ask,
        by_id=by,
        reason=reason,
        at=clock.now(),
    )
