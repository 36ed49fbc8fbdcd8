"""Wake a worker for trades, payments and batches, by the queue that `accounts/api/wake_worker.py` sends from."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from accounts.api.wake_worker import wake_ups

ADVANCE: Final = "trades.tasks.advance"
CARRY: Final = "trades.tasks.carry_payments"
SETTLE: Final = "trades.tasks.settle_open"


def to_advance(trade_id: UUID) -> None:
    """Ask for a stored trade to be moved. Call it after the commit that stored it."""
    wake_ups.put((ADVANCE, trade_id))


def to_carry(payment_id: UUID) -> None:
    """Ask for a new payment to be taken on. Call it after the commit that stored it."""
    wake_ups.put((CARRY, payment_id))


def to_settle() -> None:
    """Ask for the confirmed batches to be settled. Call it after the commit that confirmed one."""
    wake_ups.put((SETTLE, None))
