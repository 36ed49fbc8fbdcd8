"""Proposals: what should be corrected and why. Money moves when a second person applies them.

The one exception is an adjustment within its asset's limit: its maker applies it alone, as long as all that they
adjusted alone of this asset in the last 24 hours stays within the limit, too. Split in parts it comes to the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Sum

from accounts import conflicts
from accounts.errors import BreakNeedsExplanation, CustomerNotFound, Malformed, NobodyAnswers, UnknownAsset
from accounts.identity import SYSTEM, Actor
from accounts.models import Asset, Break, Customer
from accounts.money import MAX_POSTING
from accounts.services import breaks
from trades.corrections.decide import carry_out
from trades.corrections.errors import AlreadyProposed, NothingToReverse
from trades.corrections.reversal import batch_to_reverse, must_be_unreversed, original_of
from trades.errors import LegNotFound
from trades.models import Correction, SettlementLeg
from trades.states import CorrectionState, LegStatus

LONGEST_REASON: Final = 500
LONGEST_REFERENCE: Final = 128
SPLITTING: Final = timedelta(hours=24)  # adjustments of one person that count as one


def propose_trade_reversal(trade_id: UUID, *, reason: str, by: Actor, at: datetime) -> Correction:
    """Propose to reverse a completed trade with its live exit; either may be named, the subject is the original.

    Raises Malformed, NobodyAnswers, TradeNotFound, NotCompleted, AlreadyReversed, AlreadyProposed.
    """
    original = original_of(trade_id)
    must_be_unreversed(original)
    return _propose(Correction.Kind.REVERSE_TRADE, by, at, reason, subject=original.pk)


def propose_batch_reversal(batch_id: UUID, *, reason: str, by: Actor, at: datetime) -> Correction:
    """Propose to reverse every trade of a completed batch that isn't yet, and its legs.

    Raises Malformed, NobodyAnswers, BatchNotFound, NotCompleted, AlreadyReversed, NothingToReverse, AlreadyProposed.
    """
    return _propose(Correction.Kind.REVERSE_BATCH, by, at, reason, subject=batch_to_reverse(batch_id).pk)


def propose_leg_reversal(leg_id: UUID, *, reason: str, by: Actor, at: datetime) -> Correction:
    """Propose to take a settled leg back, so that it can be reported anew.

    Raises Malformed, NobodyAnswers, LegNotFound, NothingToReverse, AlreadyProposed.
    """
    leg = SettlementLeg.objects.filter(pk=leg_id).first()
    if leg is None:
        raise LegNotFound
    if leg.status != LegStatus.SETTLED:
        raise NothingToReverse(f"The leg is {leg.status}; only a settled one can be reversed.")
    return _propose(Correction.Kind.REVERSE_LEG, by, at, reason, subject=leg.pk)


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
) -> Correction:
    """Propose to move `amount` base units to (credit) or from (debit) a customer's available balance.

    Within the limit it comes back applied. Raises Malformed, NobodyAnswers, CustomerNotFound, UnknownAsset, and,
    where it is applied at once, InsufficientFunds.
    """
    if direction not in Correction.Direction.values:
        raise Malformed("The direction is credit (to the customer) or debit (from the customer).")
    if not 0 < amount <= MAX_POSTING:
        raise Malformed("The amount must be above zero, and one that can exist.")
    if not Customer.objects.filter(pk=customer_id).exists():
        raise CustomerNotFound
    # Locked, so that two adjustments of one person at once can't both find room below the limit.
    known = Asset.objects.select_for_update(no_key=True).filter(pk=asset).first() if asset.isprintable() else None
    if known is None:
        raise UnknownAsset(f"There is no asset {asset[:10]!r}.")
    is_alone = amount + _adjusted_alone(known, by, at - SPLITTING) <= int(known.adjustment_limit)
    correction = _propose(
        Correction.Kind.ADJUSTMENT,
        by,
        at,
        reason,
        reference=reference,
        customer_id=customer_id,
        asset_id=known.pk,
        amount=amount,
        direction=direction,
        needs_checker=not is_alone,
    )
    return carry_out(correction, checker=SYSTEM, at=at) if is_alone else correction


def propose_break_resolution(
    break_id: UUID, kind: str, *, reason: str, reference: str = "", by: Actor, at: datetime
) -> Correction:
    """Propose that a leg's difference was paid after all (BREAK_PAID), or is to be BREAK_WRITTEN_OFF.

    Raises Malformed, NobodyAnswers, BreakNotFound, BreakResolved, BreakNeedsExplanation, AlreadyProposed.
    """
    if kind not in (Correction.Kind.BREAK_PAID, Correction.Kind.BREAK_WRITTEN_OFF):
        raise Malformed("A break is paid (break_paid) or written off (break_written_off).")
    found = breaks.open_break(break_id)
    if found.kind != Break.Kind.LEG_DIFFERENCE:
        raise BreakNeedsExplanation
    return _propose(
        kind,
        by,
        at,
        reason,
        reference=reference,
        subject=found.pk,
        asset_id=found.asset_id,
        amount=abs(int(found.amount)),
    )


def _adjusted_alone(asset: Asset, by: Actor, since: datetime) -> int:
    """How much this person or program adjusted without a checker, in base units, both directions together."""
    total = Correction.objects.filter(
        kind=Correction.Kind.ADJUSTMENT,
        asset=asset,
        state=CorrectionState.APPLIED,
        needs_checker=False,
        made_by=by.user_id,
        made_by_client=by.client_id,
        made_at__gt=since,
    ).aggregate(total=Sum("amount"))["total"]
    return int(total or 0)


@conflicts.atomic
def _propose(
    kind: str, by: Actor, at: datetime, reason: str, *, reference: str = "", subject: UUID | None = None, **terms: Any
) -> Correction:
    if by.is_system:
        raise NobodyAnswers
    reason, reference = reason.strip(), reference.strip()
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"A correction has a reason of 1 to {LONGEST_REASON} characters on one line.")
    if len(reference) > LONGEST_REFERENCE or not reference.isprintable():
        raise Malformed(f"A reference has at most {LONGEST_REFERENCE} characters on one line.")
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
                made_by_id=by.user_id,
                made_by_client_id=by.client_id,
                made_at=at,
                **terms,
            )
    except IntegrityError:
        if proposed.exists():  # made at the same moment
            raise AlreadyProposed from None
        raise
