"""The journal: every deed of a person or of a program that acts for the firm, and everything that they were refused.

`begin` writes a deed before anything happens, in a transaction of its own, and `end` what came of it; `record` writes
what has no middle, e.g. a login. Who calls them are three: the admin's middleware (brokerage/http/journalled.py), the
base of every command (accounts/management/output.py) and the base of every viewset (accounts/rest/viewsets.py). So a
new page, dialog, command or route is in the journal without a line of its own
(docs/decisions/0089-the-journal.md).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, IntegrityError
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from accounts import conflicts
from accounts.identity import SYSTEM, Actor
from accounts.ids import parse_guid
from accounts.models import JournalEntry
from accounts.services.row_facts import Facts, difference, facts_of, plain, writable

log = logging.getLogger(__name__)

Outcome = JournalEntry.Outcome
Via = JournalEntry.Via
MOST_OBJECTS: Final = 100
LONGEST: Final = 500
MOST_FIELDS: Final = 50
LEFT_OUT: Final = "left out"  # how many fields; no form has one of this name

# Of what is filled in only what has these names is kept as it is; of the rest, that it was there.
_TOLD: Final = frozenset(
    {
        *("action", "actual", "amount", "ask", "asset", "bid", "calendar", "count", "day", "direction", "does"),
        *("format", "how", "kind", "kinds", "limit", "night", "outcome", "period", "reason", "reference", "since"),
        *("state", "status", "switch", "symbol", "term", "until", "value", "value_date", "what", "window"),
    }
)
_FIGURES: Final = ("_bps", "_cap", "_days", "_decimals", "_percent", "_price", "_quantity", "_seconds")
_SECRET = re.compile(r"password|passphrase|secret|token|code|private|otp", re.I)  # never, whatever it looks like
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|on|off|true|false", re.I)
_ADDRESS = re.compile(r"[^\s@'\"]+@[^\s@'\"]+")
_PERSONS: Final = ("made_by", "proposed_by", "cut_by", "checked_by", "decided_by", "confirmed_by", "flagged_by")


class AnsweredBefore(Exception):
    """A dialog with this one-time key was answered already; `entry` is the row of that."""

    def __init__(self, entry: JournalEntry) -> None:
        super().__init__(str(entry.pk))
        self.entry = entry


@dataclass(slots=True)
class Deed:
    """One that was begun. Whoever carries it out adds what it made, and may say why it is refused."""

    entry: JournalEntry
    model: type[Model] | None = None
    pk: object = None
    before: Facts | None = None
    made: list[Model] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=dict)
    asked: Facts = field(default_factory=dict)
    reason: str = ""
    outcome: JournalEntry.Outcome | None = None
    said: str = ""

    def refuse(self, said: str) -> None:
        self.outcome, self.said = Outcome.REFUSED, said


@conflicts.atomic
def record(
    deed: str,
    *,
    by: Actor,
    via: JournalEntry.Via,
    outcome: JournalEntry.Outcome,
    address: str = "",
    objects: Collection[str] = (),
    asked: Mapping[str, Any] | None = None,
    before: Facts | None = None,
    after: Facts | None = None,
    reason: str = "",
    second: Actor = SYSTEM,
    said: str = "",
    begun_id: UUID | None = None,
    once: UUID | None = None,
) -> JournalEntry:
    """Write one row of the journal. Whatever is too long is cut, and addresses of e-mail are left out of sentences."""
    return JournalEntry.objects.create(
        user_id=by.user_id,
        client_id=None if by.user_id else by.client_id,
        via=via,
        address=_network(address),
        deed=_text(deed)[:100],
        objects_named=list(dict.fromkeys(writable(one)[:200] for one in objects))[:MOST_OBJECTS],
        asked=asked or {},
        before=before or {},
        after=after or {},
        reason=_text(reason),
        second_id=second.user_id,
        second_client_id=second.client_id,
        outcome=outcome,
        said=_text(said),
        begun_id=begun_id,
        once=once,
    )


def begin(
    deed: str,
    *,
    by: Actor,
    via: JournalEntry.Via,
    address: str = "",
    objects: Collection[str] = (),
    asked: Mapping[str, Any] | None = None,
    reason: str = "",
    once: UUID | None = None,
    model: type[Model] | None = None,
    pk: object = None,
) -> Deed:
    """Write that it begins, and keep how the row looks that it is about.

    Raises AnsweredBefore where a dialog with this one-time key was answered already.
    """
    before = facts_of(model, pk) if model is not None and pk is not None else None
    try:
        entry = record(
            deed,
            by=by,
            via=via,
            outcome=Outcome.BEGUN,
            address=address,
            objects=objects,
            asked=asked,
            reason=reason,
            once=once,
        )
    except IntegrityError:
        first = JournalEntry.objects.filter(once=once).first() if once else None
        if first is None:
            raise
        raise AnsweredBefore(first) from None
    return Deed(entry, model, pk, before)


def end(deed: Deed, outcome: JournalEntry.Outcome, said: str = "") -> None:
    """Write what came of it: what changed of the row, what was made, and who the other of two persons was.

    That this can't be written is logged: what was done can't be undone any more, and the first row says that it began.
    """
    entry = deed.entry
    try:
        before, after = _changed(deed)
        record(
            entry.deed,
            by=Actor(entry.user_id, entry.client_id),
            via=Via(entry.via),
            outcome=deed.outcome or outcome,
            address=entry.address,
            objects=[*entry.objects_named, *map(named, deed.made), *deed.named],
            asked=entry.asked or deed.asked,
            before=before,
            after=after | deed.facts,
            reason=entry.reason or deed.reason,
            second=_second(deed),
            said=deed.said or said,
            begun_id=entry.pk,
        )
    except DatabaseError:
        log.exception("What came of %s, journal entry %s, can't be written", entry.deed, entry.pk.hex)


def outcome_of(begun: JournalEntry) -> JournalEntry.Outcome | None:
    """What came of a deed; None while it is being done, or where it was cut off."""
    found = JournalEntry.objects.filter(begun_id=begun.pk).values_list("outcome", flat=True).first()
    return None if found is None else Outcome(found)


def named(row: Model) -> str:
    """How the journal names a row."""
    return name_of(type(row), row.pk)


def name_of(model: type[Model], pk: object) -> str:
    """How the journal names a row: by its guid, and where its key is none by its model and key."""
    if isinstance(pk, UUID):
        return pk.hex
    guid = parse_guid(str(pk).replace("-", ""))
    return guid.hex if guid else f"{model._meta.concrete_model._meta.label_lower}:{str(pk)[:100]}"  # type: ignore[union-attr]


def asked_of(given: Mapping[str, Any]) -> Facts:
    """What was filled in, by name: what is known to name nobody; of the rest, that it was there.

    MOST_FIELDS of them, and how many more there were. A row's `seen` is filled in by the form itself.
    """
    filled = [
        (name, value)
        for name, value in given.items()
        if value not in (None, "", [], False) and not name.endswith("-seen")
    ]
    told = {
        writable(name)[:60]: plain(value) if _is_told(name, value) else "given" for name, value in filled[:MOST_FIELDS]
    }
    return told | {LEFT_OUT: len(filled) - MOST_FIELDS} if len(filled) > MOST_FIELDS else told


def entries(*, every: bool = False) -> QuerySet[JournalEntry]:
    """Newest first; of a deed what came of it, and its beginning only where nothing did. `every`: all rows."""
    rows = JournalEntry.objects.order_by("-pk")
    if every:
        return rows
    outcome = JournalEntry.objects.filter(begun_id=OuterRef("pk"))
    return rows.filter(~Q(outcome=Outcome.BEGUN) | ~Exists(outcome))


def history_of(model: type[Model], pk: object) -> QuerySet[JournalEntry]:
    """What was done to a row, newest first."""
    return entries().filter(objects_named__contains=[name_of(model, pk)])


def _changed(deed: Deed) -> tuple[Facts, Facts]:
    if deed.model is not None and deed.pk is not None:
        after = facts_of(deed.model, deed.pk)
        if deed.before is not None or after is not None:
            before, now = difference(deed.model, deed.before, after)
            if before or now:
                return before, now
    if len(deed.made) == 1:
        made = deed.made[0]
        return difference(type(made), None, facts_of(type(made), made.pk))
    return {}, {}


def _second(deed: Deed) -> Actor:
    """Of what somebody decides who had made it: the first person in the row who is somebody else."""
    rows: list[Any] = list(deed.made)
    if deed.before is not None:
        rows.append(deed.before)
    for row in rows:
        for name in _PERSONS:
            for column, own in ((f"{name}_id", deed.entry.user_id), (f"{name}_client_id", deed.entry.client_id)):
                other = row.get(column) if isinstance(row, dict) else getattr(row, column, None)
                if isinstance(other, UUID) and other != own:
                    return Actor(client_id=other) if "client" in column else Actor(user_id=other)
    return SYSTEM


def _is_told(name: str, value: Any) -> bool:
    """A number may be somebody's (a telephone's, an account's): it is told by the same names as words are. A secret
    may look like an id, so its name decides."""
    if _SECRET.search(name):
        return False
    name = name.rpartition("-")[2]  # of a form with a row an asset: BTC-actual
    if name in _TOLD or name.endswith(_FIGURES):
        return not isinstance(value, dict)
    return isinstance(value, bool | UUID | date) or (isinstance(value, str) and _ID.fullmatch(value) is not None)


def _text(text: object) -> str:
    return _ADDRESS.sub("…@…", writable(str(text)))[:LONGEST]


def _network(text: str) -> str:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return ""
