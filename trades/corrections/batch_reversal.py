"""Taking a whole batch back, by customer, in slices: as many transactions as its completion took.

1. `begin`, in the transaction in which the checker applies the proposal: whatever forbids the reversal as a whole is
   looked for, as of that moment, and refuses all of it: a customer who can't pay back, a leg that can't be taken back.
   Then the settled legs go back, and the correction is `applying`. From here on nothing else touches the batch: its
   trades are reversed and its legs reported by nobody else, by triggers.
2. `carry_on`: a slice is some customers' members. One transaction takes them back: `updated_at` and the event
   `reversed` of each, one netted movement for each customer and pair of accounts, and how far it came. Kill it
   anywhere: a slice is done whole or not at all, and whoever carries on begins with the next one.
3. Who has spent what they received since 1. is passed over and stands in `waits_for`. They are tried again whenever
   somebody carries on; with the last of them the correction is `applied`. Nobody's balance goes below zero, and
   nobody is taken back half.

The correction's row is locked for each slice, so those who carry it on take turns. Everything is SQL over ranges;
memory stays flat whatever the batch's size.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from accounts import clock, conflicts, ledger
from accounts.arrays import array
from accounts.ids import stamp_of
from accounts.ledger import AVAILABLE
from accounts.ledger_select import post_selected
from quotes import prices
from trades.corrections.errors import CannotPayBack, CorrectionNotFound
from trades.corrections.reversal import REVERSAL, batch_to_reverse
from trades.models import Correction, SettlementBatch, SettlementLeg
from trades.settlement.instructions.ending import lock_instructions_of
from trades.settlement.legs import reopen_leg
from trades.settlement.membership import expect_many
from trades.settlement.settle import CHUNK, slice_ends
from trades.spendable import NOTHING, beyond, covers, held_by_positions, sentence
from trades.states import CorrectionState

_BEFORE_ALL: Final = UUID(int=0)
_LONGEST_WAIT: Final = "60s"  # for another one's slice
_PROGRESS: Final = ("trades_done", "slices_done", "waits_for")
_MOST_TRIES: Final = 3  # of a slice in which somebody spends what another try found there

# Those that were reversed before are looked up once, and not for each trade: what the statement itself writes would be
# gone through again and again, for an index has it at once.
_MEMBERS = """t.batch_id = %(batch)s AND t.id BETWEEN %(first)s AND %(last)s AND t.state = 'completed' AND {whose}
      AND t.id NOT IN (
          SELECT t.trade_id FROM trades_tradeevent t
          WHERE t.became = 'reversed' AND t.trade_id BETWEEN %(first)s AND %(last)s AND {whose})"""
_OF_SLICE = "t.customer_id > %(after)s AND t.customer_id <= %(end)s AND t.customer_id <> ALL(%(passed)s::uuid[])"
_OF_THOSE = "t.customer_id = ANY(%(customers)s::uuid[]) AND t.customer_id <> ALL(%(passed)s::uuid[])"

# What some members moved, with the sign turned, netted for each pair of accounts of a customer.
_SUMS = """
    SELECT customer_id, side, receive_asset_id, deliver_asset_id, sum(receive_amount) AS received,
           sum(deliver_amount) AS delivered, sum(fee) AS fee
    FROM {members} GROUP BY customer_id, side, receive_asset_id, deliver_asset_id
"""
_NETS = """
    SELECT s.customer_id, v.asset_id, v.origin, v.goal, sum(v.amount) AS net
    FROM ({sums}) s
    CROSS JOIN LATERAL (VALUES
        (s.deliver_asset_id, 'liquidity', 'available', s.delivered - CASE WHEN s.side = 'buy' THEN s.fee ELSE 0 END),
        (s.receive_asset_id, 'liquidity', 'available', -s.received),
        (CASE WHEN s.side = 'buy' THEN s.deliver_asset_id ELSE s.receive_asset_id END, 'fees',
         CASE WHEN s.side = 'buy' THEN 'available' ELSE 'liquidity' END, s.fee)
    ) AS v(asset_id, origin, goal, amount)
    GROUP BY s.customer_id, v.asset_id, v.origin, v.goal HAVING sum(v.amount) <> 0
