"""Statements complete payments, or take them back: each entry that names one, in a transaction of its own.

A statement's entries are kept, and its instructions confirmed, first. What names a payment is listed then, and that
list is the queue: killed in between, the next import, of the same file or of another one, goes on with it.

Whoever imported a statement stands behind the deposits that it names, whoever's import goes on with them: above what
that person moves alone they wait for a second one (`release.py`, `manual.agree`).

What names none, or doesn't fit, a person assigns to a payment or a customer, above the limit two; or marks it to be
sent back.

Order of locks: the entry, the payment, its asset, ledger accounts.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from redis import RedisError

from accounts import conflicts
from accounts.bank_details import printable
from accounts.errors import ActorRequired, CustomerNotFound, KeyReused, Malformed, Refusal
from accounts.identity import Actor
from accounts.models import Customer
from accounts.services.funding import refuse_reference
from trades.bank.references import is_of_a_payment, new_remittance_reference
from trades.corrections.payment_return import moved, return_of
from trades.corrections.propose import propose_payment_return
from trades.errors import PaymentNotFound
from trades.models import LegReference, Payment, StatementEntry
from trades.payments import by_command, manual, release, steps
from trades.payments.matching import (
    A_REVERSAL,
    NEEDS_A_PERSON,
    OF_RETURNS,
    REASONS,
    RETURN_NEEDS_A_PERSON,
    RETURN_WAITS,
    UNKNOWN_RETURN,
    due,
    misfit,
    misfit_by_hand,
    misfit_of_a_return,
)
from trades.settlement.instructions import statements
from trades.settlement.instructions.errors import EntryDoesNotFit
from trades.settlement.instructions.statements import LONGEST_NOTE, Imported, is_never_by_hand
from trades.states import CorrectionState, PaymentState

logger = logging.getLogger(__name__)
State = StatementEntry.State


def import_statement(content: bytes, *, name: str, by: Actor, at: datetime) -> Imported:
    """Keep a statement's entries, confirm what they name, and complete or return payments. Raises Malformed."""
    found = statements.import_statement(content, name=name, by=by, at=at)
    return as_it_stands(found, go_on(by=by, at=at))


def go_on(*, by: Actor, at: datetime) -> list[UUID]:
    """Compare every entry that waits for that with the payment that it names, in their order; those that it changed.

    One that can't be compared now is told, and holds up no other: it stays as it is, for the next import.
    """
    changed = statements.reconsider(by=by, at=at)
    changed += [entry_id for entry_id in those_due() if compared(entry_id, by=by, at=at)]
    release.go_on(at=at)
    return changed


def those_due() -> list[UUID]:
    return list(StatementEntry.objects.filter(due()).order_by("pk").values_list("pk", flat=True))


def compared(entry_id: UUID, *, by: Actor, at: datetime) -> bool:
    """Whether comparing it made something else of it; False where it can't be compared now, which the log says."""
    try:
        return _compare(entry_id, by=by, at=at)
    except (RuntimeError, IntegrityError, RedisError):
        logger.exception("entry %s can't be compared with its payment; the others go on", entry_id.hex)
        return False


