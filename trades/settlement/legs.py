"""What each asset of a batch comes to between the firm and its liquidity providers, and what really came.

A leg is the net of what the batch's trades moved through the house's `liquidity` accounts: what customers
received came out of it (the firm must get it: incoming), what they delivered went into it (the firm owes it:
outgoing). Fees stay with the firm: a buy's fee is no part of what goes out, a sell's fee came in and stayed.
Original and exit are netted like any two trades. An asset that nets to nothing has a leg of zero, incoming.

What really moved is reported, at once or in parts, and booked as it comes; or an attempt is reported failed. Settling
the leg takes the rest of `expected` out of `liquidity` whatever came: that is a difference, booked to an account of
its own and listed as a break. A leg of zero is settled with its batch, by itself.
A failed leg is due again after a pause that doubles; until it is settled, the trades of its asset wait.
Each report is a row of the leg's history, written before the leg says so (`leg_history.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Case, QuerySet, Value, When

from accounts import conflicts, ledger
from accounts.errors import Malformed
from accounts.identity import SYSTEM, Actor
from accounts.ledger import DIFFERENCES, EXTERNAL, LIQUIDITY, Account, Movement, firm
from accounts.models import Break
from accounts.money import MAX_POSTING
from trades.errors import LegNotFound, LegStateForbids, ReferenceUsed
from trades.fail_reasons import FailReason
from trades.models import LegReport, SettlementBatch, SettlementLeg
from trades.selectors import batch_reversals
from trades.settlement import leg_history as history
from trades.settlement.instructions import ending
from trades.settlement.value_dates import value_date_of
from trades.states import LEG_MOVES, BatchState, LegStatus

SETTLED, DIFFERENCE, REOPENED = "leg_settled", "leg_difference", "leg_reopened"
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_SETTLED: Final = (LegStatus.SETTLED, LegReport.Kind.SETTLED)
_PART: Final = (LegStatus.PARTIALLY_SETTLED, LegReport.Kind.PART)
LONGEST_REFERENCE: Final = 128
LONGEST_FAILURE: Final = 200
_NO_LEGS_YET = frozenset({BatchState.CUT, BatchState.CONFIRMED, BatchState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Net:
    """One asset's sums over some trades, in base units; `net` above zero: the firm must get it."""

    asset: str
    received: int
    delivered: int
    fees: int

    @property
    def net(self) -> int:
        """Received came out of liquidity with the sells' fees on top; delivered went in without the buys'."""
        return self.received + self.fees - self.delivered

    @property
    def direction(self) -> str:
        return SettlementLeg.Direction.INCOMING if self.net >= 0 else SettlementLeg.Direction.OUTGOING

    @property
    def expected(self) -> int:
        return abs(self.net)


def write_legs(batch: SettlementBatch, nets: list[Net], at: datetime) -> None:
    """Write down one leg per asset; a batch's legs as they were are replaced, while none has been reported.

    Raises BadSchedule where the window's time zone or calendar can't be read.
    """
    there = {leg.asset_id: leg for leg in SettlementLeg.objects.filter(batch=batch)}
    value_date = value_date_of(batch)
    for net in nets + [Net(asset, 0, 0, 0) for asset in there if asset not in {net.asset for net in nets}]:
        leg = there.get(net.asset) or SettlementLeg(
            batch=batch, asset_id=net.asset, value_date=value_date.day, due_by=value_date.ends_at
        )
        leg.received, leg.delivered, leg.fees = net.received, net.delivered, net.fees
        leg.direction, leg.expected, leg.updated_at = net.direction, net.expected, at
        leg.save()


@conflicts.atomic
def settle_leg(
    leg_id: UUID,
    *,
    actual: int,
    reference: str,
    by: Actor,
    at: datetime,
    final: bool = False,
    is_by_hand: bool = True,
) -> SettlementLeg:
    """Note that `actual` base units moved by this reference, and book them.

    Short of what is still expected they are a part, which has a reference and is above zero; `final` says that nothing
    more comes. That, or the whole having come, settles the leg, and any difference becomes a break.

    The same report again changes nothing. A reference that has settled another leg, before or since, never settles
    this one. A report by hand ends the leg's open instruction; what isn't by hand moved for that very instruction,
    which the caller has locked, and is refused where its reference was reported before, even of this leg.
    Raises Malformed, LegNotFound, LegStateForbids, ReferenceUsed.
    """
    if not 0 <= actual <= MAX_POSTING:
        raise Malformed("The actual amount must be zero or above, and not above what can be stored.")
    reference = _reference(reference)
    if is_by_hand:
        ending.lock_instructions_of([leg_id])
    leg = _locked(leg_id)
    at = _no_earlier(leg, at)
    if history.was_reported(leg, actual, reference, is_final=final):
        if is_by_hand:
            return leg
        raise ReferenceUsed  # by hand, before the instruction was made: it would count for both
    come = int(leg.actual or 0) + actual
    is_whole = final or come >= int(leg.expected)
    _must_be_able(leg, LegStatus.SETTLED if is_whole else LegStatus.PARTIALLY_SETTLED)
    _refuse_impossible(actual, come, reference, is_whole=is_whole)
    leg.status, kind = _SETTLED if is_whole else _PART
    leg.actual, leg.reference, leg.settled_at = come, reference, at if is_whole else None
    leg.next_attempt_at, leg.failure, leg.reason_code = None, "", ""
    _report(leg, by, at)
    history.write(leg, kind, at, by, amount=actual, reference=reference)
    leg.save()
    ledger.post(list(_movements(leg, actual, leg.attempts, at)), savepoint=False)
    if is_whole:
        _open_break(leg, at)
    if is_by_hand:
        ending.end_for_report(leg, at)
    return leg


