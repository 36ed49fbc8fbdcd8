"""Holding a single trade back from settlement, for a reason, until somebody clears it.

A flag stops nothing by itself: the cut, and the review before a batch's money moves, leave flagged trades out
together with their exit or original. A trade whose batch has begun to settle settles with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.errors import Malformed
from accounts.identity import Actor
from trades.errors import FlagNotFound, TradeFlagged, TradeNotFound, TradeNotHoldable
from trades.models import Trade, TradeFlag
from trades.states import TradeState

LONGEST_REASON: Final = 200


@conflicts.atomic
def flag(trade_id: UUID, *, reason: str, by: Actor, at: datetime) -> TradeFlag:
    """Hold a trade back. Raises Malformed, TradeNotFound, TradeNotHoldable, TradeFlagged."""
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"A reason has 1 to {LONGEST_REASON} printable characters.")
    trade = Trade.objects.filter(pk=trade_id).first()
    if trade is None:
        raise TradeNotFound
    if trade.state not in (TradeState.STORING, TradeState.SETTLING):
        raise TradeNotHoldable
    try:
        with transaction.atomic():
            return TradeFlag.objects.create(trade_id=trade_id, reason=reason, flagged_by_id=by.user_id, flagged_at=at)
    except IntegrityError:
        raise TradeFlagged from None


@conflicts.atomic
def clear(trade_id: UUID, *, by: Actor, at: datetime) -> TradeFlag:
    """Let a trade settle with the next batch. Raises FlagNotFound."""
    found = TradeFlag.objects.select_for_update().filter(trade_id=trade_id, cleared_at__isnull=True).first()
    if found is None:
        raise FlagNotFound
    found.cleared_at, found.cleared_by_id = at, by.user_id
    found.save(update_fields=["cleared_at", "cleared_by"])
    return found
