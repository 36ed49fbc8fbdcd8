"""Find the trades that stand in storing and move them: what a lost nudge left behind.

No index says which trades are due (it would have to be rewritten at every step), so they are found by a
range of the time-ordered primary key, from a low-water mark on. The mark may be forgotten at any time:
then one sweep looks at everything.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError

from accounts.errors import Refusal
from accounts.ids import floor_of
from quotes.prices import Prices
from trades.models import Trade
from trades.spot.advance import MOST_AT_ONCE, advance
from trades.states import TradeState

logger = logging.getLogger(__name__)

MARGIN = timedelta(minutes=10)  # ids of slow transactions and slow clocks may still appear below now


def sweep(*, low_water: UUID | None, at: datetime, prices: Prices | None) -> UUID:
    """Move everything in storing from `low_water` on; gives the mark for the next sweep.

    The mark never passes a trade that is still in storing, nor the last ten minutes.
    """
    mark = floor_of(at - MARGIN)
    after = low_water or UUID(int=0)
    while ids := _storing(after):
        left = _advanced(ids, at, prices)
        mark = min([mark, *left])
        after = UUID(int=ids[-1].int + 1)
    return mark if low_water is None else max(mark, low_water)


def _storing(start: UUID) -> list[UUID]:
    waiting = Trade.objects.filter(pk__gte=start, state=TradeState.STORING).order_by("pk")
    return list(waiting.values_list("pk", flat=True)[:MOST_AT_ONCE])


def _advanced(ids: Sequence[UUID], at: datetime, prices: Prices | None) -> Sequence[UUID]:
    """Move a set; if one of them breaks it, move each alone, so that it holds up nobody else."""
    try:
        return advance(ids, at=at, prices=prices).left
    except (IntegrityError, Refusal, RuntimeError):
        logger.exception("a set of %d trades could not be moved; trying each alone", len(ids))
    left: list[UUID] = []
    for id_ in ids:
        try:
            left += advance([id_], at=at, prices=prices).left
        except (IntegrityError, Refusal, RuntimeError):
            logger.exception("trade %s can't be moved out of storing", id_.hex)
            left.append(id_)
    return left
