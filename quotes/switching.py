"""An operator halts a market, lets it be closed only, or lets it follow its hours again.

One person does each of them alone, by name and with a reason: a brake must be quick, and what it keeps from happening
happens once it is let go, at the market's price. The rows are history, and sealed.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

from django.db import transaction

from accounts import conflicts
from accounts.errors import Malformed
from accounts.identity import Actor
from quotes import symbols
from quotes.errors import SwitchedAlready, UnknownSymbol
from quotes.hours import MarketHours, Switch
from quotes.models import Instrument, MarketSwitch

LONGEST_REASON: Final = 200


@conflicts.atomic
def switch_market(symbol: str, to: Switch, *, by: Actor, reason: str, at: datetime) -> MarketSwitch:
    """From `at` (the firm's time) on; everywhere within a second. Raises UnknownSymbol, Malformed, SwitchedAlready."""
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"A switch has a reason of 1 to {LONGEST_REASON} characters on one line.")
    if Instrument.objects.select_for_update(no_key=True).filter(pk=symbol).first() is None:
        raise UnknownSymbol
    last = MarketSwitch.objects.filter(instrument_id=symbol).order_by("-number").first()
    if to is (Switch.NONE if last is None else Switch(last.switch)):
        raise SwitchedAlready
    made = MarketSwitch.objects.create(
        instrument_id=symbol,
        number=1 if last is None else last.number + 1,
        switch=to.value,
        by_id=by.user_id,
        reason=reason,
        at=at,
    )
    transaction.on_commit(partial(symbols.forget))
    return made


def switched_by(symbol: str) -> MarketSwitch | None:
    """The switch that stands, if any does."""
    last = MarketSwitch.objects.select_related("by").filter(instrument_id=symbol).order_by("-number").first()
    return None if last is None or last.switch == Switch.NONE else last


def in_words(hours: MarketHours, at: datetime) -> str:
    """A market's state for people: `closed until 2026-11-29 21:55, opens 2026-11-29 22:00` (UTC)."""
    state = hours.state_at(at)
    told: str = state.phase.value.replace("_", " ")
    if state.until is not None:
        told += f" until {state.until:%Y-%m-%d %H:%M}"
    if state.next_open is not None:
        told += f", opens {state.next_open:%Y-%m-%d %H:%M}"
    return told