"""
# What each customer's available balance gets; below zero: what they give back.
_AVAILABLE = """
    SELECT customer_id, asset_id, sum(net) AS net FROM ({nets}) n WHERE n.goal = 'available'
    GROUP BY customer_id, asset_id HAVING sum(net) < 0
"""
_GIVEN_BACK = _AVAILABLE.format(nets=_NETS.format(sums=_SUMS.format(members=f"trades_trade t WHERE {_MEMBERS}")))

_COUNT = f"SELECT count(*) FROM trades_trade t WHERE {_MEMBERS.format(whose='TRUE')}"  # noqa: S608 - our own text

# Who gives back more than they have; how many of them there are.
_SHORT = f"""
SELECT count(*) OVER (), w.customer_id, w.asset_id
FROM ({_GIVEN_BACK}) w
LEFT JOIN accounts_ledgeraccount a
    ON a.customer_id = w.customer_id AND a.asset_id = w.asset_id AND a.type = 'available'
WHERE coalesce(a.credits - a.debits, 0) + w.net < 0
ORDER BY w.customer_id, w.asset_id
"""  # noqa: S608 - our own text

# Who gives back of the account currency while something of theirs is held, with what would be left.
_HOLDING = f"""
SELECT w.customer_id, coalesce(a.credits - a.debits, 0) + w.net
FROM ({_GIVEN_BACK}) w
LEFT JOIN accounts_ledgeraccount a
    ON a.customer_id = w.customer_id AND a.asset_id = w.asset_id AND a.type = 'available'
WHERE w.asset_id = %(currency)s AND (
    EXISTS (SELECT FROM trades_order o WHERE o.customer_id = w.customer_id AND o.status = 'OPEN')
    OR EXISTS (SELECT FROM trades_marginaccount m WHERE m.customer_id = w.customer_id AND (m.drawn > 0 OR m.owed > 0)))
"""  # noqa: S608 - our own text

# One statement dates the trades, records the events, and nets what is to be moved, as PostgreSQL's own array literals.
_TAKE_BACK = f"""
WITH taken AS (
    UPDATE trades_trade t SET updated_at = %(at)s WHERE {_MEMBERS}
    RETURNING t.id, t.customer_id, t.side, t.receive_asset_id, t.deliver_asset_id, t.receive_amount, t.deliver_amount,
        t.fee
), recorded AS (
    INSERT INTO trades_tradeevent (id, trade_id, customer_id, became, detail, at)
    SELECT (%(stamp)s || substr(id::text, 14))::uuid, id, customer_id, 'reversed', %(detail)s, %(at)s FROM taken
), nets AS ({_NETS.format(sums=_SUMS.format(members="taken"))})
SELECT (SELECT count(*) FROM taken), array_agg(customer_id)::text, array_agg(asset_id)::text,
       array_agg(abs(net))::text, array_agg(CASE WHEN net > 0 THEN origin ELSE goal END)::text,
       array_agg(CASE WHEN net > 0 THEN goal ELSE origin END)::text,
       (SELECT array_agg(w.customer_id) FROM ({_AVAILABLE.format(nets="SELECT * FROM nets")}) w
        WHERE w.asset_id = %(currency)s AND (
            EXISTS (SELECT FROM trades_order o WHERE o.customer_id = w.customer_id AND o.status = 'OPEN')
            OR EXISTS (SELECT FROM trades_marginaccount m
                       WHERE m.customer_id = w.customer_id AND (m.drawn > 0 OR m.owed > 0))))
