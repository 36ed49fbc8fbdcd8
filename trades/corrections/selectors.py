"""What was corrected, or is proposed to be."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from trades.corrections.errors import CorrectionNotFound
from trades.models import Correction, TradeEvent
from trades.states import CorrectionState


def corrections(*, state: str = "") -> QuerySet[Correction]:
    """Newest first, with everybody they name."""
    found = Correction.objects.select_related(
        "customer", "asset", "made_by", "made_by_client", "checked_by", "checked_by_client"
    ).order_by("-pk")
    return found.filter(state=state) if state else found


def correction(correction_id: UUID) -> Correction:
    """Raises CorrectionNotFound."""
    found = corrections().filter(pk=correction_id).first()
    if found is None:
        raise CorrectionNotFound
    return found


def reversal_of(trade_id: UUID) -> UUID | None:
    """The correction that reversed a trade, if one did."""
    event = TradeEvent.objects.filter(trade_id=trade_id, became=TradeEvent.REVERSED).first()
    return UUID(hex=event.detail) if event else None


def batch_is_reversed(batch_id: UUID) -> bool:
    """Whether a whole batch was reversed; trades of it may have been before, one by one."""
    return Correction.objects.filter(
        kind=Correction.Kind.REVERSE_BATCH, subject=batch_id, state=CorrectionState.APPLIED
    ).exists()
