"""Adjustments and the end of breaks: one movement each, named by its correction. Pure.

An adjustment moves money between a customer and the house's `adjustments`. A leg's difference leaves `differences`
to where it belongs: outside, when the money moved after all, or into `adjustments`, when nobody expects it any more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from accounts.ledger import ADJUSTMENTS, AVAILABLE, DIFFERENCES, EXTERNAL, Account, Movement, customers, firm, house
from accounts.models import Break
from trades.models import Correction

ADJUSTMENT: Final = "adjustment"
BREAK_PAID: Final = "break_paid"
BREAK_WRITTEN_OFF: Final = "break_written_off"


def adjustment(correction: Correction, at: datetime) -> Movement:
    """From the house to the customer, or back."""
    assert correction.customer_id is not None
    assert correction.asset_id is not None
    assert correction.amount is not None
    ours = house(correction.customer_id, correction.asset_id, ADJUSTMENTS)
    theirs = customers(correction.customer_id, correction.asset_id, AVAILABLE)
    is_credit = correction.direction == Correction.Direction.CREDIT
    debit, credit = (ours, theirs) if is_credit else (theirs, ours)
    return _movement(correction, debit, credit, int(correction.amount), ADJUSTMENT, at)


def break_paid(correction: Correction, found: Break, at: datetime) -> Movement:
    """What was missing came in after all, or what was too much went back."""
    return _out_of_differences(correction, found, firm(found.asset_id, EXTERNAL), BREAK_PAID, at)


def break_written_off(correction: Correction, found: Break, at: datetime) -> Movement:
    """What was missing is the firm's loss, what was too much its gain."""
    return _out_of_differences(correction, found, firm(found.asset_id, ADJUSTMENTS), BREAK_WRITTEN_OFF, at)


def _out_of_differences(correction: Correction, found: Break, other: Account, kind: str, at: datetime) -> Movement:
    differences = firm(found.asset_id, DIFFERENCES)
    too_much = found.amount > 0
    debit, credit = (differences, other) if too_much else (other, differences)
    return _movement(correction, debit, credit, abs(int(found.amount)), kind, at)


def _movement(
    correction: Correction, debit: Account, credit: Account, amount: int, kind: str, at: datetime
) -> Movement:
    return Movement(
        debit=debit,
        credit=credit,
        amount=amount,
        kind=kind,
        key=f"correction:{correction.pk.hex}",
        customer_id=correction.customer_id,
        subject=correction.pk,
        at=at,
    )
