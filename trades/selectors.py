"""Whose trades and batches a caller may see, and which legs are due."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.identity import Caller
from trades.errors import BatchNotFound, LegNotFound, TradeNotFound
from trades.models import Correction, LeftOut, SettlementBatch, SettlementLeg, Trade
from trades.states import BatchState, CorrectionState, LegStatus

# Whoever carries legs out may do so once the members are final; `completed` has some that a correction reopened.
_CARRIED_OUT_IN = (BatchState.SETTLING, BatchState.PARTIALLY_SETTLED, BatchState.COMPLETED)


def trades_of(caller: Caller) -> QuerySet[Trade]:
    """Newest first."""
    trades = Trade.objects.order_by("-pk")
    return trades if caller.customer_id is None else trades.filter(customer_id=caller.customer_id)


def trade_of(caller: Caller, trade_id: UUID) -> Trade:
    """Raises TradeNotFound for an unknown trade and for one that this caller may not see."""
    trade = trades_of(caller).filter(pk=trade_id).first()
    if trade is None:
        raise TradeNotFound
    return trade


def batches() -> QuerySet[SettlementBatch]:
    """Newest first."""
    return SettlementBatch.objects.select_related("window").order_by("-pk")


def batch(batch_id: UUID) -> SettlementBatch:
    """Raises BatchNotFound."""
    found = batches().filter(pk=batch_id).first()
    if found is None:
        raise BatchNotFound
    return found


def legs_of(batch_id: UUID) -> QuerySet[SettlementLeg]:
    return SettlementLeg.objects.filter(batch_id=batch_id).order_by("asset_id")


def leg_of(batch_id: UUID, leg_id: UUID) -> SettlementLeg:
    """Raises LegNotFound, also for another batch's leg."""
    leg = SettlementLeg.objects.filter(pk=leg_id, batch_id=batch_id).first()
    if leg is None:
        raise LegNotFound
    return leg


def legs() -> QuerySet[SettlementLeg]:
    """Newest first."""
    return SettlementLeg.objects.order_by("-pk")


def is_due(at: datetime) -> Q:
    """Of legs: what somebody should carry out and report now. A failed one is due when its pause is over."""
    reversed_whole = Correction.objects.filter(
        kind=Correction.Kind.REVERSE_BATCH, state=CorrectionState.APPLIED, subject=OuterRef("batch_id")
    )
    its_time = Q(status=LegStatus.PENDING) | Q(status=LegStatus.FAILED, next_attempt_at__lte=at)
    return its_time & Q(batch__state__in=_CARRIED_OUT_IN) & Q(~Exists(reversed_whole))


def left_out_of(batch_id: UUID) -> QuerySet[LeftOut]:
    """Who could not settle with a batch, newest first."""
    return LeftOut.objects.filter(batch_id=batch_id).order_by("-pk")


def members_of(found: SettlementBatch) -> QuerySet[Trade]:
    """A batch's trades, newest first, found by the range of ids that the batch remembers."""
    members = Trade.objects.filter(batch_id=found.pk).order_by("-pk")
    if found.first_trade_id is None or found.last_trade_id is None:
        return members.none()
    return members.filter(pk__gte=found.first_trade_id, pk__lte=found.last_trade_id)
