"""The manual rail: a person says that the money moved, and under which reference; above the limit a second one agrees.

The limit is the asset's, as for corrections, and counts what the same person did alone in the last 24 hours; for a
customer who is frozen or not verified it takes two whatever the amount. Until the second one agrees the payment is
`settling`: it has its reference, and the money is where it was.

So it is of a deposit by a bank's files: whoever says that an entry of a statement is this deposit (`said`), or imported
the statement that names it (`imported`), is the first person. The reference stays the entry's until the second one
agrees; refused, the entry is listed anew.

Order of locks: the payment, its asset, ledger accounts; the entry of the payment that is refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from accounts import conflicts
from accounts.errors import ActorRequired, KeyReused
from accounts.identity import Actor
from accounts.models import Funding
from accounts.services.funding import refuse_reference
from trades.corrections.propose import asset_locked, is_within_limit
from trades.errors import MakerIsChecker, PaymentStateForbids
from trades.funding import takes_two
from trades.models import Payment, StatementEntry
from trades.payments import steps, stops
from trades.settlement.instructions.errors import MayStillBePaid
from trades.states import PAYMENTS_UNDER_WAY, PaymentFailure, PaymentState

_NOT_BY_HAND: Final = "The payment isn't carried by hand."


@conflicts.atomic
def confirm(payment_id: UUID, *, reference: str, by: Actor, at: datetime) -> Payment:
    """Say that the money of a pending payment moved outside, under the bank's or the provider's reference.

    Within the limit it comes back completed, else `settling`, until somebody else agrees. The same person may say the
    same again. Raises ActorRequired, Malformed, PaymentNotFound, PaymentStateForbids, and KeyReused for a
    reference that names another movement, of whomever.
    """
    if by.user_id is None:
        raise ActorRequired
    refuse_reference(reference)
    payment = _by_hand(payment_id)
    if (payment.reference, payment.made_by_id) == (reference, by.user_id):
        return payment
    if payment.state == PaymentState.STORING and not payment.expected_error:  # no worker has been here yet
        steps.move(payment, PaymentState.PENDING, at=at)
    if payment.state != PaymentState.PENDING:
        raise PaymentStateForbids(f"The payment is {payment.state}.")
    return said(payment, reference, by, at)


def said(payment: Payment, reference: str, by: Actor, at: datetime) -> Payment:
    """A person says of a locked pending payment that its money moved, under this reference: it is completed, or
    `settling` until somebody else agrees.

    Raises KeyReused.
    """
    is_alone = is_within_limit(asset_locked(payment.asset_id), int(payment.deliver_amount), by, at)
    needs_checker = not is_alone or takes_two(payment.customer_id, pays_out=payment.leaves)
    _settling(payment, reference, by.user_id, needs_checker, by, at)
    if not needs_checker:
        steps.complete(payment, reference, at=at, by=by, moved_by=by)
    return payment


def imported(payment: Payment, reference: str, importer: UUID, *, by: Actor, at: datetime) -> None:
    """A statement says that the money of a locked pending deposit came in: it is completed, or `settling` until
    somebody else agrees. Whoever imported it stands behind it.

    Raises KeyReused.
    """
    amount, maker = int(payment.deliver_amount), Actor(user_id=importer)
    needs_checker = not is_within_limit(asset_locked(payment.asset_id), amount, maker, at)
    _settling(payment, reference, importer, needs_checker, by, at)
    if not needs_checker:
        steps.complete(payment, reference, at=at, by=by, moved_by=f"rail {payment.rail}")


def _settling(
    payment: Payment, reference: str, maker: UUID | None, needs_checker: bool, by: Actor, at: datetime
) -> None:
    """Take a locked pending payment on. Raises KeyReused."""
    if Funding.objects.filter(reference=reference).exists():
        raise KeyReused(f"The reference {reference} names another movement.")
    is_entrys = needs_checker and _is_deposit_by_file(payment)
    words = {"reference": "" if is_entrys else reference, "made_by_id": maker, "needs_checker": needs_checker}
    steps.move(payment, PaymentState.SETTLING, at=at, by=by, **words)


@conflicts.atomic
def agree(payment_id: UUID, *, by: Actor, at: datetime) -> Payment:
    """Agree, as the second person, that the money moved: the payment completes.

    Raises ActorRequired, PaymentNotFound, PaymentStateForbids, MakerIsChecker, and KeyReused where the reference was
    used meanwhile.
    """
    if by.user_id is None:
        raise ActorRequired
    payment = steps.locked(payment_id)
    if payment.rail != Payment.Rail.MANUAL and not _is_deposit_by_file(payment):
        raise PaymentStateForbids(_NOT_BY_HAND)
    if payment.state != PaymentState.SETTLING or payment.made_by_id is None:
        raise PaymentStateForbids(f"The payment is {payment.state}.")
    if payment.made_by_id == by.user_id:
        raise MakerIsChecker("Whoever said that the money moved can't be the second person.")
    maker = Actor(user_id=payment.made_by_id)
    if payment.rail == Payment.Rail.MANUAL:
        steps.complete(payment, payment.reference, at=at, by=by, moved_by=maker, checked_by_id=by.user_id)
        return payment
    entry = StatementEntry.objects.get(payment=payment, state=StatementEntry.State.MATCHED)
    moved_by = f"rail {payment.rail}" if entry.decided_by_id is None else maker
    steps.complete(payment, entry.outside_reference, at=at, by=by, moved_by=moved_by, checked_by_id=by.user_id)
    return payment


@conflicts.atomic
def refuse(payment_id: UUID, *, by: Actor, at: datetime, is_stopped: bool = False) -> Payment:
    """Decline a payment that hasn't completed: what was held is given back.

    A payout that a bank was told of may still be paid: who declines it says that the bank has refused or stopped it
    (`is_stopped`), and above the limit a second person says it as well: until then it stays `settling`. Raises
    ActorRequired, PaymentNotFound, PaymentStateForbids, MayStillBePaid.
    """
    if by.user_id is None:
        raise ActorRequired
    payment = steps.locked(payment_id)
    if payment.rail not in (Payment.Rail.MANUAL, Payment.Rail.BANK_FILE):
        raise PaymentStateForbids(_NOT_BY_HAND)
    if payment.state not in PAYMENTS_UNDER_WAY:
        raise PaymentStateForbids(f"The payment is {payment.state}.")
    if payment.payment_file_id is not None and not is_stopped:
        raise MayStillBePaid("The payout was sent and may still be paid: say so once the bank has stopped it.")
    stopped = {} if payment.payment_file_id is None else stops.said(payment, by, at)
    if stopped is None:
        return payment
    steps.fail(payment, PaymentFailure.REFUSED, at=at, by=by, **stopped)
    if _is_deposit_by_file(payment):
        _list_anew(payment)
    return payment


def _list_anew(payment: Payment) -> None:
    """The entry of which a person said that it is this payment's waits for somebody again."""
    StatementEntry.objects.filter(payment=payment, state=StatementEntry.State.MATCHED).update(
        state=StatementEntry.State.LISTED,
        payment=None,
        reason="assignment_refused",
        decided_by=None,
        decided_by_client=None,
        decided_at=None,
    )


def _is_deposit_by_file(payment: Payment) -> bool:
    return payment.rail == Payment.Rail.BANK_FILE and not payment.leaves


def _by_hand(payment_id: UUID) -> Payment:
    payment = steps.locked(payment_id)
    if payment.rail != Payment.Rail.MANUAL:
        raise PaymentStateForbids(_NOT_BY_HAND)
    return payment
