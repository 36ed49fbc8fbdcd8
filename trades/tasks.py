"""Celery's way in: one call per task. The state columns are the queue, a message only wakes a worker.

Each task may be delivered twice, late or never, and may run beside itself on another machine; its docstring
says why that is harmless. None relies on being redelivered: the beat asks again every few seconds.
"""

from __future__ import annotations

import logging
from uuid import UUID

import redis
from celery import shared_task
from django.conf import settings
from django.db import IntegrityError

from accounts import clock
from accounts.conflicts import AGAIN
from accounts.errors import Refusal
from quotes import prices
from trades.corrections.batch_reversal import carry_on
from trades.engine import price_extremes
from trades.low_water import STORING, low_water, raise_low_water
from trades.models import Correction, SettlementBatch
from trades.payments import carry as payments
from trades.settlement.cut import cut_due as cut_due_windows
from trades.settlement.legs import retry_due
from trades.settlement.settle import CHUNK, SETTLEABLE, Progress, settle
from trades.settlement.settler_slots import REVERSING, settler_slot
from trades.spot.advance import advance as advance_trades
from trades.spot.sweep import sweep as sweep_trades
from trades.states import BatchState, CorrectionState

logger = logging.getLogger(__name__)

_LOCKED_RETRY_SECONDS = 0.2
_MOST_ROUNDS = 10


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def advance(ids: list[str], rounds: int = 0) -> None:
    """Move these trades out of storing; exits whose original is locked by another are tried again shortly.

    Twice at once: each locks what it moves and passes over what the other has locked; a trade that has moved
    is not in storing any more.
    """
    left = advance_trades([UUID(hex=id_) for id_ in ids], prices=_latest_prices).left
    if left and rounds < _MOST_ROUNDS:
        advance.apply_async(([id_.hex for id_ in left], rounds + 1), countdown=_LOCKED_RETRY_SECONDS)


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Move whatever stands in storing, from its low-water mark on, which may be lost.

    Twice at once: like `advance`; the mark only ever skips what neither left in storing.
    """
    mark = sweep_trades(low_water=low_water([STORING]), prices=_latest_prices)
    raise_low_water([STORING], mark)


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def carry_payments(ids: list[str]) -> None:
    """Take these payments on as far as their rail goes by itself.

    Twice at once: each step is a transaction under the payment's lock, and the second passes over what is locked; a
    payment that has moved on takes its next step once.
    """
    payments.carry(UUID(hex=id_) for id_ in ids)


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def sweep_payments() -> None:
    """Take on whatever payment is under way. Twice at once: like `carry_payments`."""
    if taken := payments.sweep():
        logger.info("payments: %d steps were left to take", taken)


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def cut_due() -> None:
    """Cut the settlement windows that are due, and have the batches settled.

    Twice at once: a batch is unique per window and cut time, the second finds it made.
    """
    if cut_due_windows(clock.firm_now()):
        settle_open.delay()


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def settle_open(number: int = 0) -> None:
    """Settle every confirmed batch as far as its legs allow, also one that a killed worker left in the middle.

    `number` is the settler slot to take. Twice at once: the second finds the slot taken and leaves the batches to the
    first. Whoever has a slot wakes a worker for the next one where there is work for two; they share the slices out,
    and no slice is done twice. A batch that only waits for its legs costs a few queries and is not logged.
    """
    with settler_slot(number) as is_mine:
        if not is_mine:
            return
        open_ones = list(SettlementBatch.objects.filter(state__in=SETTLEABLE).order_by("pk"))
        if number + 1 < settings.SETTLERS and any(one.trades_count - one.completed_count > CHUNK for one in open_ones):
            settle_open.delay(number + 1)
        for batch in open_ones:
            _settle(batch)


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def retry_legs() -> None:
    """Make failed legs due again whose pause is over; whoever carries legs out finds them.

    Twice at once: one statement, and a leg that is pending already is not failed any more.
    """
    if due := retry_due(clock.firm_now()):
        logger.info("%d failed legs are due again", due)


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def carry_reversals_on() -> None:
    """Carry on the reversals of batches that were begun, also one that was left in the middle.

    Twice at once: the second finds the slot taken and leaves; a slice is done once, whoever does it. One that only
    waits for customers who can't pay back costs a few queries and is not logged.
    """
    with settler_slot(REVERSING) as is_mine:
        if not is_mine:
            return
        for correction in Correction.objects.filter(state=CorrectionState.APPLYING).order_by("pk"):
            _carry_on(correction)


def _carry_on(correction: Correction) -> None:
    done = correction.trades_done
    try:
        for progress in carry_on(correction.pk, clock=clock.firm_now):
            if progress.reversed != done:
                logger.info("reversal %s: %d of %d trades", correction.pk.hex, progress.reversed, progress.total)
            done = progress.reversed
    except (Refusal, RuntimeError, IntegrityError, redis.RedisError):
        logger.exception("reversal %s can't be carried on; the others go on", correction.pk.hex)


def _settle(batch: SettlementBatch) -> None:
    """Settle one batch and tell what changed; one that can't be settled is told, and holds up no other."""
    moved, completed = batch.state == BatchState.CONFIRMED, batch.completed_count
    try:
        for progress in settle(batch.pk, clock=clock.firm_now):
            moved = moved or progress.completed != completed
            if progress.completed != completed or (moved and progress.is_done):
                _tell(batch.pk, progress)
            completed = progress.completed
    except (Refusal, RuntimeError, IntegrityError):
        logger.exception("batch %s can't be settled; the others go on", batch.pk.hex)


@shared_task(**AGAIN)  # type: ignore[untyped-decorator]
def forget_old_extremes() -> None:
    """Delete the price extremes that no trailing stop can need any more.

    Twice at once: what one has deleted the other doesn't find.
    """
    if forgotten := price_extremes.forget_old():
        logger.info("%d price extremes decide nothing any more and are gone", forgotten)


def _tell(batch_id: UUID, progress: Progress) -> None:
    waits = f", waits for the legs of {', '.join(progress.waits_for)}" if progress.waits_for else ""
    logger.info("batch %s: %d of %d trades completed%s", batch_id.hex, progress.completed, progress.total, waits)


def _latest_prices() -> prices.Prices | None:
    """Asked for each transaction anew. None when Redis is away: trades wait in storing."""
    try:
        return prices.latest()
    except redis.RedisError:
        return None
