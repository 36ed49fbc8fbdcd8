"""A second person releases a statement that somebody imported: its deposits wait for nobody any more.

Above what its importer moves alone, a deposit that the statement names waits for a second person. That one agrees to
each, or says once that the file is the bank's, by its SHA-256: then its deposits are booked by the two of them, those
that wait at once, and those that are still to be compared when they are. One whose customer is frozen or not verified
by then waits on, for somebody who agrees to that very one: it is noted, so that no later import completes it. Nor does
one once whoever released it may not log in any more.

The release is committed first, then each deposit by itself: killed in between, the next import goes on, or whoever says
it again.

Order of locks: the payment, its asset, ledger accounts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Exists, OuterRef, QuerySet

from accounts import conflicts
from accounts.errors import ActorRequired, Refusal
from accounts.identity import Actor
from accounts.selectors import state_of
from accounts.states import CustomerState
from trades.errors import MakerIsChecker
from trades.models import Payment, StatementEntry, StatementFile, StatementRelease
from trades.models.instruction import NAMES_ITS_PAYMENT
from trades.payments import manual, steps
from trades.settlement.instructions.errors import NothingToRelease, OtherStatement, StatementNotFound
from trades.states import PaymentState

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Released:
    """What came of it: how many deposits of the file it has completed, and those that wait all the same."""

    file: StatementFile
    completed: int
    waiting: Sequence[Payment]


def release(sha256: str, *, of: UUID | None = None, by: Actor, at: datetime) -> Released:
    """Say, as the second person, that the imported statement of this SHA-256 is the bank's. Said again it goes on.

    `of`: the file that must have it. Raises ActorRequired, StatementNotFound, MakerIsChecker, NothingToRelease.
    """
    if by.user_id is None:
        raise ActorRequired
    file = StatementFile.objects.filter(sha256=sha256.strip().lower()).first()
    if file is None or of not in (None, file.pk):
        raise StatementNotFound if of is None else OtherStatement
    if file.made_by_id == by.user_id:
        raise MakerIsChecker("Whoever imported a statement can't release it: a second person does.")
    said = StatementRelease(file=file, released_by_id=by.user_id, released_at=at)
    if file.made_by_id is not None:
        StatementRelease.objects.bulk_create([said], ignore_conflicts=True)  # of two at once the first one's stands
    if released_by(file.pk) is None:
        raise NothingToRelease
    completed = go_on(at=at, of=file)
    left = waiting(file).select_related("asset", "external_bank_account", "payment_file")
    return Released(file, completed, list(left))


def released_by(file_id: UUID) -> UUID | None:
    """Who has released a statement's file; None while nobody has."""
    return StatementRelease.objects.filter(file_id=file_id).values_list("released_by_id", flat=True).first()


def go_on(*, at: datetime, of: StatementFile | None = None) -> int:
    """Complete the deposits that wait though their statement was released, of one file or of all; how many.

    One that can't be completed is told, and holds up no other.
    """
    released = _entries(of).filter(file__release__released_by__is_active=True)
    found = waiting(of).filter(Exists(released), is_left_by_release=False)
    completed = 0
    for payment_id in list(found.values_list("pk", flat=True)):
        try:
            completed += _complete(payment_id, at)
        except (Refusal, RuntimeError, IntegrityError):
            logger.exception("deposit %s can't be completed by its release; the others go on", payment_id.hex)
    return completed


def waiting(of: StatementFile | None = None) -> QuerySet[Payment]:
    """The deposits that a statement names, one file's or all, and that wait for a second person."""
    rows = Payment.objects.filter(
        Exists(_entries(of)),
        rail=Payment.Rail.BANK_FILE,
        side=Payment.Side.DEPOSIT,
        state=PaymentState.SETTLING,
        needs_checker=True,
    )
    return rows.order_by("pk")


def _entries(of: StatementFile | None) -> QuerySet[StatementEntry]:
    rows = StatementEntry.objects.filter(NAMES_ITS_PAYMENT, payment=OuterRef("pk"))
    return rows if of is None else rows.filter(file=of)


@conflicts.atomic
def _complete(payment_id: UUID, at: datetime) -> bool:
    """Agree to it, as the one who released its statement; False where it waits no more, or, from now on, for somebody
    who knows its customer's state."""
    payment = steps.locked(payment_id)
    if payment.state != PaymentState.SETTLING or payment.is_left_by_release:
        return False
    if state_of(payment.customer_id) != CustomerState.VERIFIED:
        Payment.objects.filter(pk=payment_id).update(is_left_by_release=True)
        return False
    entry = StatementEntry.objects.get(payment=payment, state=StatementEntry.State.MATCHED)
    manual.agree(payment_id, by=Actor(user_id=released_by(entry.file_id)), at=at)
    return True