def _refuse_impossible(actual: int, come: int, reference: str, *, is_whole: bool) -> None:
    """Raises Malformed."""
    if come > MAX_POSTING:
        raise Malformed("All that came would be more than can be stored.")
    if not is_whole and not (actual and reference):
        raise Malformed("What is less than expected is a part, above zero and with a reference, unless it is final.")


def _open_break(leg: SettlementLeg, at: datetime) -> None:
    """What came instead of what was expected is told to somebody, where it differs."""
    difference = int(leg.actual or 0) - int(leg.expected)
    if difference:
        Break.objects.create(
            kind=Break.Kind.LEG_DIFFERENCE,
            asset_id=leg.asset_id,
            # Above zero: more outside than expected. Paying less than expected leaves more there, too.
            amount=difference if leg.direction == SettlementLeg.Direction.INCOMING else -difference,
            subject=leg.pk,
            note=leg.reference,
            opened_at=at,
        )


@conflicts.atomic
def fail_leg(
    leg_id: UUID, *, failure: str, by: Actor, at: datetime, reason_code: str = FailReason.NARRATIVE
) -> SettlementLeg:
    """Note that an attempt failed, and why; the leg is due again after a pause that doubles, up to an hour.

    `reason_code` is one of FailReason's; by itself the text says why. Raises Malformed, LegNotFound, LegStateForbids.
    """
    if not 0 < len(failure) <= LONGEST_FAILURE or not failure.isprintable():
        raise Malformed(f"A failure has 1 to {LONGEST_FAILURE} printable characters.")
    if reason_code not in FailReason.values:
        raise Malformed(f"A reason code is one of {', '.join(FailReason.values)}.")
    leg = _locked(leg_id)
    at = _no_earlier(leg, at)
    _must_be_able(leg, LegStatus.FAILED)
    leg.status, leg.failure, leg.reason_code = LegStatus.FAILED, failure, reason_code
    _report(leg, by, at)
    leg.next_attempt_at = at + pause_after(leg.attempts)
    history.write(leg, LegReport.Kind.FAILED, at, by, reason_code=reason_code, text=failure)
    leg.save()
    return leg


def pause_after(attempts: int) -> timedelta:
    """How long after so many attempts a leg is due again: 1, 2, 4, … minutes, at most an hour."""
    doubled: int = 2 ** min(attempts - 1, 10)
    return min(LONGEST_PAUSE, FIRST_PAUSE * doubled)


@conflicts.atomic
def retry_due(at: datetime) -> int:
    """Make the failed legs whose time has come due again, as they were: whoever carries them out finds them."""
    due = SettlementLeg.objects.filter(status=LegStatus.FAILED, next_attempt_at__lte=at).order_by("pk")
    legs = list(due.select_for_update(skip_locked=True, no_key=True))
    LegReport.objects.bulk_create(history.line(leg, LegReport.Kind.RETRIED, at) for leg in legs)
    again = SettlementLeg.objects.filter(pk__in=[leg.pk for leg in legs])
    as_before = Case(
        When(actual__isnull=True, then=Value(LegStatus.PENDING.value)), default=Value(LegStatus.PARTIALLY_SETTLED.value)
    )
    return again.update(status=as_before, next_attempt_at=None, updated_at=at)


def settle_as_expected(batch_id: UUID, at: datetime) -> None:
    """Settle what is left of an automatic batch's legs, as expected: the firm's own book is good for it."""
    _settle_as_expected(SettlementLeg.objects.filter(batch_id=batch_id), at)


def settle_legs_of_zero(batch_id: UUID, at: datetime) -> None:
    """Settle the batch's legs of which nothing is to come: nobody has to carry them out."""
    _settle_as_expected(SettlementLeg.objects.filter(batch_id=batch_id, expected=0), at)


def _settle_as_expected(legs: QuerySet[SettlementLeg], at: datetime) -> None:
    left = legs.exclude(status=LegStatus.SETTLED).order_by("pk")
    for leg_id, expected in list(left.values_list("pk", "expected")):
        settle_leg(leg_id, actual=int(expected), reference="", by=SYSTEM, at=at)


