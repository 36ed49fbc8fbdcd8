"""Whose trades and batches a caller may see."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from accounts.identity import Caller
from trades.errors import BatchNotFound, TradeNotFound
from trades.models import SettlementBatch, SettlementLeg, Trade


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


def members_of(found: SettlementBatch) -> QuerySet[Trade]:
    """A batch's trades, newest first, found by the range of ids that the batch remembers."""
    members = Trade.objects.filter(batch_id=found.pk).order_by("-pk")
    if found.first_trade_id is None or found.last_trade_id is None:
        return members.none()
    return members.filter(pk__gte=found.first_trade_id, pk__lte=found.last_trade_id)
