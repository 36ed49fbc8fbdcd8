"""Switching a control off takes two persons: a window that confirms or settles by itself, an API client that does more,
a limit that is raised or taken away, a member of staff who may do more.

Switching it on again is one person's, at once: a brake must be quick.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.errors import Conflict, Malformed, NotFound, NotOnesOwn, Refusal
from accounts.identity import FIRM_SCOPES
from accounts.models import ApiClient
from accounts.services.proposals import made_by_dialog, undecided
from trades import risk_limits, staff
from trades.errors import MakerIsChecker
from trades.models import ControlChange, SettlementWindow

State, Kind = ControlChange.State, ControlChange.Kind

ON_AGAIN: Final = "is_active"  # of a client with scopes that do something
OF_WINDOWS: Final = ("is_automatic", "legs_are_automatic")
_DOES_SOMETHING: Final = (":execute", ":write")


class ControlNotFound(NotFound):
    sentence = "There is no such proposal."


class ControlDecided(Conflict):
    code = "already_decided"
    sentence = "It was decided on already."


class ControlWaits(Refusal):
    code = "proposal_waits"
    sentence = "Another proposal about it waits to be decided on."


class NothingIsAdded(Malformed):
    sentence = "It is so already, or can't be."


def needs_two(scopes: Collection[str]) -> set[str]:
    """Those of scopes that let a program do something, and so take two persons."""
    return {scope for scope in scopes if scope.endswith(_DOES_SOMETHING)}


@conflicts.atomic
def propose(
    kind: str, subject: UUID, adds: Collection[str], *, reason: str, by: UUID, at: datetime, once: UUID | None = None
) -> ControlChange:
    """Propose it.

    Raises NothingIsAdded, ControlWaits, and KeyReused where the dialog was answered otherwise; of a member of staff
    NoSuchRight and NotOnesOwn.
    """
    wanted, reason = sorted(set(adds)), reason.strip()
    is_this = (subject, wanted, reason)
    made = made_by_dialog(ControlChange, once, lambda one: (one.subject, one.adds, one.reason) == is_this)
    if made is not None:
        return made
    if kind == Kind.STAFF:
        staff.must_be_administrator(by)
        if subject == by:
            raise NotOnesOwn
    if not wanted or not reason or not _can_be_added(kind, subject, wanted):
        raise NothingIsAdded
    if kind == Kind.STAFF:
        staff.must_be_nobody_elses(subject, wanted)
    try:
        with transaction.atomic():
            return ControlChange.objects.create(
                kind=kind, subject=subject, adds=wanted, reason=reason, made_by_id=by, made_at=at, once=once
            )
    except IntegrityError:
        raise ControlWaits from None


@conflicts.atomic
def apply(change_id: UUID, *, by: UUID, at: datetime, password: str = "") -> ControlChange:
    """Switch it off, as the second person. `password`: of a member of staff who gets another one.

    Raises ControlNotFound, ControlDecided, MakerIsChecker, NothingIsAdded, LimitMoved; of a member of staff what
    `staff.give` does, and NoSuchRight where either person is no Administrator.
    """
    change = _undecided(change_id)
    if change.made_by_id == by:
        raise MakerIsChecker("Whoever proposed to switch a control off can't apply it.")
    if change.kind == Kind.STAFF:
        staff.must_be_administrator(by)
        staff.must_be_administrator(change.made_by_id)  # still
        staff.must_be_nobody_elses(change.subject, change.adds)
    _decided(change, State.APPLIED, by, at)  # first: the database loosens nothing without
    if change.kind == Kind.WINDOW:
        done = SettlementWindow.objects.filter(pk=change.subject).update(**dict.fromkeys(change.adds, True))
        if not done:
            raise NothingIsAdded
    elif change.kind == Kind.LIMIT:
        risk_limits.carry_out(change.subject, change.adds[0])
    elif change.kind == Kind.STAFF:
        if not staff.are_given(change.subject, change.adds):
            raise NothingIsAdded
        staff.give(change.subject, change.adds, by=by, password=password)
    else:
        client = ApiClient.objects.select_for_update(no_key=True).filter(pk=change.subject).first()
        if client is None:
            raise NothingIsAdded
        client.scopes = sorted({*client.scopes, *change.adds} - {ON_AGAIN})
        client.is_active = client.is_active or ON_AGAIN in change.adds
        client.save(update_fields=["scopes", "is_active"])
    return change


@conflicts.atomic
def refuse(change_id: UUID, *, by: UUID, at: datetime) -> ControlChange:
    """Decide against it; its maker withdraws it this way. Raises ControlNotFound, ControlDecided, and of a member of
    staff NoSuchRight for who is neither its maker nor an Administrator."""
    change = _undecided(change_id)
    if change.kind == Kind.STAFF and change.made_by_id != by:
        staff.must_be_administrator(by)
    return _decided(change, State.REFUSED, None if change.made_by_id == by else by, at)


def _can_be_added(kind: str, subject: UUID, wanted: Collection[str]) -> bool:
    if kind == Kind.LIMIT:
        return len(wanted) == 1 and all(risk_limits.raises(subject, one) for one in wanted)
    if kind == Kind.STAFF:
        return staff.are_given(subject, wanted)
    return not set(wanted) - _missing(kind, subject)


def _missing(kind: str, subject: UUID) -> set[str]:
    """What could be added to it; nothing to what isn't there."""
    if kind == Kind.WINDOW:
        window = SettlementWindow.objects.filter(pk=subject).first()
        return {name for name in OF_WINDOWS if window is not None and not getattr(window, name)}
    client = ApiClient.objects.filter(pk=subject).first()
    if client is None:
        return set()
    return (set(FIRM_SCOPES) - set(client.scopes)) | (set() if client.is_active else {ON_AGAIN})


def _undecided(change_id: UUID) -> ControlChange:
    return undecided(ControlChange, change_id, missing=ControlNotFound, decided=ControlDecided, called="proposal")


def _decided(change: ControlChange, state: ControlChange.State, by: UUID | None, at: datetime) -> ControlChange:
    change.state, change.checked_by_id, change.decided_at = state, by, at
    change.save(update_fields=["state", "checked_by", "decided_at"])
    return change