@transaction.atomic
def reopen_leg(leg_id: UUID, *, subject: UUID, at: datetime) -> int:
    """Take back what has come of a leg, by opposite movements that belong to `subject`, a correction; gives their
    number.

    The leg is pending again and may be reported anew; its break, if it has one, is resolved. Trades that
    completed meanwhile stay completed: what is reversed is the firm's side. The instruction that it is in doesn't have
    it any more, and ends if it was open. Raises LegNotFound, LegStateForbids.
    """
    ending.lock_instructions_of([leg_id])
    leg = _locked(leg_id)
    at = _no_earlier(leg, at)
    _must_be_able(leg, LegStatus.PENDING)
    if leg.actual is None:
        raise LegStateForbids(f"The leg is {leg.status}, and nothing has come of it.")
    since = (
        Break.objects.filter(subject=leg.pk, opened_at__gte=leg.settled_at) if leg.settled_at else Break.objects.none()
    )
    if since.filter(state=Break.State.RESOLVED).exists():
        raise LegStateForbids("The leg's difference has been resolved already; it can't be taken back with the leg.")
    movements = [
        Movement(m.credit, m.debit, m.amount, REOPENED, f"{m.key}:reopened", None, subject, at)
        for report in history.moved(leg)
        for m in _movements(
            leg, int(report.amount or 0), report.number, at, is_last=report.kind == LegReport.Kind.SETTLED
        )
    ]
    posted = ledger.post(movements, savepoint=False)
    Break.objects.filter(kind=Break.Kind.LEG_DIFFERENCE, subject=leg.pk, state=Break.State.OPEN).update(
        state=Break.State.RESOLVED, resolved_at=at, resolution=f"The leg was reversed by correction {subject.hex}."
    )
    leg.status, leg.actual, leg.reference, leg.settled_at = LegStatus.PENDING, None, "", None
    leg.next_attempt_at, leg.failure, leg.reason_code = None, "", ""
    leg.reversals += 1
    leg.updated_at = at
    history.write(leg, LegReport.Kind.REOPENED, at, text=subject.hex)
    leg.save()
    ending.end_for_reopening(leg, subject, at)
    return posted


def _movements(
    leg: SettlementLeg, amount: int, number: int, at: datetime, *, is_last: bool | None = None
) -> Iterator[Movement]:
    """Of one report: what moved came from outside, or went there. With the last one, which by itself is one that
    settled the leg, what is missing or too much of the whole goes to `differences`."""
    asset, expected, come = leg.asset_id, int(leg.expected), int(leg.actual or 0)
    outside, provider, difference = firm(asset, EXTERNAL), firm(asset, LIQUIDITY), firm(asset, DIFFERENCES)
    is_incoming = leg.direction == SettlementLeg.Direction.INCOMING

    def movement(source: Account, sink: Account, amount: int, kind: str, name: str) -> Movement:
        debit, credit = (source, sink) if is_incoming else (sink, source)
        return Movement(debit, credit, amount, kind, f"leg:{leg.pk.hex}:{number}:{name}", None, leg.pk, at)

    if amount:
        yield movement(outside, provider, amount, SETTLED, "settled")
    if not (leg.status == LegStatus.SETTLED if is_last is None else is_last):
        return
    if come < expected:
        yield movement(difference, provider, expected - come, DIFFERENCE, "difference")
    elif come > expected:
        yield movement(provider, difference, come - expected, DIFFERENCE, "difference")


def _locked(leg_id: UUID) -> SettlementLeg:
    leg = SettlementLeg.objects.select_for_update(no_key=True).filter(pk=leg_id).first()
    if leg is None:
        raise LegNotFound
    return leg


def _no_earlier(leg: SettlementLeg, at: datetime) -> datetime:
    """The time of a step of a locked leg: whoever waited for the lock had read the clock before the leg's last step."""
    return max(at, leg.updated_at)


def _must_be_able(leg: SettlementLeg, wanted: LegStatus) -> None:
    """The leg's own state allows it, and its batch has begun to settle: from then on its members are final."""
    is_another_part = wanted == leg.status == LegStatus.PARTIALLY_SETTLED
    if wanted not in LEG_MOVES[leg.status] and not is_another_part:
        raise LegStateForbids(f"The leg is {leg.status}.")
    if leg.batch.state in _NO_LEGS_YET:
        raise LegStateForbids(f"The leg's batch is {leg.batch.state}.")
    if batch_reversals().filter(subject=leg.batch_id).exists():
        raise LegStateForbids("The leg's batch has been reversed.")


def _reference(given: str) -> str:
    """An outside reference without blanks around it. Raises Malformed."""
    if len(given) > LONGEST_REFERENCE or not given.isprintable():
        raise Malformed(f"A reference has up to {LONGEST_REFERENCE} printable characters.")
    return given.strip()


def _report(leg: SettlementLeg, by: Actor, at: datetime) -> None:
    leg.attempts += 1
    leg.reported_by_id, leg.reported_by_client_id = by.user_id, by.client_id
    leg.updated_at = at
