"""A customer's states: checked after it was stored, taken back by a partner, decided by an operator.

Every move is one guarded step: the row is locked, its state looked at, and a trigger refuses what `accounts/states.py`
doesn't list. What each row said stands in its versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from accounts import conflicts
from accounts.errors import CustomerNotFound, CustomerStateForbids
from accounts.models import Customer
from accounts.states import CUSTOMER_MOVES, CustomerState, ExpectedBehaviour

MOST_AT_ONCE: Final = 500
_PARTNERS: Final = frozenset({CustomerState.VERIFIED, CustomerState.REJECTED, CustomerState.UNVERIFIED})


def checked(expected_behaviour: str = "") -> CustomerState:
    """What the check says of somebody. It is simulated; where it is off, nobody has looked, and an operator decides."""
    if expected_behaviour == ExpectedBehaviour.FAILED_IMMEDIATELY:
        return CustomerState.REJECTED
    return CustomerState.VERIFIED if settings.SIMULATED_CHECKS else CustomerState.UNVERIFIED


@conflicts.atomic
def check(ids: Sequence[UUID], at: datetime) -> int:
    """Move those of these customers out of storing that nobody else is at; how many.

    Twice at once: each passes over what the other has locked, and who isn't storing any more is left alone.
    """
    due = Customer.objects.select_for_update(skip_locked=True, no_key=True).filter(
        pk__in=ids, state=CustomerState.STORING
    )
    became: dict[CustomerState, list[UUID]] = {}
    for id_, behaviour in due.order_by("pk").values_list("pk", "expected_behaviour"):
        became.setdefault(checked(behaviour), []).append(id_)
    return sum(_move(some, CustomerState.STORING, state, at) for state, some in became.items())


def sweep(at: datetime) -> int:
    """Check whoever stands in storing, whatever became of their wake-up; how many moved."""
    moved, last = 0, UUID(int=0)
    waiting = Customer.objects.filter(state=CustomerState.STORING).order_by("pk")
    while ids := list(waiting.filter(pk__gt=last).values_list("pk", flat=True)[:MOST_AT_ONCE]):
        moved += check(ids, at)
        last = ids[-1]
    return moved


@conflicts.atomic
def change_customer(customer_id: UUID, *, state: str | None, at: datetime) -> Customer:
    """What a partner may change: take a verification, or a rejection, back (`unverified`). An operator decides then.

    Without a state, or with the one there is, nothing changes. Raises CustomerNotFound, CustomerStateForbids.
    """
    customer = _locked(customer_id)
    if state is None:
        return customer
    if state != CustomerState.UNVERIFIED or customer.state not in _PARTNERS:
        raise CustomerStateForbids(f"A {customer.state} customer can't become {state} by this.")
    return _moved(customer, CustomerState.UNVERIFIED, at)


@conflicts.atomic
def decide_on_customer(customer_id: UUID, state: str, at: datetime, *, only_from: str | None = None) -> Customer:
    """What an operator decides: verified, rejected, frozen, or unverified again; `only_from` one state, where given.

    The state that it has already changes nothing. Raises CustomerNotFound, CustomerStateForbids for a move that isn't
    legal.
    """
    customer = _locked(customer_id)
    if only_from is not None and customer.state not in (only_from, state):
        raise CustomerStateForbids(f"A {customer.state} customer can't become {state} by this.")
    return _moved(customer, state, at)


def _locked(customer_id: UUID) -> Customer:
    customer = Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).first()
    if customer is None:
        raise CustomerNotFound
    return customer


def _moved(customer: Customer, state: str, at: datetime) -> Customer:
    if state == customer.state:
        return customer
    if customer.erased_at is not None:
        raise CustomerStateForbids("The customer's data was erased: there is nobody to decide on.")
    if state not in CUSTOMER_MOVES[customer.state]:
        raise CustomerStateForbids(f"A {customer.state} customer can't become {state}.")
    _move([customer.pk], customer.state, state, at)
    customer.state, customer.updated_at = CustomerState(state), at
    return customer


def _move(ids: Sequence[UUID], was: str, state: str, at: datetime) -> int:
    return Customer.objects.filter(pk__in=ids, state=was).update(state=state, updated_at=at)
