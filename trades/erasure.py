"""A customer's personal data is erased on request (GDPR, Art. 17): one person proposes, a second one does it.

Possible once nothing is owed either way: no balance, no order that lives, no trade or correction under way. The books
stay as they are, of a customer whom nobody can name. Nothing brings the data back, so it takes two persons.

The order of locks: the erasure, the customer, ledger accounts. With these held no money moves, so nothing new begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.errors import Conflict, CustomerNotFound, Malformed, NotFound, Refusal
from accounts.models import Customer, LedgerAccount
from accounts.services.erasing import erase
from accounts.services.proposals import undecided
from trades.errors import MakerIsChecker
from trades.models import Correction, Erasure, MarginAccount, Order, Payment, Trade
from trades.states import LIVE, PAYMENTS_UNDER_WAY, CorrectionState, TradeState

LONGEST_REASON: Final = 500
State = Erasure.State


class ErasureNotFound(NotFound):
    sentence = "There is no such erasure."


class ErasureExists(Conflict):
    sentence = "The erasure of this customer was proposed already."


class ErasureDecided(Refusal):
    code = "erasure_decided"
    sentence = "The erasure was decided already."


class StillNeeded(Refusal):
    """The law lets a firm keep what it still needs; the sentence says what that is."""

    code = "still_needed"
    sentence = "The customer's data is still needed."


@conflicts.atomic
def propose(customer_id: UUID, *, reason: str, by: UUID, at: datetime) -> Erasure:
    """Propose to erase; `by` is a member of staff.

    Raises CustomerNotFound, Malformed for no reason, StillNeeded, ErasureExists.
    """
    if not 0 < len(reason.strip()) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"A reason has 1 to {LONGEST_REASON} characters on one line.")
    _refuse_needed(_locked(customer_id))
    try:
        with transaction.atomic():
            return Erasure.objects.create(customer_id=customer_id, reason=reason.strip(), made_by_id=by, made_at=at)
    except IntegrityError:
        raise ErasureExists from None


@conflicts.atomic
def carry_out(erasure_id: UUID, *, by: UUID, at: datetime) -> Erasure:
    """Erase, as the second person. Raises ErasureNotFound, ErasureDecided, MakerIsChecker, StillNeeded."""
    erasure = _undecided(erasure_id)
    if erasure.made_by_id == by:
        raise MakerIsChecker("Whoever proposed an erasure can't carry it out.")
    _refuse_needed(_locked(erasure.customer_id))
    _decided(erasure, State.DONE, by, at)  # first: the database erases nobody without
    erase(erasure.customer_id, at)
    return erasure


@conflicts.atomic
def refuse(erasure_id: UUID, *, by: UUID, at: datetime) -> Erasure:
    """Decide against it; its maker withdraws it this way. Raises ErasureNotFound, ErasureDecided."""
    erasure = _undecided(erasure_id)
    return _decided(erasure, State.REFUSED, None if erasure.made_by_id == by else by, at)


def _undecided(erasure_id: UUID) -> Erasure:
    return undecided(Erasure, erasure_id, missing=ErasureNotFound, decided=ErasureDecided, called="erasure")


def _decided(erasure: Erasure, state: Erasure.State, by: UUID | None, at: datetime) -> Erasure:
    erasure.state, erasure.checked_by_id, erasure.decided_at = state, by, at
    erasure.save(update_fields=["state", "checked_by", "decided_at"])
    return erasure


def _locked(customer_id: UUID) -> Customer:
    customer = (
        Customer.objects.select_for_update(no_key=True, of=("self",))
        .select_related("user")
        .filter(pk=customer_id)
        .first()
    )
    if customer is None:
        raise CustomerNotFound
    return customer


def _refuse_needed(customer: Customer) -> None:
    """Raises StillNeeded, with everything that stands in the way."""
    why = ", ".join(_needs(customer))
    if why:
        raise StillNeeded(f"The customer's data is still needed: {why}.")


def _needs(customer: Customer) -> Iterator[str]:
    rows = LedgerAccount.objects.select_for_update(no_key=True).filter(customer=customer).order_by("pk")
    for asset in sorted({row.asset_id for row in rows if row.balance}):
        yield f"{asset} is not at zero"
    if MarginAccount.objects.filter(customer=customer).exclude(owed=0, drawn=0).exists():
        yield "an advance is owed"
    if Order.objects.filter(customer=customer, status__in=LIVE).exists():
        yield "orders are open or pending"
    if Trade.objects.filter(customer=customer, state__in=[TradeState.STORING, TradeState.SETTLING]).exists():
        yield "trades are under way"
    if Payment.objects.filter(customer=customer, state__in=PAYMENTS_UNDER_WAY).exists():
        yield "payments are under way"
    if Correction.objects.filter(customer=customer, state=CorrectionState.PROPOSED).exists():
        yield "a correction waits to be decided"
    if customer.user is not None and customer.user.is_staff:
        yield "the login is a member of staff's"
