"""Statements are imported: each entry is kept once, and confirms the instruction that it names, or is listed with why.

What names a payment is listed as such: `trades/payments/statements.py` completes it.

The database decides what is the same: a file by its hash, an entry by its account and the bank's own reference. So the
same statement twice, or two people with it at once, change nothing the second time; the same reference that says
something else is listed, and never matched by itself.

Order of locks: the entries by key, the instructions by id, then what reporting a leg locks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts import conflicts
from accounts.bank_details import printable
from accounts.errors import Refusal
from accounts.identity import Actor
from accounts.models import Asset
from accounts.services.proposals import undecided
from trades.bank import camt053, statement_csv
from trades.bank.entries import Entry
from trades.models import SettlementInstruction, StatementEntry, StatementFile
from trades.settlement.instructions import confirm, matching
from trades.settlement.instructions.errors import (
    EntryDecided,
    EntryDoesNotFit,
    EntryNotFound,
    InstructionNotFound,
)
from trades.settlement.instructions.moves import locked
from trades.states import InstructionState

LONGEST_NOTE = 200
_NEVER_BY_HAND = frozenset({"not_booked", "a_reversal", matching.USED_AND_UNCLEAR, "not_our_account"})
State = StatementEntry.State


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a file: its new entries; how many it had that were known. `is_known`: the file itself was.
    `earlier`: entries of imports before it with which it went on.
    """

    entries: Sequence[StatementEntry]
    known: int
    sha256: str
    is_known: bool = False
    earlier: Sequence[StatementEntry] = ()

    @property
    def every(self) -> list[StatementEntry]:
        """All that this import changed."""
        return [*self.entries, *self.earlier]

    def with_entries(self, others: Mapping[UUID, StatementEntry]) -> Imported:
        """With these in the place of those of the same ids."""
        of_each = ([others.get(one.pk, one) for one in which] for which in (self.entries, self.earlier))
        entries, earlier = of_each
        return replace(self, entries=entries, earlier=earlier)

    def in_state(self, state: str) -> list[StatementEntry]:
        return [one for one in self.every if one.state == state]


def import_statement(content: bytes, *, name: str, by: Actor, at: datetime) -> Imported:
    """Keep a statement's entries, and confirm what they name. Raises Malformed for what is no statement."""
    form, entries = _read(content)
    return _import(content, entries, form=form, name=name, by=by, at=at)


def reconsider(*, by: Actor, at: datetime) -> list[UUID]:
    """Look again at what waits because its account was none of the firm's, where it is one by now; which those were.

    What names an instruction confirms it, or is listed with why not; what names a payment waits to be compared.
    """
    waiting = StatementEntry.objects.filter(state=State.LISTED, reason=matching.NOT_OURS, asset__isnull=False)
    assets = Asset.objects.in_bulk()
    accounts = waiting.order_by().values_list("account", "asset").distinct()
    ours = [(account, asset) for account, asset in accounts if matching.is_ours(account, assets[asset])]
    found = [one for account, asset in ours for one in waiting.filter(account=account, asset=asset).order_by("pk")]
    return [one.pk for one in found if _reconsider(one.pk, by, at)]


@conflicts.atomic
def _reconsider(entry_id: UUID, by: Actor, at: datetime) -> bool:
    rows = StatementEntry.objects.filter(pk=entry_id, state=State.LISTED, reason=matching.NOT_OURS)
    entry = rows.select_for_update(no_key=True).first()
    if entry is None:  # somebody else was faster
        return False
    _list(entry, matching.waits_because(matching.named_in(entry.names)))
    if not entry.reason:
        _match(entry, by, at)
    return True


@conflicts.atomic
def match_by_hand(entry_id: UUID, reference: str, *, note: str, by: Actor, at: datetime) -> StatementEntry:
    """Let a listed entry confirm the instruction that a person says it is, for a reason. Amounts must fit all the same.

    Raises Malformed, EntryNotFound, EntryDecided, InstructionNotFound, EntryDoesNotFit, and what a leg refuses.
    """
    entry = listed(entry_id)
    note = printable(note.strip(), "A reason", LONGEST_NOTE)
    named = SettlementInstruction.objects.filter(reference=reference.strip().upper()).first()
    if named is None:
        raise InstructionNotFound
    is_used = entry.reason == matching.USED
    if entry.asset_id is None or entry.amount is None or is_used or is_never_by_hand(entry):
        why = matching.REASONS.get(entry.reason, "it takes a payment back")
        raise EntryDoesNotFit(f"It can't be matched: {why}.")
    one = locked(named.pk)
    if why := matching.misfit(entry.direction, entry.asset_id, int(entry.amount), "", one):
        raise EntryDoesNotFit(f"It can't be matched: {matching.REASONS[why]}.")
    _confirm(entry, one, by, at)
    return decided(entry, State.MATCHED, note, by, at)


@conflicts.atomic
def explain(entry_id: UUID, *, note: str, by: Actor, at: datetime) -> StatementEntry:
    """Say what a listed entry was, where it belongs to no instruction: a fee, interest.

    Raises Malformed, EntryNotFound, EntryDecided.
    """
    entry = listed(entry_id)
    return decided(entry, State.EXPLAINED, printable(note.strip(), "A reason", LONGEST_NOTE), by, at)


def is_never_by_hand(entry: StatementEntry) -> bool:
    """Whether nobody may say what moved by this entry: a return stays one, whatever came of comparing it."""
    return entry.reason in _NEVER_BY_HAND or entry.reason.startswith(matching.OF_A_RETURN)


