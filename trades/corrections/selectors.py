"""What was corrected, or is proposed to be."""

from __future__ import annotations

from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery, UUIDField
from django.db.models.functions import Coalesce

from trades.corrections.errors import CorrectionNotFound
from trades.models import Correction, Trade, TradeEvent
from trades.selectors import batch_reversals


def corrections(*, state: str = "") -> QuerySet[Correction]:
    """Newest first, with everybody they name."""
    found = Correction.objects.select_related(
        "customer", "asset", "made_by", "made_by_client", "checked_by", "checked_by_client"
    ).order_by("-pk")
    return found.filter(state=state) if state else found


def told() -> QuerySet[Correction]:
    """Newest first, for other programs: each with `whose`, its customer or that of the trade that it reverses."""
    subject = Trade.objects.filter(pk=OuterRef("subject"))
    whose = Coalesce("customer_id", Subquery(subject.values("customer_id")), output_field=UUIDField())
    return Correction.objects.annotate(whose=whose).order_by("-pk")


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


def reversal_of_batch(batch_id: UUID) -> Correction | None:
    """The correction that reverses a whole batch, or has; trades of it may have been reversed before, one by one."""
    return batch_reversals().filter(subject=batch_id).first()


def batch_is_reversed(batch_id: UUID) -> bool:
    """Whether a whole batch was reversed, or is being reversed."""
    return reversal_of_batch(batch_id) is not None
