"""Taking completed trades back: the opposite of what they moved, as new movements that name what they reverse.

Completion took what waited in `settling` to `available`; the reversal takes it from `available`. A trade and its live
exit go together. One trade is reversed transfer by transfer; a batch by its members' terms, which never change again,
netted for each customer and pair of accounts.

Whatever reverses trades holds their batch's row: two reversals of one trade, alone or with its batch, take turns.
If they didn't, the unique `reversed` event and the movements' keys would refuse the second.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection

from accounts import ledger
from accounts.errors import InsufficientFunds
from accounts.ledger import AVAILABLE, SETTLING, Account, Movement
from accounts.ledger_select import post_selected
from accounts.models import LedgerAccount, Transfer
from trades.corrections.errors import AlreadyReversed, CannotPayBack, NotCompleted, NothingToReverse
from trades.corrections.selectors import batch_is_reversed
from trades.errors import BatchNotFound, TradeNotFound
from trades.models import Correction, SettlementBatch, SettlementLeg, Trade, TradeEvent
from trades.settlement.legs import reopen_leg
from trades.spendable import refuse_beyond
from trades.states import BatchState, LegStatus, TradeState

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

# What the batch's members moved, with the sign turned, netted for each pair of accounts of a customer.
_NETTED = """
SELECT n.customer_id, c.partition AS bucket, n.asset_id, abs(n.net) AS amount,
       CASE WHEN n.net > 0 THEN n.origin ELSE n.goal END AS debited,
       CASE WHEN n.net > 0 THEN n.goal ELSE n.origin END AS credited,
       %(key)s || n.asset_id || CASE WHEN n.net > 0 THEN ':' || n.origin || ':' || n.goal
                                     ELSE ':' || n.goal || ':' || n.origin END AS key
FROM (
    SELECT t.customer_id, v.asset_id, v.origin, v.goal, sum(v.amount) AS net
    FROM trades_trade t
    CROSS JOIN LATERAL (VALUES
        (t.deliver_asset_id, 'liquidity', 'available',
         t.deliver_amount - CASE WHEN t.side = 'buy' THEN t.fee ELSE 0 END),
        (t.receive_asset_id, 'liquidity', 'available', -t.receive_amount),
        (CASE WHEN t.side = 'buy' THEN t.deliver_asset_id ELSE t.receive_asset_id END, 'fees',
         CASE WHEN t.side = 'buy' THEN 'available' ELSE 'liquidity' END, t.fee)
    ) AS v(asset_id, origin, goal, amount)
    WHERE {members}
    GROUP BY t.customer_id, v.asset_id, v.origin, v.goal HAVING sum(v.amount) <> 0
) n
JOIN accounts_customer c ON c.id = n.customer_id
"""

_MEMBERS = """t.batch_id = %(batch)s AND t.id BETWEEN %(first)s AND %(last)s AND t.state = 'completed'
      AND NOT EXISTS (SELECT FROM trades_tradeevent e WHERE e.trade_id = t.id AND e.became = 'reversed')"""

_MOVEMENTS = _NETTED.format(members=_MEMBERS)

_SHORT = f"""
SELECT count(*) OVER (), w.customer_id, w.asset_id
FROM (
    SELECT customer_id, asset_id, sum(CASE WHEN credited = 'available' THEN amount ELSE -amount END) AS net
    FROM ({_MOVEMENTS}) m WHERE 'available' IN (debited, credited) GROUP BY customer_id, asset_id
) w
LEFT JOIN accounts_ledgeraccount a
    ON a.customer_id = w.customer_id AND a.asset_id = w.asset_id AND a.type = 'available'
