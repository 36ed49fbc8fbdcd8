"""Markets that rest, in tests: everywhere else each of them trades always (conftest)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from accounts import clock
from accounts.identity import SYSTEM
from quotes import symbols
from quotes.hours import DAYS, MarketHours, Switch, hours
from quotes.models import Instrument, TradingHours
from quotes.prices import Price, Prices
from quotes.switching import switch_market

FX = hours("America/New_York", "mon-fri 17:00-17:00", "", "12-25, 01-01", 5)
METALS = hours("America/New_York", "mon-fri 18:00-17:00", "IFEU", "", 5)
ALWAYS = hours("UTC", "always")

FRIDAY = "2026-11-27 12:00"  # open
SATURDAY = "2026-11-28 12:00"
NEARLY = "2026-11-29 21:57"  # in the last minutes before the opening
SUNDAY = "2026-11-29 22:00"  # 17:00 in New York: the opening


def moment(text: str) -> datetime:
    """In UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def closes(symbol: str) -> None:
    """From now on a market is closed, for some days, whenever the test runs; `keeps(symbol, "always")` opens it."""
    in_days = (clock.firm_now() + timedelta(days=3)).weekday()
    TradingHours.objects.get_or_create(name=f"on-{DAYS[in_days]}", sessions=f"{DAYS[in_days]} 11:00-12:00")
    keeps(symbol, f"on-{DAYS[in_days]}")


def opens_soon(symbol: str) -> None:
    """From now on a market is in the last hours before its opening, whenever the test runs, and was closed before."""
    _keeps_around(symbol, "soon", timedelta(minutes=40), timedelta(minutes=80), pre_open=60)


def has_opened(symbol: str) -> None:
    """From now on a market has been open for an hour, and was closed before."""
    _keeps_around(symbol, "opened", timedelta(hours=-1), timedelta(hours=1))


def _keeps_around(symbol: str, name: str, begin: timedelta, end: timedelta, pre_open: int = 0) -> None:
    """In a zone in which the session doesn't pass midnight; to the minute."""
    now = clock.firm_now()
    zone = "UTC" if 4 <= now.hour < 20 else "Etc/GMT-12"
    opens, closes = (at.astimezone(ZoneInfo(zone)) for at in (now + begin, now + end))
    sessions = f"{DAYS[opens.weekday()]} {opens:%H:%M}-{closes:%H:%M}"
    TradingHours.objects.get_or_create(name=name, time_zone=zone, sessions=sessions, pre_open_minutes=pre_open)
    keeps(symbol, name)


def keeps(symbol: str, name: str) -> None:
    """From now on a market keeps these hours, by their name."""
    Instrument.objects.filter(pk=symbol).update(trading_hours=name)
    symbols.forget()


def switched(symbol: str, to: Switch, at: str = FRIDAY) -> MarketHours:
    """An operator switches a market."""
    switch_market(symbol, to, by=SYSTEM, reason="a test", at=moment(at))
    symbols.forget()
    return symbols.hours_of(symbol)


def market(now: str, *, said: str = "", **stands: str) -> Prices:
    """The market at a moment: `market(SUNDAY, eur="1.05")`. Prices are of then, or were `said` at another one."""
    at = moment(now)
    known = {"EUR-USD": "1.0875", "BTC-USD": "42000"} | {f"{one.upper()}-USD": price for one, price in stands.items()}
    as_of = {symbol: moment(said) if said and symbol == "EUR-USD" else at for symbol in known}
    return Prices(at, {s: Price(s, Decimal(p), Decimal(p), as_of[s]) for s, p in known.items()})
