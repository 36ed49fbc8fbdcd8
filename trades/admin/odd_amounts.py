"""Amounts of legs that differ much from what is expected: asked about before they are booked, on every form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.admin import shown
from accounts.models import Asset
from trades.settlement.legs_together import Odd, oddity

CONFIRMED: Final = "confirmed"


def warning_of(actual: int, left: int, asset: Asset) -> str:
    """Why somebody should look twice at an amount that moved, both in base units; empty: they needn't."""
    odd = oddity(actual, left)
    if odd is None:
        return ""
    asks = ": is the decimal point in its place?" if odd == Odd.TENFOLD else "."
    expected = shown.amount_text(left, asset)
    return f"{shown.amount_text(actual, asset)} differs {odd} from the {expected} that is still expected{asks}"


def confirmation_of(warned: Iterable[tuple[UUID, int, int]]) -> str:
    """What a box stands for that is ticked below warnings, of each a leg, its amount and what is left of it: another
    amount, or another rest, is another box."""
    said = [f"{leg_id.hex} {actual} {left}" for leg_id, actual, left in warned]
    return salted_hmac("trades.admin.report_legs", "\n".join(said), algorithm="sha256").hexdigest()


def is_confirmed(data: Mapping[str, Any], confirmation: str) -> bool:
    """Whether whoever sent it has ticked just this box."""
    return constant_time_compare(data.get(CONFIRMED, ""), confirmation)
