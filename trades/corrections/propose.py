"""Proposals: what should be corrected and why. Money moves when a second person applies them.

The one exception is an adjustment, a deposit, a withdrawal or a returned payment within its asset's limit: its maker
applies it alone, as long as all that they moved alone of this asset in the last 24 hours stays within the limit, too.
Split in parts it comes to the same.

`once` is the one-time key of the dialog that was answered: answered a second time, it gives what came of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Sum

from accounts import conflicts
from accounts.errors import (
    ActorRequired,
    BreakNeedsExplanation,
    CustomerNotFound,
    KeyReused,
    Malformed,
    UnknownAsset,
)
from accounts.identity import SYSTEM, Actor
from accounts.models import Asset, Break, Customer
from accounts.money import MAX_POSTING
from accounts.services import breaks
from accounts.services.proposals import made_by_dialog
from trades.corrections.decide import carry_out
from trades.corrections.errors import AlreadyProposed, NothingToReverse
from trades.corrections.payment_return import is_taken, returnable, takes_two_to_return
from trades.corrections.reversal import batch_to_reverse, must_be_unreversed, original_of
from trades.errors import LegNotFound
from trades.models import Correction, Payment, SettlementLeg, StatementEntry
from trades.models.instruction import NAMES_ITS_PAYMENT
from trades.states import CorrectionState, PaymentState

LONGEST_REASON: Final = 500
LONGEST_REFERENCE: Final = 128
SPLITTING: Final = timedelta(hours=24)  # movements that one person made alone and that count as one
ALONE: Final = (
    Correction.Kind.ADJUSTMENT,
    Correction.Kind.DEPOSIT,
    Correction.Kind.WITHDRAWAL,
    Correction.Kind.PAYMENT_RETURNED,
)


def propose_trade_reversal(trade_id: UUID, *, reason: str, by: Actor, at: datetime) -> Correction:
    """Propose to reverse a completed trade with its live exit; either may be named, the subject is the original.

    Raises Malformed, ActorRequired, TradeNotFound, NotCompleted, AlreadyReversed, AlreadyProposed.
    """
    original = original_of(trade_id)
    must_be_unreversed(original)
    return write_proposal(Correction.Kind.REVERSE_TRADE, by, at, reason, subject=original.pk)


def propose_batch_reversal(batch_id: UUID, *, reason: str, by: Actor, at: datetime) -> Correction:
    """Propose to reverse every trade of a completed batch that isn't yet, and its legs.

    Raises Malformed, ActorRequired, BatchNotFound, NotCompleted, AlreadyReversed, NothingToReverse, AlreadyProposed.
    """
    return write_proposal(Correction.Kind.REVERSE_BATCH, by, at, reason, subject=batch_to_reverse(batch_id).pk)


def propose_leg_reversal(leg_id: UUID, *, reason: str, by: Actor, at: datetime) -> Correction:
    """Propose to take back what has come of a leg, so that it can be reported anew.

    Raises Malformed, ActorRequired, LegNotFound, NothingToReverse, AlreadyProposed.
    """
    leg = SettlementLeg.objects.filter(pk=leg_id).first()
    if leg is None:
        raise LegNotFound
    if leg.actual is None:
        raise NothingToReverse(f"The leg is {leg.status}; only one of which something has come can be reversed.")
    return write_proposal(Correction.Kind.REVERSE_LEG, by, at, reason, subject=leg.pk)


@conflicts.atomic
def propose_adjustment(
    customer_id: UUID,
    asset: str,
    amount: int,
    direction: str,
    *,
    reason: str,
    reference: str = "",
    by: Actor,
    at: datetime,
    once: UUID | None = None,
) -> Correction:
    """Propose to move `amount` base units to (credit) or from (debit) a customer's available balance.

    Within the limit it comes back applied. Raises Malformed, ActorRequired, CustomerNotFound, UnknownAsset, and,
    where it is applied at once, InsufficientFunds.
    """
    if direction not in Correction.Direction.values:
        raise Malformed("The direction is credit (to the customer) or debit (from the customer).")
    refuse_amount(amount)
    if not Customer.objects.filter(pk=customer_id).exists():
        raise CustomerNotFound
    known = asset_locked(asset)
    correction = write_proposal(
        Correction.Kind.ADJUSTMENT,
        by,
        at,
        reason,
        reference=reference,
        once=once,
        customer_id=customer_id,
        asset_id=known.pk,
        amount=amount,
        direction=direction,
        needs_checker=not is_within_limit(known, amount, by, at),
    )
    return applied_alone(correction, at)


def propose_break_resolution(
    break_id: UUID,
    kind: str,
    *,
    reason: str,
    reference: str = "",
    by: Actor,
    at: datetime,
    once: UUID | None = None,
) -> Correction:
    """Propose that a leg's difference was paid after all (BREAK_PAID), or is to be BREAK_WRITTEN_OFF.

    Raises Malformed, ActorRequired, BreakNotFound, BreakResolved, BreakNeedsExplanation, AlreadyProposed.
    """
    if kind not in (Correction.Kind.BREAK_PAID, Correction.Kind.BREAK_WRITTEN_OFF):
        raise Malformed("A break is paid (break_paid) or written off (break_written_off).")
    if made := _made_before(once, kind, by, reason, reference, {"subject": break_id}):
        return made
    found = breaks.open_break(break_id)
    if found.kind != Break.Kind.LEG_DIFFERENCE:
        raise BreakNeedsExplanation
    return write_proposal(
        kind,
        by,
        at,
        reason,
        reference=reference,
        once=once,
        subject=found.pk,
        asset_id=found.asset_id,
        amount=abs(int(found.amount)),
    )


@conflicts.atomic
def propose_payment_return(
    payment_id: UUID,
    amount: int,
    *,
    reference: str,
    reason: str,
    by: Actor,
    at: datetime,
    once: UUID | None = None,
) -> Correction:
    """Propose that `amount` base units of a completed deposit were taken away again, or of a withdrawal came back.

    `reference` is the outside's own of that. Within the limit it comes back applied, unless the customer is frozen, not
    verified, or can't pay it: then two persons decide, and the firm bears what is missing. Raises Malformed,
    ActorRequired, PaymentNotFound, PaymentStateForbids, AlreadyReturned, KeyReused, InsufficientFunds where a position
    has no price, and redis.RedisError where positions are open and no price can be read.
    """
    if by.is_system:
        raise ActorRequired
    terms: dict[str, Any] = {"amount": amount}
    if made := _made_before(once, Correction.Kind.PAYMENT_RETURNED, by, reason, reference, terms):
        return made
    payment = returnable(payment_id, amount, reference)
    is_alone = is_within_limit(asset_locked(payment.asset_id), amount, by, at)
    needs_checker = not is_alone or takes_two_to_return(payment, amount)
    try:
        made = write_proposal(
            Correction.Kind.PAYMENT_RETURNED,
            by,
            at,
            reason,
            reference=reference,
            subject=payment.pk,
            once=once,
            customer_id=payment.customer_id,
            asset_id=payment.asset_id,
            amount=amount,
            direction=Correction.Direction.CREDIT if payment.leaves else Correction.Direction.DEBIT,
            needs_checker=needs_checker,
        )
    except IntegrityError:  # proposed at the same moment, of another asset
        if is_taken(reference):
            raise KeyReused(f"The reference {reference} names another movement.") from None
        raise
    return applied_alone(made, at)


# --- for the modules that propose --------------------------------------------------------------------


def refuse_amount(amount: int) -> None:
    """Raises Malformed."""
    if not 0 < amount <= MAX_POSTING:
        raise Malformed("The amount must be above zero, and not above what can be stored.")


def asset_locked(code: str) -> Asset:
    """Locked, so that two movements of one person at once can't both find room below its limit. Raises UnknownAsset."""
    known = Asset.objects.select_for_update(no_key=True).filter(pk=code).first() if code.isprintable() else None
    if known is None:
        raise UnknownAsset(f"There is no asset {code[:10]!r}.")
    return known


