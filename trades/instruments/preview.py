"""The book run at the prices that an instrument would have: what a change would fire, before anything is changed.

It reads, and locks nothing. A price that the change would move counts as fresh, however long the market has rested,
and with it those of the rates that positions are converted by: what it fires on Monday is stated on Sunday.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import redis
from django.conf import settings
from django.db import connection

from accounts.errors import Unavailable
from accounts.money import exact
from quotes import prices as markets
from quotes import symbols
from quotes.conversion import Rates
from quotes.feeds.composite import composite_terms_of, marked_up
from quotes.feeds.simulator import SimulatorTerms, quoted
from quotes.judging import is_too_wide
from quotes.models import Instrument
from quotes.prices import Price, Prices
from quotes.terms import DECIMALS, HOURS
from trades.engine.rehearsal import rehearse
from trades.instruments.errors import InstrumentInUse, NoPriceToStateBy
from trades.instruments.statement import ChangeStatement, stated
from trades.models import Order
from trades.states import LIVE

SPREADS: Final = frozenset({"spread_bps", "simulator_price", *DECIMALS})  # the price is made anew from its middle
ADMITS: Final = frozenset({"jump_limit_percent", "max_spread_percent"})  # a price that is refused now may count then
AGES: Final = frozenset({"price_age_limit_seconds"})  # a price that is too old now may count then
MARKUP: Final = frozenset({"markup_bps"})  # the price is widened, or narrowed, by the difference
OPENS: Final = frozenset({HOURS})  # a market that rests now may be open then
FIRING: Final = SPREADS | ADMITS | AGES | MARKUP | OPENS


def preview(would_be: Instrument, changed: Collection[str]) -> ChangeStatement:
    """What would fire if these terms were what `would_be` says. Raises NoPriceToStateBy, Unavailable."""
    symbol = would_be.symbol
    if not FIRING & set(changed) or not Order.objects.filter(instrument__in=_moved(symbol), status__in=LIVE).exists():
        return ChangeStatement()
    try:
        now, refused = markets.latest(), markets.refused()
    except redis.RedisError as error:
        raise Unavailable("Redis can't be reached: nobody can say what the change would fire.") from error
    price = _price(would_be, set(changed), now, refused.get(symbol))
    if price is None:
        raise NoPriceToStateBy
    return stated(price, rehearse(now, as_if_open(now, price), would_be))


def as_if_open(now: Prices, price: Price) -> Prices:
    """The prices with this one. What executes by it executes as if every market were open: the prices of what is
    converted by it count as fresh, and those of all rates that these positions are converted by."""
    moved, paths = _moved(price.symbol), _paths()
    used = {*moved, *(leg for symbol in moved for leg in paths[symbol])}
    fresh = {symbol: replace(now.by_symbol[symbol], at=now.now) for symbol in used & now.by_symbol.keys()}
    return Prices(now.now, {**now.by_symbol, **fresh, price.symbol: price})


def _moved(symbol: str) -> list[str]:
    """The instruments whose positions are worth another amount by another price of this one: it, and those that are
    converted by it."""
    return sorted({symbol, *(one for one, legs in _paths().items() if symbol in legs)})


def _paths() -> dict[str, list[str]]:
    """By symbol of each instrument those that it is converted by into the account currency."""
    known = symbols.instruments()
    rates = Rates(known, settings.ACCOUNT_CURRENCY, lambda _: None)
    return {one.symbol: [leg.symbol for leg in rates.path(one.counter_asset_id) or ()] for one in known.values()}


def _price(would_be: Instrument, changed: set[str], now: Prices, refused: Price | None) -> Price | None:
    """The price that the change would lead to; None where there never was one."""
    price = now.by_symbol.get(would_be.symbol)
    if ADMITS & changed and refused is not None and not _is_too_wide(refused, would_be):
        price = replace(refused, at=now.now)
    if price is None:
        return None
    if OPENS & changed:
        price = replace(price, at=now.now)
    if not SPREADS & changed:
        return replace(_marked_up_anew(price, would_be), at=now.now) if MARKUP & changed else price
    middle = would_be.simulator_price if "simulator_price" in changed else price.mid
    terms = SimulatorTerms(
        would_be.simulator_price, would_be.simulator_step_bps, would_be.spread_bps, would_be.price_decimals
    )
    bid, ask = marked_up(*quoted(middle, terms), composite_terms_of(would_be))
    return replace(price, bid=bid, ask=ask, at=now.now)


@exact
def _marked_up_anew(price: Price, would_be: Instrument) -> Price:
    """The price without the mark-up that it has, and with the one that it would have."""
    half = symbols.instrument(would_be.symbol).markup_bps / 20_000
    bid, ask = price.bid / (1 - half), price.ask / (1 + half)
    bid, ask = marked_up(bid, ask, composite_terms_of(would_be))
    return replace(price, bid=bid, ask=ask)


def _is_too_wide(price: Price, would_be: Instrument) -> bool:
    return is_too_wide(price.bid, price.ask, would_be.max_spread_percent)


def refuse_in_use(symbol: str, changed: Collection[str]) -> None:
    """Raises InstrumentInUse where decimals would change under what is open."""
    if not DECIMALS & set(changed):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT what_is_open(%s)", [symbol])
        (open_,) = cursor.fetchone()
    if open_ is not None:
        raise InstrumentInUse(f"Decimals of {symbol} can't be changed while there are {open_}.")
