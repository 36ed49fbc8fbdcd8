"""What each asset of a batch comes to between the firm and its liquidity providers, and what really came.

A leg is the net of what the batch's trades moved through the house's `liquidity` accounts: what customers
received came out of it (the firm must get it: incoming), what they delivered went into it (the firm owes it:
outgoing). Fees stay with the firm: a buy's fee is no part of what goes out, a sell's fee came in and stayed.
Original and exit are netted like any two trades. An asset that nets to nothing has a leg of zero, incoming.

A leg is reported settled, with the amount that really moved, or failed. Settling it takes `expected` out of
`liquidity` whatever came: the rest is a difference, booked to an account of its own and listed as a break.
A failed leg is due again after a pause that doubles; until it is settled, the trades of its asset wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts import conflicts, ledger
from accounts.errors import Malformed
from accounts.identity import SYSTEM, Actor
from accounts.ledger import DIFFERENCES, EXTERNAL, LIQUIDITY, Account, Movement, firm
from accounts.models import Break
from accounts.money import MAX_POSTING
from trades.errors import LegNotFound, LegStateForbids
from trades.models import Correction, SettlementLeg
from trades.states import LEG_MOVES, BatchState, CorrectionState, LegStatus

SETTLED, DIFFERENCE, REOPENED = "leg_settled", "leg_difference", "leg_reopened"
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
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


def write_legs(batch_id: UUID, nets: list[Net], at: datetime) -> None:
    """Write down one leg per asset; a batch's legs as they were are replaced, while none has been reported."""
    there = {leg.asset_id: leg for leg in SettlementLeg.objects.filter(batch_id=batch_id)}
    for net in nets + [Net(asset, 0, 0, 0) for asset in there if asset not in {net.asset for net in nets}]:
        leg = there.get(net.asset) or SettlementLeg(batch_id=batch_id, asset_id=net.asset)
        leg.received, leg.delivered, leg.fees = net.received, net.delivered, net.fees
        leg.direction, leg.expected, leg.updated_at = net.direction, net.expected, at
        leg.save()


@conflicts.atomic
def settle_leg(leg_id: UUID, *, actual: int, reference: str, by: Actor, at: datetime) -> SettlementLeg:
    """Note that a leg was settled with `actual` base units, and book it; any difference becomes a break.

    Reporting the same amount and reference again changes nothing. Raises Malformed, LegNotFound,
    LegStateForbids.
    """
    if not 0 <= actual <= MAX_POSTING:
        raise Malformed("The actual amount must be zero or above, and not above what can be stored.")
    if len(reference) > LONGEST_REFERENCE or not reference.isprintable():
        raise Malformed(f"A reference has up to {LONGEST_REFERENCE} printable characters.")
    leg = _locked(leg_id)
    if leg.status == LegStatus.SETTLED and leg.actual == actual and leg.reference == reference:
        return leg
    _must_be_able(leg, LegStatus.SETTLED)
    leg.status, leg.actual, leg.reference, leg.settled_at = LegStatus.SETTLED, actual, reference, at
    _report(leg, by, at)
    leg.next_attempt_at, leg.failure = None, ""
    leg.save()
    ledger.post(list(_movements(leg, at)), savepoint=False)
    if difference := actual - int(leg.expected):
        Break.objects.create(
            kind=Break.Kind.LEG_DIFFERENCE,
            asset_id=leg.asset_id,
            # Above zero: more outside than expected. Paying less than expected leaves more there, too.
            amount=difference if leg.direction == SettlementLeg.Direction.INCOMING else -difference,
            subject=leg.pk,
            note=reference[:LONGEST_FAILURE],
            opened_at=at,
        )
    return leg


@conflicts.atomic
def fail_leg(leg_id: UUID, *, failure: str, by: Actor, at: datetime) -> SettlementLeg:
    """Note that an attempt failed; the leg is due again after a pause that doubles, up to an hour.

    Raises Malformed, LegNotFound, LegStateForbids.
    """
    if not 0 < len(failure) <= LONGEST_FAILURE or not failure.isprintable():
        raise Malformed(f"A failure has 1 to {LONGEST_FAILURE} printable characters.")
    leg = _locked(leg_id)
    _must_be_able(leg, LegStatus.FAILED)
    leg.status, leg.failure = LegStatus.FAILED, failure
    _report(leg, by, at)
    leg.next_attempt_at = at + pause_after(leg.attempts)
    leg.save()
    return leg


def pause_after(attempts: int) -> timedelta:
    """How long after so many attempts a leg is due again: 1, 2, 4, … minutes, at most an hour."""
    doubled: int = 2 ** min(attempts - 1, 10)
    return min(LONGEST_PAUSE, FIRST_PAUSE * doubled)