def is_within_limit(asset: Asset, amount: int, by: Actor, at: datetime) -> bool:
    """Whether this person or program may move so much of a locked asset alone, beside all that they did lately.

    By corrections, by payments of which they alone said that the money moved, or alone imported the statement that says
    so, by payouts to a bank's files that they alone approved, whether or not the bank has paid them yet, of those that
    failed what a bank was told to pay, and by sent payouts that they alone said the bank had stopped. Once a second
    person has released a statement, it counts no more.
    """
    released = StatementEntry.objects.filter(
        NAMES_ITS_PAYMENT, payment=OuterRef("pk"), file__release__released_by__isnull=False
    )
    corrected = Correction.objects.filter(
        kind__in=ALONE,
        asset=asset,
        state=CorrectionState.APPLIED,
        needs_checker=False,
        made_by=by.user_id,
        made_by_client=by.client_id,
        made_at__gt=at - SPLITTING,
    ).aggregate(total=Sum("amount"))["total"]
    paid = Payment.objects.filter(
        ~Exists(released),
        asset=asset,
        state=PaymentState.COMPLETED,
        needs_checker=False,
        made_by__isnull=False,
        made_by=by.user_id,
        events__became=PaymentState.COMPLETED,
        events__at__gt=at - SPLITTING,
        approved_at__isnull=True,
    ).aggregate(total=Sum("deliver_amount"))["total"]
    approved = (
        Payment.objects.filter(
            asset=asset, needs_checker=False, made_by=by.user_id, made_by__isnull=False, approved_at__gt=at - SPLITTING
        )
        .exclude(state=PaymentState.FAILED, payment_file__isnull=True)  # what was sent may have been paid
        .aggregate(total=Sum("deliver_amount"))["total"]
    )
    stopped = Payment.objects.filter(
        asset=asset,
        state=PaymentState.FAILED,
        stopped_by__isnull=False,
        stopped_by=by.user_id,
        stop_checked_by__isnull=True,
        stopped_at__gt=at - SPLITTING,
    ).aggregate(total=Sum("deliver_amount"))["total"]
    lately = sum(int(total or 0) for total in (corrected, paid, approved, stopped))
    return amount + lately <= int(asset.adjustment_limit)