FROM nets
"""  # noqa: S608 - our own text
_MOVEMENTS = """
SELECT w.customer_id, c.partition AS bucket, w.asset_id, w.amount, w.debited, w.credited,
       %(key)s || w.asset_id || ':' || w.debited || ':' || w.credited AS key
FROM unnest(%(customers)s::uuid[], %(assets)s::text[], %(amounts)s::numeric[], %(debited)s::text[],
            %(credited)s::text[]) AS w(customer_id, asset_id, amount, debited, credited)
JOIN accounts_customer c ON c.id = w.customer_id
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reversal came. `is_done`: nothing is left to do just now; `waiting`: customers who can't pay back."""

    reversed: int
    total: int
    is_done: bool
    waiting: int = 0


class _Spent(Exception):
    """Customers of a slice who have spent what it would take back."""

    def __init__(self, customers: Collection[UUID]) -> None:
        super().__init__(len(customers))
        self.customers = customers


def begin(correction: Correction, at: datetime, chunk: int = CHUNK) -> int:
    """Begin to reverse a completed batch, inside the transaction that locked the correction; the legs' movements.

    Raises what `batch_to_reverse` does, LegStateForbids, and CannotPayBack when some customers have spent what they
    received; redis.RedisError where what open positions need can't be told.
    """
    assert correction.subject is not None
    batch = batch_to_reverse(correction.subject, lock=True)
    # All of them, so that none is reported just now; afterwards the reversal forbids it. Their instructions first.
    lock_instructions_of(list(SettlementLeg.objects.filter(batch=batch).values_list("pk", flat=True)))
    legs = list(SettlementLeg.objects.select_for_update(no_key=True).filter(batch=batch).order_by("pk"))
    expect_many()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_COUNT, _given(batch, correction))
        correction.trades_count = cursor.fetchone()[0]
    _refuse_shortage(_given(batch, correction))
    correction.slice_ends = slice_ends(batch, batch.symbols, chunk)
    moved = sum(reopen_leg(leg.pk, subject=correction.pk, at=at) for leg in legs if leg.actual is not None)
    SettlementBatch.objects.filter(pk=batch.pk).update(updated_at=at)
    return moved


def carry_on(correction_id: UUID, *, clock: Callable[[], datetime]) -> Iterator[Progress]:
    """Go on with a reversal that was begun, giving the progress after each committed slice, until nothing is left to
    do just now. Any number of them at once take turns. Raises CorrectionNotFound.
    """
    while True:
        progress = carry_on_once(correction_id, at=clock())
        yield progress
        if progress.is_done:
            return


@conflicts.atomic
def carry_on_once(correction_id: UUID, *, at: datetime) -> Progress:
    """Do the next slice, the whole of it or nothing; with the last one the correction is applied.

    After the slices come those who had spent it: whoever has it again by now.
    """
    correction = _in_turn(correction_id)
    if correction.state != CorrectionState.APPLYING:
        return Progress(correction.trades_done, correction.trades_count, is_done=True)
    assert correction.subject is not None
    batch = SettlementBatch.objects.select_for_update(no_key=True).get(pk=correction.subject)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
    was_through, waited = _is_through(correction), correction.waits_for
    _next_slice(correction, batch, at)
    if not was_through or correction.waits_for != waited:
        if _is_through(correction) and not correction.waits_for:
            correction.state = CorrectionState.APPLIED
        correction.updated_at = at
        correction.save(update_fields=["state", "updated_at", "movements_count", *_PROGRESS])
        SettlementBatch.objects.filter(pk=batch.pk).update(updated_at=at)
    is_done = was_through or correction.state == CorrectionState.APPLIED
    return Progress(correction.trades_done, correction.trades_count, is_done, len(correction.waits_for))