def retry_due(at: datetime) -> int:
    """Make the failed legs whose time has come pending again: whoever carries them out finds them due."""
    due = SettlementLeg.objects.filter(status=LegStatus.FAILED, next_attempt_at__lte=at)
    return due.update(status=LegStatus.PENDING, next_attempt_at=None, updated_at=at)


def settle_as_expected(batch_id: UUID, at: datetime) -> None:
    """Settle what is left of an automatic batch's legs, as expected: the firm's own book is good for it."""
    left = SettlementLeg.objects.filter(batch_id=batch_id).exclude(status=LegStatus.SETTLED).order_by("pk")
    for leg_id, expected in list(left.values_list("pk", "expected")):
        settle_leg(leg_id, actual=int(expected), reference="", by=SYSTEM, at=at)


@transaction.atomic
def reopen_leg(leg_id: UUID, *, subject: UUID, at: datetime) -> int:
    """Take a settled leg back by opposite movements that belong to `subject`, a correction; gives their number.

    The leg is pending again and may be reported anew; its break, if it has one, is resolved. Trades that
    completed meanwhile stay completed: what is reversed is the firm's side. Raises LegNotFound, LegStateForbids.
    """
    leg = _locked(leg_id)
    _must_be_able(leg, LegStatus.PENDING)
    since = (
        Break.objects.filter(subject=leg.pk, opened_at__gte=leg.settled_at) if leg.settled_at else Break.objects.none()
    )
    if since.filter(state=Break.State.RESOLVED).exists():
        raise LegStateForbids("The leg's difference has been resolved already; it can't be taken back with the leg.")
    movements = [
        Movement(m.credit, m.debit, m.amount, REOPENED, f"{m.key}:reopened", None, subject, at)
        for m in _movements(leg, at)
    ]
    posted = ledger.post(movements, savepoint=False)
    Break.objects.filter(kind=Break.Kind.LEG_DIFFERENCE, subject=leg.pk, state=Break.State.OPEN).update(
        state=Break.State.RESOLVED, resolved_at=at, resolution=f"The leg was reversed by correction {subject.hex}."
    )
    leg.status, leg.actual, leg.reference, leg.settled_at = LegStatus.PENDING, None, "", None
    leg.updated_at = at
    leg.save()
    return posted


def _movements(leg: SettlementLeg, at: datetime) -> Iterator[Movement]:
    """What moved came from outside, or went there; what is missing or too much stands in `differences`."""
    asset, expected, actual = leg.asset_id, int(leg.expected), int(leg.actual or 0)
    outside, provider, difference = firm(asset, EXTERNAL), firm(asset, LIQUIDITY), firm(asset, DIFFERENCES)
    is_incoming = leg.direction == SettlementLeg.Direction.INCOMING

    def movement(source: Account, sink: Account, amount: int, kind: str, name: str) -> Movement:
        debit, credit = (source, sink) if is_incoming else (sink, source)
        return Movement(debit, credit, amount, kind, f"leg:{leg.pk.hex}:{leg.attempts}:{name}", None, leg.pk, at)

    if actual:
        yield movement(outside, provider, actual, SETTLED, "settled")
    if actual < expected:
        yield movement(difference, provider, expected - actual, DIFFERENCE, "difference")
    elif actual > expected:
        yield movement(provider, difference, actual - expected, DIFFERENCE, "difference")


def _locked(leg_id: UUID) -> SettlementLeg:
    leg = SettlementLeg.objects.select_for_update(no_key=True).filter(pk=leg_id).first()
    if leg is None:
        raise LegNotFound
    return leg


def _must_be_able(leg: SettlementLeg, wanted: LegStatus) -> None:
    """The leg's own state allows it, and its batch has begun to settle: from then on its members are final."""
    if wanted not in LEG_MOVES[leg.status]:
        raise LegStateForbids(f"The leg is {leg.status}.")
    if leg.batch.state in _NO_LEGS_YET:
        raise LegStateForbids(f"The leg's batch is {leg.batch.state}.")
    reversals = Correction.objects.filter(kind=Correction.Kind.REVERSE_BATCH, state=CorrectionState.APPLIED)
    if reversals.filter(subject=leg.batch_id).exists():
        raise LegStateForbids("The leg's batch has been reversed.")


def _report(leg: SettlementLeg, by: Actor, at: datetime) -> None:
    leg.attempts += 1
    leg.reported_by_id, leg.reported_by_client_id = by.user_id, by.client_id
    leg.updated_at = at
