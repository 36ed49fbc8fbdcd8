"""The instruments by symbol, and the other names by which people call them.

Every request and every price asks here, so the rows are kept for up to a second per process: a change
in the admin is seen everywhere one second later.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

from django.conf import settings
from django.db.models import OuterRef, Subquery

from accounts.kept import Kept
from quotes import references
from quotes.errors import UnknownSymbol
from quotes.hours import NEVER_CLOSES, NEVER_OPENS, BadHours, Hours, MarketHours, Switch
from quotes.models import Instrument, MarketSwitch, TradingHours

log = logging.getLogger(__name__)

KEPT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Known:
    by_symbol: Mapping[str, Instrument]
    by_alias: Mapping[str, str]
    hours: Mapping[str, MarketHours]


def canonical(text: object) -> str | None:
    """The symbol meant by `btc`, `BTC`, `BTCUSD`, `BTCUSDT` or `BTC-USD`: `BTC-USD`. None where there is none."""
    return _kept.get(KEPT_SECONDS).by_alias.get(text.upper()) if isinstance(text, str) and len(text) <= 32 else None


def instruments() -> dict[str, Instrument]:
    """All instruments by canonical symbol, the inactive too, with their two assets; as of a second ago at most."""
    return dict(_kept.get(KEPT_SECONDS).by_symbol)


def instrument(text: object) -> Instrument:
    """The instrument that a name from the outside means. Raises UnknownSymbol."""
    symbol = canonical(text)
    if symbol is None:
        raise UnknownSymbol
    return _kept.get(KEPT_SECONDS).by_symbol[symbol]


def market_hours() -> Mapping[str, MarketHours]:
    """By symbol when each market trades, with what an operator has said of it; as of a second ago at most."""
    return _kept.get(KEPT_SECONDS).hours


def hours_of(symbol: str) -> MarketHours:
    """The same of one market; of a symbol that is no instrument, that it never closes."""
    return market_hours().get(symbol, NEVER_CLOSES)


class Resting(NamedTuple):
    """Whose market takes no prices; and of those that take some, before their opening (`opening`) or since it
    (`opened`), from when on they have."""

    closed: frozenset[str]
    opening: Mapping[str, datetime]
    opened: Mapping[str, datetime]


class _Rest(NamedTuple):
    """Who rests from `begin` until before `end`; by these hours."""

    hours: Mapping[str, MarketHours]
    begin: datetime
    end: datetime
    resting: Resting


_last_rest: _Rest | None = None


def closed(at: datetime) -> frozenset[str]:
    """Whose market takes no prices at `at`, the firm's time."""
    return resting(at).closed


def resting(at: datetime) -> Resting:
    """Whose market rests at `at`, the firm's time, or did before. Reckoned once until the hours change it."""
    global _last_rest
    hours, last = market_hours(), _last_rest
    if last is None or last.hours is not hours or not last.begin <= at < last.end:
        states = {symbol: its.state_at(at) for symbol, its in hours.items() if not its.hours.never_closes}
        end = min((state.until for state in states.values() if state.until is not None), default=datetime.max)
        bells = {symbol: bell for symbol in states if (bell := hours[symbol].bell(at)) is not None}
        found = Resting(
            frozenset(symbol for symbol, state in states.items() if not state.has_prices),
            {symbol: bell for symbol, bell in bells.items() if states[symbol].next_open is not None},
            {symbol: bell for symbol, bell in bells.items() if states[symbol].next_open is None},
        )
        _last_rest = last = _Rest(hours, at, end.replace(tzinfo=at.tzinfo), found)
    return last.resting


def forget() -> None:
    """Read the rows again at the next question, e.g. right after this process changed one; prices' limits, too."""
    _kept.forget()
    references.forget()


def aliases(symbols: Collection[str], home_currency: str) -> dict[str, str]:
    """Every accepted name, in capitals, to its canonical symbol.

    A base asset alone means the instrument priced in the home currency; dollars are also called USDT.
    """
    names: dict[str, str] = {}
    for symbol in symbols:
        base, _, counter = symbol.partition("-")
        others = (f"{counter}T",) if counter == "USD" else ()
        for priced_in in (counter, *others):
            names[f"{base}-{priced_in}"] = names[f"{base}{priced_in}"] = symbol
        if counter == home_currency:
            names[base] = symbol
    return names | {symbol: symbol for symbol in symbols}


def _read() -> _Known:
    """One query: each instrument with its hours and its last switch, found by an index however long the history is."""
    last = MarketSwitch.objects.filter(instrument_id=OuterRef("symbol")).order_by("-number")
    found = Instrument.objects.select_related("base_asset", "counter_asset", "trading_hours").annotate(
        last_switch=Subquery(last.values("switch")[:1]), switched_at=Subquery(last.values("at")[:1])
    )
    rows = {row.symbol: row for row in found}
    hours = {
        symbol: MarketHours(_readable(row), Switch(row.last_switch or Switch.NONE), row.switched_at)
        for symbol, row in rows.items()
    }
    return _Known(rows, aliases(rows.keys(), settings.ACCOUNT_CURRENCY), hours)


def _readable(row: Instrument) -> Hours:
    try:
        return cast(TradingHours, row.trading_hours).as_hours()
    except BadHours as bad:
        log.error("%s can't be traded: its hours, %s, can't be read: %s", row.symbol, row.trading_hours_id, bad)
        return NEVER_OPENS


_kept = Kept(_read)