def _read(content: bytes) -> tuple[str, list[Entry]]:
    """By what it begins with."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return StatementFile.Format.CAMT053, camt053.read(content)
    return StatementFile.Format.CSV, statement_csv.read(content)


@conflicts.atomic
def _import(content: bytes, entries: list[Entry], *, form: str, name: str, by: Actor, at: datetime) -> Imported:
    sha256 = hashlib.sha256(content).hexdigest()
    made = StatementFile(format=form, name=name[:200], sha256=sha256, entries_count=len(entries), made_at=at)
    made.made_by_id, made.made_by_client_id = by.user_id, by.client_id
    StatementFile.objects.bulk_create([made], ignore_conflicts=True)  # two at once: the second waits, and finds it
    if not StatementFile.objects.filter(pk=made.pk).exists():
        return Imported([], len(entries), sha256, is_known=True)
    kept, known = _keep(made, entries)
    named = SettlementInstruction.objects.filter(reference__in=[one.named for one in kept if one.named])
    list(named.order_by("pk").select_for_update(no_key=True).values_list("pk"))  # all of them, in one order
    for one in kept:
        if one.state == State.LISTED and not one.reason:
            _match(one, by, at)
    return Imported(sorted(kept, key=lambda one: one.number), known, sha256)


def _keep(made: StatementFile, entries: list[Entry]) -> tuple[list[StatementEntry], int]:
    """Write down what isn't known, listed; gives those rows, and how many were known."""
    assets = Asset.objects.in_bulk({entry.currency for entry in entries})
    rows: dict[str, StatementEntry] = {}
    for number, entry in enumerate(entries, start=1):
        row = _row(made, number, entry, assets.get(entry.currency))
        before = rows.get(row.key)
        if before is not None and before.facts != row.facts:
            _by_another_key(row)
        rows.setdefault(row.key, row)
    StatementEntry.objects.bulk_create([rows[key] for key in sorted(rows)], ignore_conflicts=True)
    there = dict(StatementEntry.objects.filter(key__in=list(rows)).values_list("key", "facts"))
    otherwise = [row for key, row in rows.items() if there[key] != row.facts]
    for row in otherwise:
        _by_another_key(row)
    StatementEntry.objects.bulk_create(sorted(otherwise, key=lambda row: row.key), ignore_conflicts=True)
    kept = list(StatementEntry.objects.filter(file=made).select_related("asset").order_by("number"))
    return kept, len(entries) - len(kept)


def _by_another_key(row: StatementEntry) -> None:
    """Of what has another's reference, and says something else: what nobody may assign by itself stays so."""
    row.key = hashlib.sha256(f"{row.key}{row.facts}".encode()).hexdigest()
    row.reason = matching.USED_AND_UNCLEAR if is_never_by_hand(row) else matching.USED


def _row(made: StatementFile, number: int, entry: Entry, asset: Asset | None) -> StatementEntry:
    amount = matching.amount_of(entry, asset)
    named = matching.named_in(entry.names)
    reason = matching.problem_of(entry, asset, amount) or matching.waits_because(named)
    return StatementEntry(
        file=made,
        number=number,
        key=entry.key,
        facts=entry.facts,
        account=entry.account[:100],
        asset=asset,
        currency=entry.currency[:10],
        amount=amount,
        amount_text=entry.amount[:40],
        direction=entry.direction,
        bank_reference=entry.bank_reference[:100],
        names=list(entry.names),
        named=named[0] if len(named) == 1 else "",
        other_account=entry.other_account[:100],
        booked_on=entry.booked_on,
        reason=reason,
    )


def _match(entry: StatementEntry, by: Actor, at: datetime) -> None:
    """Confirm what it names, under that instruction's lock; else note why not."""
    named = SettlementInstruction.objects.filter(reference=entry.named).values_list("pk", flat=True).first()
    if named is None:
        _list(entry, "unknown_instruction")
        return
    one = locked(named)
    amount, asset = int(entry.amount or 0), entry.asset_id or ""
    if why := matching.misfit(entry.direction, asset, amount, entry.other_account, one):
        _list(entry, why)
        return
    try:
        with transaction.atomic():
            _confirm(entry, one, by, at)
    except Refusal:
        _list(entry, "leg_refused")
        return
    entry.state = State.MATCHED
    entry.save(update_fields=["state", "reason", "instruction"])


def _confirm(entry: StatementEntry, one: SettlementInstruction, by: Actor, at: datetime) -> None:
    """So much more of an instruction has moved; its legs are told under the bank's own reference."""
    one.confirmed_amount += entry.amount or 0
    if one.confirmed_amount == one.amount:
        one.state = InstructionState.CONFIRMED
    one.updated_at = at
    one.save(update_fields=["confirmed_amount", "state", "updated_at"])
    confirm.report_legs(one, reference=entry.outside_reference, by=by, at=at)
    entry.instruction, entry.reason = one, ""


def _list(entry: StatementEntry, reason: str) -> None:
    entry.reason = reason
    entry.save(update_fields=["reason"])


def decided(entry: StatementEntry, state: str, note: str, by: Actor, at: datetime) -> StatementEntry:
    """Write down what a person decided of a locked entry."""
    entry.state, entry.note, entry.decided_at = state, note, at
    entry.decided_by_id, entry.decided_by_client_id = by.user_id, by.client_id
    entry.save(
        update_fields=[
            "state",
            "reason",
            "instruction",
            "payment",
            "note",
            "decided_by",
            "decided_by_client",
            "decided_at",
        ]
    )
    return entry


def listed(entry_id: UUID) -> StatementEntry:
    """The entry, its row locked, if it waits for a person. Raises EntryNotFound, EntryDecided."""
    return undecided(
        StatementEntry, entry_id, missing=EntryNotFound, decided=EntryDecided, called="entry", state=State.LISTED
    )
