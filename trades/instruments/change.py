"""Changes of an instrument: one person proposes, with what it would fire; another applies it.

Within the narrow band, and where nothing fires, who proposes applies it at once. The band is measured from what two
persons last agreed to, not from what stands: many small steps are one long one. The order of locks is the change, then
its instrument; the book is run without any.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.errors import Malformed
from accounts.services.proposals import made_by_dialog, undecided
from quotes import symbols, terms
from quotes.errors import UnknownSymbol
from quotes.models import Instrument, InstrumentChange
from quotes.selectors import instruments_named
from quotes.terms import Term
from trades.errors import MakerIsChecker
from trades.instruments.errors import (
    ChangeDecided,
    ChangeNotFound,
    ChangeWaits,
    FiresMore,
    InstrumentMoved,
    NothingChanges,
)
from trades.instruments.preview import preview, refuse_in_use
from trades.instruments.statement import ChangeStatement, lines

LONGEST_REASON: Final = 500
State = InstrumentChange.State


def would_fire(symbol: str, wanted: Mapping[str, object]) -> tuple[ChangeStatement, bool]:
    """What a change would fire, and whether one person may make it alone. Changes nothing, locks nothing.

    Raises Malformed, NothingChanges, InstrumentInUse, NoPriceToStateBy, Unavailable.
    """
    instrument = instruments_named([symbol]).get(symbol)
    if instrument is None:
        raise UnknownSymbol
    _, new, statement = _stated(instrument, terms.parsed(wanted))
    return statement, _is_narrow(symbol, new, statement)


@conflicts.atomic
def propose(
    symbol: str, wanted: Mapping[str, object], *, reason: str, by: UUID, at: datetime, once: UUID | None = None
) -> InstrumentChange:
    """Propose other values for terms of an instrument, by their columns' names. Within the band it comes back applied.

    `by` is a member of the staff, `once` the one-time key of their dialog. Raises Malformed, NothingChanges,
    ChangeWaits, InstrumentInUse, NoPriceToStateBy, Unavailable, and KeyReused where the dialog was answered otherwise.
    """
    reason, parsed = reason.strip(), terms.parsed(wanted)
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"A change has a reason of 1 to {LONGEST_REASON} characters on one line.")
    instrument = _locked_instrument(symbol)
    if made := _made_before(once, instrument, parsed, reason, by):
        return made
    if InstrumentChange.objects.filter(instrument=symbol, state=State.PROPOSED).exists():
        raise ChangeWaits
    old, new, statement = _stated(instrument, parsed)
    try:
        with transaction.atomic():
            made = InstrumentChange.objects.create(
                instrument=instrument,
                old=old,
                new=new,
                stated=statement.kept(),
                fires=statement.fires,
                needs_checker=not _is_narrow(symbol, new, statement),
                reason=reason,
                once=once,
                made_by_id=by,
                made_at=at,
            )
    except IntegrityError:
        _made_before(once, instrument, parsed, reason, by)  # of another instrument, at the same moment: KeyReused
        raise
    return made if made.needs_checker else _decided(made, State.APPLIED, None, at, statement)


@conflicts.atomic
def apply(change_id: UUID, *, by: UUID, at: datetime) -> InstrumentChange:
    """Change the instrument, in the name of a second person. What it fires is found out once more, under lock.

    Raises ChangeNotFound, ChangeDecided, MakerIsChecker, InstrumentMoved, InstrumentInUse, FiresMore,
    NoPriceToStateBy, Unavailable.
    """
    change = _undecided(change_id)
    if change.made_by_id == by:
        raise MakerIsChecker("Whoever proposed a change can't apply it.")
    instrument = _locked_instrument(change.instrument_id)
    if any(terms.kept(name, getattr(instrument, name)) != value for name, value in change.old.items()):
        raise InstrumentMoved
    _, _, statement = _stated(instrument, terms.of_kept(change.new))
    if statement.is_more_than(ChangeStatement.read(change.stated)):
        raise FiresMore(f"{FiresMore.sentence} Now: {'; '.join(lines(statement))}.")
    return _decided(change, State.APPLIED, by, at, statement)


@conflicts.atomic
def refuse(change_id: UUID, *, by: UUID, at: datetime) -> InstrumentChange:
    """Decide against a proposal; its maker does so by withdrawing it. Raises ChangeNotFound, ChangeDecided."""
    change = _undecided(change_id)
    return _decided(change, State.REFUSED, None if change.made_by_id == by else by, at, None)


def _stated(
    instrument: Instrument, wanted: Mapping[str, Term]
) -> tuple[dict[str, str | None], dict[str, str | None], ChangeStatement]:
    """What the terms that really change are and would be, as they are kept, and what that would fire."""
    would_be = terms.with_terms(instrument, wanted)
    new = {name: terms.kept(name, value) for name, value in wanted.items()}
    old = {name: terms.kept(name, getattr(instrument, name)) for name in new}
    changed = [name for name in new if new[name] != old[name]]
    if not changed:
        raise NothingChanges
    refuse_in_use(instrument.symbol, changed)
    statement = preview(would_be, changed)
    return {name: old[name] for name in changed}, {name: new[name] for name in changed}, statement


def _is_narrow(symbol: str, new: Mapping[str, str | None], statement: ChangeStatement) -> bool:
    return not statement.fires and not terms.beyond_band(symbol, new)


def _decided(
    change: InstrumentChange, state: str, checker: UUID | None, at: datetime, statement: ChangeStatement | None
) -> InstrumentChange:
    """The row's new state; where that is applied, a trigger changes the instrument."""
    change.state, change.checked_by_id, change.decided_at = state, checker, at
    change.stated_when_applied = statement.kept() if statement else None
    change.save(update_fields=["state", "checked_by", "decided_at", "stated_when_applied"])
    transaction.on_commit(partial(symbols.forget))
    return change


def _undecided(change_id: UUID) -> InstrumentChange:
    return undecided(InstrumentChange, change_id, missing=ChangeNotFound, decided=ChangeDecided, called="change")


def _locked_instrument(symbol: str) -> Instrument:
    rows = Instrument.objects.select_for_update(no_key=True, of=("self",))
    instrument = rows.select_related("base_asset", "counter_asset").filter(pk=symbol).first()
    if instrument is None:
        raise UnknownSymbol
    return instrument


def _made_before(
    once: UUID | None, instrument: Instrument, wanted: Mapping[str, Term], reason: str, by: UUID
) -> InstrumentChange | None:
    """A change keeps the terms that it changes: of any other, what was said is what the instrument says."""
    said = {name: terms.kept(name, value) for name, value in wanted.items()}

    def is_this(made: InstrumentChange) -> bool:
        others = {name: terms.kept(name, getattr(instrument, name)) for name in said.keys() - made.new.keys()}
        same = (made.instrument_id, made.reason, made.made_by_id) == (instrument.pk, reason, by)
        return same and said == others | made.new

    return made_by_dialog(InstrumentChange, once, is_this)