def applied_alone(correction: Correction, at: datetime) -> Correction:
    """Carry out what needs no checker, once."""
    is_due = correction.state == CorrectionState.PROPOSED and not correction.needs_checker
    return carry_out(correction, checker=SYSTEM, at=at) if is_due else correction


@conflicts.atomic
def write_proposal(
    kind: str,
    by: Actor,
    at: datetime,
    reason: str,
    *,
    reference: str = "",
    subject: UUID | None = None,
    once: UUID | None = None,
    **terms: Any,
) -> Correction:
    """The proposal's row, or the one that this dialog made before.

    Raises ActorRequired, Malformed, AlreadyProposed, and KeyReused where the dialog had been answered otherwise.
    """
    if by.is_system:
        raise ActorRequired
    reason, reference = reason.strip(), reference.strip()
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"A correction has a reason of 1 to {LONGEST_REASON} characters on one line.")
    if len(reference) > LONGEST_REFERENCE or not reference.isprintable():
        raise Malformed(f"A reference has at most {LONGEST_REFERENCE} characters on one line.")
    said = {name: value for name, value in terms.items() if name != "needs_checker"} | {"subject": subject}
    if made := _made_before(once, kind, by, reason, reference, said):
        return made
    # Paying a break and writing it off are one question: whichever is proposed first waits for its answer.
    proposed = Correction.objects.filter(subject=subject, state=CorrectionState.PROPOSED)
    if subject is not None and proposed.exists():
        raise AlreadyProposed
    try:
        with transaction.atomic():
            return Correction.objects.create(
                kind=kind,
                subject=subject,
                reason=reason,
                reference=reference,
                once=once,
                made_by_id=by.user_id,
                made_by_client_id=by.client_id,
                made_at=at,
                updated_at=at,
                **terms,
            )
    except IntegrityError:
        if made := _made_before(once, kind, by, reason, reference, said):  # made at the same moment
            return made
        if subject is not None and proposed.exists():
            raise AlreadyProposed from None
        raise


def _made_before(
    once: UUID | None, kind: str, by: Actor, reason: str, reference: str, terms: Mapping[str, Any]
) -> Correction | None:
    said = {
        "kind": str(kind),
        "made_by_id": by.user_id,
        "made_by_client_id": by.client_id,
        "reason": reason.strip(),
        "reference": reference.strip(),
        **terms,
    }
    return made_by_dialog(
        Correction, once, lambda made: all(getattr(made, name) == value for name, value in said.items())
    )
