"""Money that comes in and goes out, as corrections: a second person applies what is above the limit.

The firm's own money is always two persons': what its owners put in, and what is paid out to its own account outside.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError

from accounts import conflicts
from accounts.errors import CustomerNotFound, KeyReused, Malformed
from accounts.identity import Actor
from accounts.models import Customer, Funding
from accounts.services.funding import refuse_reference
from trades.corrections.payment_return import BY_REFERENCE
from trades.corrections.propose import applied_alone, asset_locked, is_within_limit, refuse_amount, write_proposal
from trades.funding import takes_two_to_pay_in, takes_two_to_pay_out
from trades.models import Correction
from trades.states import CorrectionState

OF_CUSTOMERS: Final = (Correction.Kind.DEPOSIT, Correction.Kind.WITHDRAWAL)
OF_THE_FIRM: Final = (Correction.Kind.CAPITAL_IN, Correction.Kind.PROFIT_OUT, Correction.Kind.FEES_OUT)


def is_done(kind: str, customer_id: UUID | None, asset: str, amount: int, reference: str) -> bool:
    """Whether this very movement was made before. Raises KeyReused where its reference names another one."""
    found = Funding.objects.filter(reference=reference).select_related("transfer").first()
    if found is None:
        return False
    moved = found.transfer
    if (moved.kind, moved.customer_id, moved.asset_id, int(moved.amount)) != (str(kind), customer_id, asset, amount):
        raise KeyReused(_another(reference))
    return True


def is_proposed(reference: str) -> bool:
    """Whether a correction that nobody has decided on has this reference."""
    return Correction.objects.filter(
        kind__in=BY_REFERENCE, reference=reference, state=CorrectionState.PROPOSED
    ).exists()


@conflicts.atomic
def propose_funding(
    kind: str,
    customer_id: UUID,
    asset: str,
    amount: int,
    *,
    reference: str,
    reason: str,
    by: Actor,
    at: datetime,
    once: UUID | None = None,
) -> Correction:
    """Propose a customer's DEPOSIT or WITHDRAWAL. Within the limit it comes back applied, if the customer is verified.

    The same movement by the same reference gives the correction that there is, which has another `once`. Raises
    Malformed, ActorRequired, CustomerNotFound, UnknownAsset, KeyReused, and, where it is applied at once,
    InsufficientFunds.
    """
    if kind not in OF_CUSTOMERS:
        raise Malformed("Money of a customer comes in (deposit) or goes out (withdrawal).")
    if not Customer.objects.filter(pk=customer_id).exists():
        raise CustomerNotFound
    return _proposed(kind, asset, amount, reference, reason, by, at, once, customer_id=customer_id)


@conflicts.atomic
def propose_firms_own(
    kind: str, asset: str, amount: int, *, reference: str, reason: str, by: Actor, at: datetime
) -> Correction:
    """Propose to book CAPITAL_IN, or to pay earned profit or fees out (PROFIT_OUT, FEES_OUT): never alone.

    Raises what `propose_funding` raises.
    """
    if kind not in OF_THE_FIRM:
        raise Malformed("The firm's own money is capital_in, profit_out or fees_out.")
    return _proposed(kind, asset, amount, reference, reason, by, at, None, customer_id=None)


def _proposed(
    kind: str,
    asset: str,
    amount: int,
    reference: str,
    reason: str,
    by: Actor,
    at: datetime,
    once: UUID | None,
    *,
    customer_id: UUID | None,
) -> Correction:
    refuse_amount(amount)
    refuse_reference(reference)
    known = asset_locked(asset)
    is_alone = kind in OF_CUSTOMERS and is_within_limit(known, amount, by, at)
    if customer_id is not None and _takes_two(kind, customer_id):
        is_alone = False
    terms: dict[str, Any] = {"customer_id": customer_id, "asset_id": known.pk, "amount": amount}
    if waiting := _living(kind, reference, terms):
        return waiting
    if is_done(kind, customer_id, asset, amount, reference):
        raise KeyReused(f"The movement by the reference {reference} was made before, and not by a correction.")
    try:
        made = write_proposal(kind, by, at, reason, reference=reference, once=once, needs_checker=not is_alone, **terms)
    except IntegrityError:  # proposed at the same moment, in another asset
        if waiting := _living(kind, reference, terms):
            return waiting
        raise
    return applied_alone(made, at)


def _takes_two(kind: str, customer_id: UUID) -> bool:
    return takes_two_to_pay_out(customer_id) if kind == Correction.Kind.WITHDRAWAL else takes_two_to_pay_in(customer_id)


def _living(kind: str, reference: str, terms: dict[str, Any]) -> Correction | None:
    """The correction that has this reference and wasn't rejected. Raises KeyReused where it says something else."""
    found = Correction.objects.filter(kind__in=BY_REFERENCE, reference=reference).exclude(
        state=CorrectionState.REJECTED
    )
    there = found.first()
    if there is not None and {"kind": there.kind, **{name: getattr(there, name) for name in terms}} != {
        "kind": str(kind),
        **terms,
    }:
        raise KeyReused(_another(reference))
    return there


def _another(reference: str) -> str:
    return f"The reference {reference} names another movement."