WHERE coalesce(a.credits - a.debits, 0) + w.net < 0
ORDER BY w.customer_id, w.asset_id LIMIT 1
"""  # noqa: S608 - our own text

# Who gives back more of the account currency than they get.
_PAYING = f"""
SELECT customer_id FROM ({_MOVEMENTS}) m WHERE 'available' IN (debited, credited) AND asset_id = %(currency)s
GROUP BY customer_id HAVING sum(CASE WHEN credited = 'available' THEN amount ELSE -amount END) < 0
"""  # noqa: S608 - our own text

_RECORD = f"""
INSERT INTO trades_tradeevent (id, trade_id, customer_id, became, detail, at)
SELECT new_uuid7(), t.id, t.customer_id, 'reversed', %(detail)s, %(at)s FROM trades_trade t WHERE {_MEMBERS}
"""  # noqa: S608 - our own text


def original_of(trade_id: UUID) -> Trade:
    """The trade that a reversal is about: an exit goes with its original. Raises TradeNotFound, NotCompleted."""
    trade = Trade.objects.filter(pk=trade_id).first()
    if trade is None:
        raise TradeNotFound
    if trade.state != TradeState.COMPLETED:
        raise NotCompleted(f"The trade is {trade.state}; only a completed one can be reversed.")
    return trade if trade.exiting_trade_id is None else Trade.objects.get(pk=trade.exiting_trade_id)


def must_be_unreversed(trade: Trade) -> None:
    """Raises AlreadyReversed."""
    if TradeEvent.objects.filter(trade=trade, became=TradeEvent.REVERSED).exists():
        raise AlreadyReversed("The trade has been reversed already.")


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


def reverse_batch(correction: Correction, at: datetime) -> int:
    """Reverse every trade of a completed batch that isn't yet, and its settled legs; how many movements that took.

    A statement per table, whatever the batch's size. Raises what `batch_to_reverse` does, LegStateForbids, and
    CannotPayBack when some customers have spent what they received.
    """
    assert correction.subject is not None
    batch = batch_to_reverse(correction.subject, lock=True)
    # All of them, so that none is reported just now; afterwards the reversal forbids it.
    legs = list(SettlementLeg.objects.select_for_update(no_key=True).filter(batch=batch).order_by("pk"))
    given = {
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
        "detail": correction.pk.hex,
        "at": at,
        "key": f"{REVERSAL}:batch:{batch.pk.hex}:",
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        moved = _take_back(given, correction.pk, at)
        cursor.execute(_RECORD, given)  # last: until it is written, the statements above see the same members
    # The firm's accounts come after the customers': nobody takes them in the other order.
    for leg in legs:
        if leg.status == LegStatus.SETTLED:
            moved += reopen_leg(leg.pk, subject=correction.pk, at=at)
    return moved


def _take_back(given: dict[str, Any], subject: UUID, at: datetime) -> int:
    """Post the opposite of what the members moved; a polite refusal where the floor would be broken."""
    _refuse_shortage(given)
    with connection.cursor() as cursor:
        cursor.execute(_PAYING, given | {"currency": settings.ACCOUNT_CURRENCY})
        paying = {customer for (customer,) in cursor.fetchall()}
    try:
        moved = post_selected(_MOVEMENTS, given, kind=REVERSAL, subject=subject, at=at)
        _refuse_unspendable(paying)
        return moved
    except InsufficientFunds as error:
        raise CannotPayBack(error.text) from None
    except IntegrityError as error:
        if "customer_never_below_zero" not in str(error):
            raise
        _refuse_shortage(given)  # somebody spent it since we looked
        raise CannotPayBack from None


def _refuse_unspendable(customers: Collection[UUID]) -> None:
    """What is taken back may not be what open positions need. Raises InsufficientFunds."""
    currency = settings.ACCOUNT_CURRENCY
    available = [ledger.customers(customer, currency, AVAILABLE) for customer in customers]
    refuse_beyond(list(ledger.lock(available).values()))


def _refuse_shortage(given: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SHORT, given)
        short = cursor.fetchone()
    if short:
        count, customer, asset = short
        whose = f"{count}, among them {asset} of {customer.hex}"
        raise CannotPayBack(f"Balances that don't cover what they would have to give back: {whose}.")
