"""A leg's history: each report of it, and what became of it, is a row that nobody changes.

The row is written before the leg is saved: a trigger refuses a leg whose `actual` isn't the sum of its reports. Another
one claims the row's outside reference for the leg, for ever: of two legs that are settled by the same reference at the
same time the second waits for the first, and is refused.
"""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError
from django.db.models import F, QuerySet, Value

from accounts.identity import SYSTEM, Actor
from trades.errors import ReferenceUsed
from trades.models import LegReference, LegReport, SettlementLeg
from trades.models.leg import reference_key
from trades.states import LegStatus

_CLAIMED = "has settled another leg"


def write(
    leg: SettlementLeg,
    kind: LegReport.Kind,
    at: datetime,
    by: Actor = SYSTEM,
    *,
    amount: int | None = None,
    reference: str = "",
    reason_code: str = "",
    text: str = "",
) -> None:
    """Write a line of a locked leg's history; the transaction ends with a refusal. Raises ReferenceUsed."""
    if reference:
        _refuse_used(reference, leg)
    row = line(leg, kind, at, by, amount=amount, reference=reference, reason_code=reason_code, text=text)
    try:
        row.save(force_insert=True)
    except IntegrityError as error:
        if _CLAIMED not in str(error):
            raise
        raise ReferenceUsed from None  # by somebody who came first just now


def moved(leg: SettlementLeg) -> QuerySet[LegReport]:
    """Of the leg's reports since it was last reopened those by which something may have moved, oldest first."""
    return LegReport.objects.filter(leg=leg, reversals=leg.reversals, amount__isnull=False).order_by("pk")


def was_reported(leg: SettlementLeg, amount: int, reference: str, *, is_final: bool) -> bool:
    """Whether this very report of a locked leg was noted before, since it was last reopened.

    Raises ReferenceUsed where, of a leg that isn't settled, its reference told something else.
    """
    if not reference:
        last = moved(leg).last()
        return leg.status == LegStatus.SETTLED and last is not None and last.amount == amount and not last.reference
    same = moved(leg).annotate(key=reference_key(F("reference"))).filter(key=reference_key(Value(reference))).first()
    if same is None:
        return False
    if same.amount == amount and (same.kind == LegReport.Kind.SETTLED or not is_final):
        return True
    if leg.status == LegStatus.SETTLED:
        return False  # refused as any other report of a settled leg
    raise ReferenceUsed(f"The reference has been reported of this leg with {same.amount} base units, as a part.")


def line(leg: SettlementLeg, kind: LegReport.Kind, at: datetime, by: Actor = SYSTEM, **said: object) -> LegReport:
    """The row, which isn't written yet, with the leg's numbers as they are now."""
    return LegReport(
        leg=leg,
        kind=kind,
        number=leg.attempts,
        reversals=leg.reversals,
        by_user_id=by.user_id,
        by_client_id=by.client_id,
        at=at,
        **said,
    )


def _refuse_used(reference: str, leg: SettlementLeg) -> None:
    used = LegReference.objects.filter(key=reference_key(Value(reference))).exclude(leg=leg).first()
    if used is not None:
        raise ReferenceUsed(f"The reference has settled another leg: {used.leg_id.hex}.")