@conflicts.atomic
def assign(entry_id: UUID, to: str | UUID, *, note: str, by: Actor, at: datetime) -> StatementEntry:
    """Say, for a reason, which instruction or payment a listed entry is, by its reference; or by a guid, for which
    customer it came in: then a payment is made for it. Amounts must fit all the same.

    A deposit within the person's limit is completed, above it `settling` until somebody else agrees or refuses. Raises
    Malformed, ActorRequired, EntryNotFound, EntryDecided, EntryDoesNotFit, InstructionNotFound, PaymentNotFound,
    CustomerNotFound, KeyReused, and what a leg refuses.
    """
    if isinstance(to, str) and not is_of_a_payment(to.strip().upper()):
        return statements.match_by_hand(entry_id, to, note=note, by=by, at=at)
    if by.user_id is None:
        raise ActorRequired
    entry = statements.listed(entry_id)
    note = printable(note.strip(), "A reason", LONGEST_NOTE)
    if entry.asset is None or entry.amount is None or is_never_by_hand(entry):
        raise EntryDoesNotFit(f"It can't be assigned: {REASONS[entry.reason]}.")
    payment = _of_reference(to) if isinstance(to, str) else _of_customer(entry, to, by, at)
    if why := misfit_by_hand(entry, payment):
        raise EntryDoesNotFit(f"It can't be assigned: {REASONS[why]}.")
    entry.payment, entry.reason = payment, ""
    statements.decided(entry, State.MATCHED, note, by, at)
    reference = _unclaimed(entry)
    if payment.leaves:
        steps.complete(payment, reference, at=at, by=by, moved_by=by)
    else:
        _must_be_pending(payment, at)
        manual.said(payment, reference, by, at)
    return entry


@conflicts.atomic
def mark_to_send_back(entry_id: UUID, *, note: str, by: Actor, at: datetime) -> StatementEntry:
    """Say that what came in is to be sent back, and why: it is nobody's here.

    Raises Malformed, EntryNotFound, EntryDecided, EntryDoesNotFit for what didn't come in.
    """
    entry = statements.listed(entry_id)
    if entry.direction != "incoming" or entry.amount is None or is_never_by_hand(entry):
        raise EntryDoesNotFit("Only what came in to an account of the firm's can be sent back.")
    return statements.decided(entry, State.SEND_BACK, printable(note.strip(), "A reason", LONGEST_NOTE), by, at)


def as_it_stands(found: Imported, changed: Collection[UUID]) -> Imported:
    """As it stands now that payments were looked at, with the entries of earlier imports that this one went on with."""
    own = {one.pk for one in found.entries}
    rows = StatementEntry.objects.filter(pk__in={*own, *changed}).select_related("asset", "instruction", "payment")
    of_each = list(rows.order_by("pk"))
    mine = sorted((one for one in of_each if one.pk in own), key=lambda one: one.number)
    return replace(found, entries=mine, earlier=[one for one in of_each if one.pk not in own])


@conflicts.atomic
def _compare(entry_id: UUID, *, by: Actor, at: datetime) -> bool:
    """Complete, or return, the payment that an entry names; else note why not. Whether it is something else now."""
    rows = StatementEntry.objects.filter(due(), pk=entry_id).select_related("file")
    entry = rows.select_for_update(no_key=True, of=("self",)).first()  # somebody else may have been faster
    if entry is None:
        return False
    before = (entry.state, entry.reason)
    _look_at(entry, by, at)
    return (entry.state, entry.reason) != before


def _look_at(entry: StatementEntry, by: Actor, at: datetime) -> None:
    payment_id = Payment.objects.filter(remittance_reference=entry.named).values_list("pk", flat=True).first()
    is_return = entry.reason in OF_RETURNS
    if payment_id is None:
        _list(entry, UNKNOWN_RETURN if is_return else "unknown_payment")
        return
    payment = steps.locked(payment_id)
    does, why = (_return, misfit_of_a_return) if is_return else (_complete, misfit)
    if reason := why(entry, payment):
        _list(entry, reason)
        return
    try:
        with transaction.atomic():
            does(entry, payment, by, at)
    except Refusal:
        entry.state, entry.payment = State.LISTED, None  # as it was before
        _list(entry, "return_refused" if is_return else "payment_refused")


def _complete(entry: StatementEntry, payment: Payment, by: Actor, at: datetime) -> None:
    """The bank says that it moved. Raises Malformed, KeyReused."""
    importer = _importer(entry, by)
    if not payment.leaves and importer.user_id is None:
        _list(entry, NEEDS_A_PERSON)
        return
    reference = _unclaimed(entry)
    _matched(entry, payment, "")
    if payment.leaves:
        steps.complete(payment, reference, at=at, by=by, moved_by=f"rail {payment.rail}")
        return
    assert importer.user_id is not None  # as was seen above
    _must_be_pending(payment, at)
    manual.imported(payment, reference, importer.user_id, by=by, at=at)


