"""Taking completed trades back: the opposite of what they moved, as new movements that name what they reverse.

Completion took what waited in `settling` to `available`; the reversal takes it from `available`. A trade and its live
exit go together. One trade is reversed transfer by transfer; a batch by its members' terms, which never change again,
netted for each customer and pair of accounts (`batch_reversal.py`).

Whatever reverses trades holds their batch's row: two reversals of one trade, alone or with its batch, take turns.
If they didn't, the unique `reversed` event and the movements' keys would refuse the second.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from accounts import ledger
from accounts.ledger import AVAILABLE, SETTLING, Account, Movement
from accounts.models import LedgerAccount, Transfer
from trades.corrections.errors import AlreadyReversed, NotCompleted, NothingToReverse
from trades.corrections.selectors import batch_is_reversed
from trades.errors import BatchNotFound, TradeNotFound
from trades.models import Correction, SettlementBatch, Trade, TradeEvent
from trades.spendable import refuse_beyond
from trades.states import BatchState, TradeState

REVERSAL: Final = "reversal"

# How the keys of a trade's transfers end: the two accounts (trades/spot/money.py).
_PAIRS: Final = (
    "available:liquidity",
    "available:fees",
    "settling:liquidity",
    "settling:fees",
    "liquidity:settling",
    "liquidity:fees",
)


def original_of(trade_id: UUID) -> Trade:
    """The trade that a reversal is about: an exit goes with its original. Raises TradeNotFound, NotCompleted."""
    trade = Trade.objects.filter(pk=trade_id).first()
    if trade is None:
        raise TradeNotFound
    if trade.state != TradeState.COMPLETED:
        raise NotCompleted(f"The trade is {trade.state}; only a completed one can be reversed.")
    return trade if trade.exiting_trade_id is None else Trade.objects.get(pk=trade.exiting_trade_id)


def must_be_unreversed(trade: Trade) -> None:
    """Raises AlreadyReversed, also where its batch's reversal was begun, which reverses it."""
    if TradeEvent.objects.filter(trade=trade, became=TradeEvent.REVERSED).exists():
        raise AlreadyReversed("The trade has been reversed already.")
    if trade.batch_id is not None and batch_is_reversed(trade.batch_id):
        raise AlreadyReversed("The trade's batch is being reversed.")


def reverse_trade(correction: Correction, at: datetime) -> int:
    """Reverse a completed trade and its live exit; how many movements that took.

    Raises TradeNotFound, NotCompleted, AlreadyReversed, and InsufficientFunds where the customer has spent it.
    """
    assert correction.subject is not None
    original = original_of(correction.subject)
    assert original.batch_id is not None  # by constraint: it is completed
    SettlementBatch.objects.select_for_update(no_key=True).get(pk=original.batch_id)
    must_be_unreversed(original)
    trades = [original, *Trade.objects.filter(exiting_trade_id=original.pk)]
    movements = _opposites(trades, correction.pk, at)
    if ledger.post(movements, savepoint=False) != len(movements):
        raise AlreadyReversed("Movements of this trade have been reversed already.")
    own = ledger.customers(original.customer_id, settings.ACCOUNT_CURRENCY, AVAILABLE)
    if sum(m.amount * ((m.credit == own) - (m.debit == own)) for m in movements) < 0:
        _refuse_unspendable([original.customer_id])
    Trade.objects.filter(pk__in=[trade.pk for trade in trades]).update(updated_at=at)
    TradeEvent.objects.bulk_create(
        TradeEvent(
            trade=trade,
            customer_id=trade.customer_id,
            became=TradeEvent.REVERSED,
            detail=correction.pk.hex,
            at=at,
        )
        for trade in trades
    )
    return len(movements)


def _opposites(trades: Sequence[Trade], subject: UUID, at: datetime) -> list[Movement]:
    """The opposite of each transfer that took these trades of one customer out of storing."""
    moved = Transfer.objects.filter(
        customer_id=trades[0].customer_id,
        key__in=[f"trade:{trade.pk.hex}:{pair}" for trade in trades for pair in _PAIRS],
    )
    return [
        Movement(
            debit=_where_it_is_now(transfer.credit_account),
            credit=_where_it_is_now(transfer.debit_account),
            amount=int(transfer.amount),
            kind=REVERSAL,
            key=f"{REVERSAL}:{transfer.key}",
            customer_id=transfer.customer_id,
            subject=subject,
            at=at,
        )
        for transfer in moved.select_related("debit_account", "credit_account").order_by("pk")
    ]


def _where_it_is_now(account: LedgerAccount) -> Account:
    """What stood in settling has become available when its batch completed."""
    type_ = AVAILABLE if account.type == SETTLING else account.type
    return Account(account.customer_id, account.bucket, account.asset_id, type_)


def batch_to_reverse(batch_id: UUID, *, lock: bool = False) -> SettlementBatch:
    """The completed batch that may be reversed.

    Raises BatchNotFound, NotCompleted, AlreadyReversed, NothingToReverse.
    """
    rows = SettlementBatch.objects.select_for_update(no_key=True) if lock else SettlementBatch.objects
    batch = rows.filter(pk=batch_id).first()
    if batch is None:
        raise BatchNotFound
    if batch.state != BatchState.COMPLETED:
        raise NotCompleted(f"The batch is {batch.state}; only a completed one can be reversed.")
    if batch_is_reversed(batch.pk):
        raise AlreadyReversed("The batch has been reversed already.")
    if not batch.trades_count:
        raise NothingToReverse("The batch has no trades.")
    return batch


def _refuse_unspendable(customers: Collection[UUID]) -> None:
    """What is taken back may not be what open positions need. Raises InsufficientFunds."""
    currency = settings.ACCOUNT_CURRENCY
    available = [ledger.customers(customer, currency, AVAILABLE) for customer in customers]
    refuse_beyond(list(ledger.lock(available).values()))
