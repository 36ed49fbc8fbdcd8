"""Whose trades and batches a caller may see, and which legs are due."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.ledger import AVAILABLE
from accounts.models import LedgerAccount
from trades.models import (
    Correction,
    InstructionLeg,
    LeftOut,
    LegReport,
    Payment,
    SettlementBatch,
    SettlementLeg,
    SettlementWindow,
    Trade,
    TradeEvent,
)
from trades.states import CARRIED_OUT, BatchState, CorrectionState, LegStatus, PaymentState, TradeState

# Whoever carries legs out may do so once the members are final; `completed` has some that a correction reopened.
_CARRIED_OUT_IN = (BatchState.SETTLING, BatchState.PARTIALLY_SETTLED, BatchState.COMPLETED)
_OPEN = (LegStatus.PENDING, LegStatus.PARTIALLY_SETTLED)


def trades() -> QuerySet[Trade]:
    """Newest first, each with what its events say, a row of theirs by its key; None while there is none.

    `settled_at`: when it completed. `reversed_at`, `reversed_by`: when, and the guid of the correction that did it.
    """
    events = TradeEvent.objects.filter(trade=OuterRef("pk"))
    completed = events.filter(became=TradeState.COMPLETED)
    reversal = events.filter(became=TradeEvent.REVERSED)
    return Trade.objects.annotate(
        settled_at=Subquery(completed.values("at")),
        reversed_at=Subquery(reversal.values("at")),
        reversed_by=Subquery(reversal.values("detail")),
    ).order_by("-pk")


def payments() -> QuerySet[Payment]:
    """Newest first, each with `account_id`: its customer's account in its asset, None while there is none; and
    `destination_account_id`, of the customer to whom it is moved. Of one that came back: how much of it, when, and the
    guid of the correction."""

    def account_of(customer: str) -> Subquery:
        accounts = LedgerAccount.objects.filter(customer=OuterRef(customer), asset=OuterRef("asset"), type=AVAILABLE)
        return Subquery(accounts.values("pk"))

    came_back = Correction.objects.filter(
        kind=Correction.Kind.PAYMENT_RETURNED, state=CorrectionState.APPLIED, subject=OuterRef("pk")
    )
    named = {
        "account_id": account_of("customer"),
        "destination_account_id": account_of("destination"),
        "returned_amount": Subquery(came_back.values("amount")),
        "returned_at": Subquery(came_back.values("decided_at")),
        "returned_by": Subquery(came_back.values("pk")),
    }
    return Payment.objects.select_related("asset").annotate(**named).order_by("-pk")


def payments_of(customers: Collection[UUID]) -> Q:
    """Of payments: those of these customers, and those that have moved money to them.

    One that failed is the sender's alone: why it failed is nobody else's business.
    """
    return Q(customer_id__in=customers) | Q(destination_id__in=customers, state=PaymentState.COMPLETED)


def reversed_trades(corrections: Collection[str] | None = None) -> QuerySet[TradeEvent, UUID]:
    """The ids of all trades that were reversed, or of those that corrections with these guids reversed."""
    events = TradeEvent.objects.filter(became=TradeEvent.REVERSED)
    return (events if corrections is None else events.filter(detail__in=corrections)).values_list("trade_id", flat=True)


def windows() -> QuerySet[SettlementWindow]:
    """By name. `schedules` of `trades/settlement/windows.py` says when those of a page are cut next."""
    return SettlementWindow.objects.order_by("name")


def batches() -> QuerySet[SettlementBatch]:
    """Newest first, each with what the correction that reverses it as a whole says; None while there is none.

    `reversed_by`: its guid, from when it is applied; `reversed_at`: when it was through, with the last of its slices.
    """
    reversal = batch_reversals().filter(subject=OuterRef("pk"))
    through = reversal.filter(state=CorrectionState.APPLIED)
    return (
        SettlementBatch.objects.annotate(
            reversed_by=Subquery(reversal.values("pk")), reversed_at=Subquery(through.values("updated_at"))
        )
        .select_related("window")
        .order_by("-pk")
    )


def reversed_batches(corrections: Collection[str] | None = None) -> QuerySet[Correction, UUID | None]:
    """The ids of all batches that are, or were, reversed as a whole, or of those that these corrections reverse."""
    found = batch_reversals()
    return (found if corrections is None else found.filter(pk__in=corrections)).values_list("subject", flat=True)


def legs() -> QuerySet[SettlementLeg]:
    """Newest first, each with `parts`: how many reports what has come of it came in.

    `instructed`: the id, as a bank is told it, of the instruction that it is in and that counts, or None. `carried_to`:
    the guid of the later batch's leg to which what is missing is carried forward in there.
    """
    moved = LegReport.objects.filter(leg=OuterRef("pk"), reversals=OuterRef("reversals"), amount__isnull=False)
    counted = moved.order_by().values("leg").annotate(count=Count("pk")).values("count")
    line = InstructionLeg.objects.filter(leg=OuterRef("pk"), is_live=True)
    return SettlementLeg.objects.annotate(
        parts=Coalesce(Subquery(counted), 0),
        instructed=Subquery(line.values("instruction__reference")),
        carried_to=Subquery(line.values("carried_to_id")),
    ).order_by("-pk")


def reports_of(leg_id: UUID) -> QuerySet[LegReport]:
    """A leg's history, newest first."""
    return LegReport.objects.filter(leg_id=leg_id).order_by("-pk")


def batch_reversals() -> QuerySet[Correction]:
    """The corrections that reverse a whole batch, or have: their subject."""
    return Correction.objects.filter(kind=Correction.Kind.REVERSE_BATCH, state__in=CARRIED_OUT, subject__isnull=False)


def is_due(at: datetime) -> Q:
    """Of legs: what somebody should carry out and report now. A failed one is due when its pause is over."""
    its_time = Q(status__in=_OPEN) | Q(status=LegStatus.FAILED, next_attempt_at__lte=at)
    return its_time & _is_carried_out()


def _is_carried_out() -> Q:
    """Of legs: the batch has begun to settle, and wasn't reversed as a whole."""
    reversed_whole = Exists(batch_reversals().filter(subject=OuterRef("batch_id")))
    return Q(batch__state__in=_CARRIED_OUT_IN) & Q(~reversed_whole)


def is_overdue(at: datetime) -> Q:
    """Of legs: due since before their value date ended, whether or not a failed one's pause is over."""
    return Q(due_by__lte=at, status__in=[*_OPEN, LegStatus.FAILED]) & _is_carried_out()


def left_out_of(batch_id: UUID) -> QuerySet[LeftOut]:
    """Who could not settle with a batch, newest first."""
    return LeftOut.objects.filter(batch_id=batch_id).order_by("-pk")


def left_out_counts(batch_id: UUID) -> list[dict[str, Any]]:
    """How many could not settle with a batch: `stage`, `reason`, `trades`."""
    counted = LeftOut.objects.filter(batch_id=batch_id).values("stage", "reason").annotate(trades=Count("pk"))
    return [dict(one) for one in counted.order_by("stage", "reason")]


def members_of(found: SettlementBatch) -> QuerySet[Trade]:
    """A batch's trades, newest first, found by the range of ids that the batch remembers."""
    members = trades().filter(batch_id=found.pk)
    if found.first_trade_id is None or found.last_trade_id is None:
        return members.none()
    return members.filter(pk__gte=found.first_trade_id, pk__lte=found.last_trade_id)
