"""Find the trades that stand in storing and move them: what a lost wake-up left behind.

No index says which trades are due (it would have to be rewritten at every step), so they are found by a
range of the time-ordered primary key, from a low-water mark on. The mark may be forgotten at any time:
then one sweep looks at everything.

Prices are read anew for each set. A set that breaks, or comes too late, holds up no other; where the session was ended
under the sweep, it looks again for what is left.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice, zip_longest
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError, connection
from django.db.models import QuerySet

from accounts import clock
from accounts.errors import Refusal
from accounts.ids import PARTITIONS
from trades.low_water import LOWEST, highest
from trades.models import Trade
from trades.spot.advance import MOST_AT_ONCE, advance, is_session_over
from trades.spot.reading import Source
from trades.states import TradeState

logger = logging.getLogger(__name__)

MOST_LOOKS = 10


def sweep(*, low_water: UUID | None, prices: Source, at: datetime | None = None, at_once: int = MOST_AT_ONCE) -> UUID:
    """Move everything that stands in storing now, from `low_water` on; gives the mark for the next sweep.

    The mark never passes a trade that is still in storing, nor the last ten minutes by PostgreSQL's clock, for which
    `at` stands in (tests), as in what is written.
    """
    most, left = highest(at or clock.now()), set[UUID]()
    start = low_water or LOWEST
    for _ in range(MOST_LOOKS):
        try:
            for some in _sets(start, at_once):
                left.update(_advanced([id_ for id_ in some if id_ not in left], at, prices))
            return min(most, *left) if left else most
        except (DatabaseError, InterfaceError) as failure:
            if connection.in_atomic_block or not is_session_over(failure):
                raise
            logger.warning("the sweep looks again for what is left: %s", failure)
    return start


def _sets(start: UUID, at_once: int) -> Iterator[Sequence[UUID]]:
    """What goes into a transaction each, of the lower and of the upper partitions in turns.

    A customer's trades stand together, in the order they were made: a set of few customers has few accounts to lock
    and to update. A second sweep beside this one passes over what is held and takes the next set: that is one of
    other house accounts, so the two don't wait for each other.
    """
    waiting = Trade.objects.filter(pk__gte=start, state=TradeState.STORING)
    in_order = waiting.order_by("customer__partition", "customer_id", "pk").values_list("pk", flat=True)
    lower = in_order.filter(customer__partition__lt=PARTITIONS // 2)
    upper = in_order.filter(customer__partition__gte=PARTITIONS // 2)
    for turn in zip_longest(_batched(lower, at_once), _batched(upper, at_once)):
        yield from (some for some in turn if some)


def _batched(ids: QuerySet[Trade, UUID], size: int) -> Iterator[Sequence[UUID]]:
    """From a cursor on the server: a million ids take no memory here. (With DB_POOLER they do: some hundred MB.)"""
    stream = ids.iterator(chunk_size=size)
    while some := list(islice(stream, size)):
        yield some


def _advanced(ids: Sequence[UUID], at: datetime | None, prices: Source) -> Sequence[UUID]:
    """Move a set; if one of them breaks it, move each alone, so that it holds up nobody else."""
    try:
        return advance(ids, at=at, prices=prices).left
    except (IntegrityError, Refusal, RuntimeError):
        logger.exception("a set of %d trades could not be moved; trying each alone", len(ids))
    except (DatabaseError, InterfaceError) as failure:
        return _left(ids, failure)
    left: list[UUID] = []
    for id_ in ids:
        try:
            left += advance([id_], at=at, prices=prices).left
        except (IntegrityError, Refusal, RuntimeError):
            logger.exception("trade %s can't be moved out of storing", id_.hex)
            left.append(id_)
        except (DatabaseError, InterfaceError) as failure:
            left += _left([id_], failure)
    return left


def _left(ids: Sequence[UUID], failure: Exception) -> Sequence[UUID]:
    """What came too late again and again stays in storing for now; anything else is the caller's."""
    if not is_session_over(failure):
        raise failure
    logger.error("%d trades stay in storing for now: %s", len(ids), failure)
    return ids