def _in_turn(correction_id: UUID) -> Correction:
    """The correction, its row locked; somebody else's slice is waited for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_LONGEST_WAIT])
        correction = Correction.objects.select_for_update(no_key=True).filter(pk=correction_id).first()
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    if correction is None:
        raise CorrectionNotFound
    return correction


def _is_through(correction: Correction) -> bool:
    return correction.slices_done == len(correction.slice_ends)


def _next_slice(correction: Correction, batch: SettlementBatch, at: datetime) -> None:
    """Take the next slice's customers back, or those who were passed over; who can't pay back waits."""
    number = correction.slices_done
    given = _given(batch, correction) | {"at": at, "stamp": stamp_of(clock.real_of(at))}
    if number < len(correction.slice_ends):
        given |= {"after": correction.slice_ends[number - 1] if number else _BEFORE_ALL}
        given |= {"end": correction.slice_ends[number]}
        waiting = _take_back(correction, given, _OF_SLICE, at)
        correction.slices_done += 1
        correction.waits_for = [*correction.waits_for, *waiting]
    else:
        given |= {"customers": array(correction.waits_for)}
        correction.waits_for = _take_back(correction, given, _OF_THOSE, at)


def _take_back(correction: Correction, given: dict[str, Any], whose: str, at: datetime) -> list[UUID]:
    """Take these customers' members back; gives those who can't pay back just now, of whom nothing is touched."""
    passed: set[UUID] = set()
    if whose == _OF_THOSE:
        passed.update(_short(given, whose))
    for _ in range(_MOST_TRIES):
        before = transaction.savepoint()  # no inner `atomic`: the bound of a price is the transaction's own
        try:
            _move(correction, given | {"passed": array(passed)}, whose, at)
            return sorted(passed)
        except _Spent as spent:
            transaction.savepoint_rollback(before)
            passed.update(spent.customers)
        except IntegrityError as error:
            if "customer_never_below_zero" not in str(error):
                raise
            transaction.savepoint_rollback(before)
            passed.update(_short(given | {"passed": array(passed)}, whose))
    raise CannotPayBack("Customers of this slice go on spending what it would take back: it is tried again.")


def _move(correction: Correction, given: dict[str, Any], whose: str, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_BACK.format(whose=whose), given)
        reversed_, *columns, holding = cursor.fetchone()
    if columns[0] is not None:
        netted = dict(zip(("customers", "assets", "amounts", "debited", "credited"), columns, strict=True))
        netted["key"] = given["key"]
        moved = post_selected(_MOVEMENTS, netted, kind=REVERSAL, subject=correction.pk, at=at)
    else:
        moved = 0
    if holding:
        own = [ledger.customers(customer, settings.ACCOUNT_CURRENCY, AVAILABLE) for customer in holding]
        if spent := beyond(list(ledger.lock(own).values())):
            raise _Spent(spent)
    correction.trades_done += reversed_
    correction.movements_count += moved


def _short(given: dict[str, Any], whose: str) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_SHORT.format(whose=whose), {"passed": "{}"} | given)
        return [customer for _, customer, _ in cursor.fetchall()]


def _refuse_shortage(given: dict[str, Any]) -> None:
    """Refuse where somebody can't pay back as of now. Raises CannotPayBack."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_SHORT.format(whose='TRUE')} LIMIT 1", given)
        short = cursor.fetchone()
        if short:
            count, customer, asset = short
            whose = f"{count}, among them {asset} of {customer.hex}"
            raise CannotPayBack(f"Balances that don't cover what they would have to give back: {whose}.")
        cursor.execute(_HOLDING.format(whose="TRUE"), given)
        left = dict(cursor.fetchall())
    if not left:
        return
    held = held_by_positions(left, prices.latest().by_symbol)
    for customer, balance in left.items():
        kept = held.get(customer, NOTHING)
        if not covers(int(balance), kept):
            raise CannotPayBack(sentence(kept))


def _given(batch: SettlementBatch, correction: Correction) -> dict[str, Any]:
    return {
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
        "detail": correction.pk.hex,
        "key": f"{REVERSAL}:batch:{batch.pk.hex}:",
        "currency": settings.ACCOUNT_CURRENCY,
    }
