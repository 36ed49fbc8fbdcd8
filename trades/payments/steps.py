"""The steps of payments: each a guarded move of a locked row, with its event and its money, in one transaction.

Order of locks: payments by id, then ledger accounts. Nobody locks a payment who holds an account.
A step is never dated before the one that it follows: whoever waited for the row may have looked at the clock earlier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.errors import KeyReused
from accounts.identity import SYSTEM, Actor
from trades.errors import PaymentNotFound
from trades.models import Payment, PaymentEvent, PaymentFile
from trades.payments import money
from trades.states import PaymentFailure, PaymentState


def locked(payment_id: UUID) -> Payment:
    """The payment, its row locked until the transaction ends. Raises PaymentNotFound."""
    payment = Payment.objects.select_for_update(no_key=True).filter(pk=payment_id).first()
    if payment is None:
        raise PaymentNotFound
    return payment


def stored(payment: Payment, by: Actor = SYSTEM) -> None:
    """Write a new payment down, and that it is there."""
    payment.save(force_insert=True)
    _note(payment, "", by, payment.created_at)


def move(payment: Payment, became: PaymentState, *, at: datetime, by: Actor = SYSTEM, **said: Any) -> None:
    """Take a locked payment on, to a state that moves no money; `said`: further columns that are known now.

    Raises KeyReused for a `reference` that another payment has, RuntimeError where it has moved meanwhile.
    """
    at = _no_earlier(payment, at)
    _move(payment, became, at, **said)
    _note(payment, payment.reference, by, at)


def sent(payments: Sequence[Payment], made: PaymentFile, *, at: datetime, by: Actor) -> None:
    """A bank is told of locked payouts that are pending, in this file: all of them settle from one time on.

    Raises RuntimeError where one has moved meanwhile.
    """
    at = max([at, *(payment.updated_at for payment in payments)])
    rows = Payment.objects.filter(pk__in=[payment.pk for payment in payments], state=PaymentState.PENDING)
    if rows.update(state=PaymentState.SETTLING, payment_file=made, updated_at=at) != len(payments):
        raise RuntimeError("A payout was not pending: nothing is written.")
    PaymentEvent.objects.bulk_create(
        PaymentEvent(
            payment=payment,
            customer_id=payment.customer_id,
            became=PaymentState.SETTLING,
            detail=made.message_id,
            by_id=by.user_id,
            by_client_id=by.client_id,
            at=at,
        )
        for payment in payments
    )


def complete(
    payment: Payment,
    reference: str,
    *,
    at: datetime,
    by: Actor = SYSTEM,
    moved_by: Actor | str,
    reason: str = "",
    **said: Any,
) -> None:
    """The money has moved outside, under this reference: book it. Of a locked payment that is settling.

    `moved_by`: who moved it, or what did, and why. Raises KeyReused for a reference that names another movement, or
    another payment.
    """
    at = _no_earlier(payment, at)
    _move(payment, PaymentState.COMPLETED, at, reference=reference, **said)
    _note(payment, reference, by, at)
    money.move_outside(payment, reference, moved_by, at, reason)


def booked(payment: Payment, *, at: datetime, by: Actor = SYSTEM) -> None:
    """The money of a new payment has moved to the other customer, in this transaction: it is complete."""
    _move(payment, PaymentState.COMPLETED, at)
    _note(payment, "", by, at)


def fail(
    payment: Payment, code: PaymentFailure, *, at: datetime, by: Actor = SYSTEM, is_held: bool = True, **said: Any
) -> None:
    """It comes to nothing: what was held of a locked payment is given back. `said`: columns that are known now."""
    at = _no_earlier(payment, at)
    _move(payment, PaymentState.FAILED, at, failure_code=code, **said)
    _note(payment, code, by, at)
    if payment.leaves and is_held:
        money.give_back(payment, at)


def _no_earlier(payment: Payment, at: datetime) -> datetime:
    return max(at, payment.updated_at)


def _move(payment: Payment, became: PaymentState, at: datetime, **said: Any) -> None:
    """Raises KeyReused for a `reference` that another payment has, RuntimeError where it has moved meanwhile."""
    before, columns = payment.state, {"state": became, "updated_at": at, **said}
    with _reference_is_free(payment, said.get("reference", "")):
        moved = Payment.objects.filter(pk=payment.pk, state=before).update(**columns)
    if moved != 1:
        raise RuntimeError(f"Payment {payment.pk.hex} was not {before}: nothing is written.")
    for name, value in columns.items():
        setattr(payment, name, value)


@contextmanager
def _reference_is_free(payment: Payment, reference: str) -> Iterator[None]:
    """A savepoint in which the payment takes this reference, if any. Raises KeyReused."""
    if not reference:
        yield
        return
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        if Payment.objects.filter(reference=reference).exclude(pk=payment.pk).exists():
            raise KeyReused(f"The reference {reference} names another payment.") from None
        raise


def _note(payment: Payment, detail: str, by: Actor, at: datetime) -> None:
    PaymentEvent.objects.create(
        payment=payment,
        customer_id=payment.customer_id,
        became=payment.state,
        detail=detail,
        by_id=by.user_id,
        by_client_id=by.client_id,
        at=at,
    )