def _importer(entry: StatementEntry, by: Actor) -> Actor:
    """Who imported the statement, and not who goes on with it: nobody makes somebody else the first person. Where that
    was nobody, in a sandbox, the one who goes on."""
    user_id, client_id = entry.file.made_by_id, entry.file.made_by_client_id
    return by if user_id is None and client_id is None else Actor(user_id=user_id, client_id=client_id)


def _return(entry: StatementEntry, payment: Payment, by: Actor, at: datetime) -> None:
    """The bank took it back: a correction says so, above the limit once a second person has applied it.

    Raises what proposing it does.
    """
    made = return_of(payment.pk)
    if made is None and entry.reason == RETURN_WAITS:
        _list(entry, "return_rejected")
        return
    importer = _importer(entry, by)
    if made is None and importer.is_system:
        _list(entry, RETURN_NEEDS_A_PERSON)
        return
    if made is None:
        made = propose_payment_return(
            payment.pk,
            int(entry.amount or 0),
            reference=_unclaimed(entry),
            reason=f"The bank's statement says so, entry {entry.pk.hex}.",
            by=importer,
            at=at,
        )
    elif (made.reference, made.amount) != (entry.outside_reference, entry.amount):
        raise KeyReused(f"It came back by {made.reference}, of {moved(payment)} base units.")
    elif StatementEntry.objects.filter(payment=payment, state=State.MATCHED, reason=A_REVERSAL).exists():
        raise KeyReused(f"Another entry says that it came back by {made.reference}.")
    if made.state == CorrectionState.APPLIED:
        _matched(entry, payment, A_REVERSAL)
    else:
        _list(entry, RETURN_WAITS)


def _unclaimed(entry: StatementEntry) -> str:
    """The bank's reference, which no leg was settled by. Raises Malformed, KeyReused."""
    reference = entry.outside_reference
    refuse_reference(reference)
    key = reference.upper().replace(" ", "")
    if LegReference.objects.filter(key__in=[key, f"{key}/1"]).exists():  # of several legs each has a number
        raise KeyReused(f"The reference {reference} has settled a leg.")
    return reference


def _of_reference(reference: str) -> Payment:
    found = Payment.objects.filter(remittance_reference=reference.strip().upper()).values_list("pk", flat=True).first()
    if found is None:
        raise PaymentNotFound
    return steps.locked(found)


def _of_customer(entry: StatementEntry, customer_id: UUID, by: Actor, at: datetime) -> Payment:
    """A new deposit of what came in. Raises CustomerNotFound, EntryDoesNotFit, Malformed."""
    if not Customer.objects.filter(pk=customer_id).exists():
        raise CustomerNotFound
    if entry.direction != "incoming" or entry.asset is None:
        raise EntryDoesNotFit("Only what came in is assigned to a customer.")
    if not entry.amount:
        raise Malformed("The amount must be above zero.")
    return by_command.written(
        Payment.Side.DEPOSIT,
        customer_id,
        entry.asset.code,
        int(entry.amount),
        Payment.Rail.BANK_FILE,
        by=by,
        at=at,
        reference=new_remittance_reference(),
    )


def _must_be_pending(payment: Payment, at: datetime) -> None:
    """No worker may have been at it yet."""
    if payment.state == PaymentState.STORING:
        steps.move(payment, PaymentState.PENDING, at=at)


def _matched(entry: StatementEntry, payment: Payment, reason: str) -> None:
    entry.state, entry.payment, entry.reason = State.MATCHED, payment, reason
    entry.save(update_fields=["state", "payment", "reason"])


def _list(entry: StatementEntry, reason: str) -> None:
    entry.reason = reason
    entry.save(update_fields=["reason"])
