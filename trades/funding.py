"""A customer's money that comes in, and goes out as far as it can be spent."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from accounts import conflicts, ledger, services
from accounts.errors import CustomerNotVerified
from accounts.identity import Actor
from accounts.models import Customer
from accounts.selectors import state_of
from accounts.states import CustomerState
from trades.errors import CustomerIsFrozen
from trades.spendable import refuse_beyond

_PAID_OUT: Final = frozenset({CustomerState.VERIFIED})
_PAID_IN: Final = frozenset({CustomerState.VERIFIED, CustomerState.FROZEN})


@conflicts.atomic
def deposit(
    customer: Customer,
    asset: str,
    amount: int,
    key: str,
    at: datetime,
    by: Actor | str,
    *,
    reason: str = "",
    subject: UUID | None = None,
    is_by_two: bool = False,
) -> bool:
    """Credit `amount` base units that arrived from outside; False when this very deposit was made before.

    `is_by_two`: two persons decided on it, so that it is booked for a customer who isn't verified as well. Raises
    CustomerNotVerified, and what `services.deposit` raises.
    """
    is_new = services.deposit(customer, asset, amount, key, at, by, reason=reason, subject=subject)
    if is_new and not is_by_two:
        refuse_to_pay_in(customer.pk)
    return is_new


@conflicts.atomic
def withdraw(
    customer: Customer,
    asset: str,
    amount: int,
    key: str,
    at: datetime,
    by: Actor | str,
    *,
    reason: str = "",
    subject: UUID | None = None,
    is_by_two: bool = False,
) -> bool:
    """Pay `amount` base units out of what a customer can spend; False when this very withdrawal was made before.

    `is_by_two`: two persons decided on it, so that a customer who is frozen, or isn't verified, is paid out as well.
    Raises CustomerIsFrozen, CustomerNotVerified, InsufficientFunds, what `services.deposit` raises, and
    redis.RedisError where positions are open and no price can be read.
    """
    is_new = services.withdraw(customer, asset, amount, key, at, by, reason=reason, subject=subject)
    if is_new:
        if not is_by_two:
            refuse_to_pay_out(customer.pk)
        available = ledger.customers(customer.pk, asset, ledger.AVAILABLE)
        refuse_beyond([ledger.lock([available])[available]])
    return is_new


def refuse_to_pay_in(customer_id: UUID) -> None:
    """Raises CustomerNotVerified for whom nothing is credited without a second person."""
    if (state := state_of(customer_id)) not in _PAID_IN:
        raise CustomerNotVerified(state)


def refuse_to_pay_out(customer_id: UUID) -> None:
    """Raises CustomerIsFrozen or CustomerNotVerified for who isn't paid out without a second person."""
    if (state := state_of(customer_id)) not in _PAID_OUT:
        raise CustomerIsFrozen if state == CustomerState.FROZEN else CustomerNotVerified(state)


def takes_two_to_pay_in(customer_id: UUID) -> bool:
    """Whether money that came in for this customer is booked by two persons only: nobody has verified them."""
    return state_of(customer_id) not in _PAID_IN


def takes_two_to_pay_out(customer_id: UUID) -> bool:
    """Whether this customer is paid out by two persons only: they are frozen, or not verified."""
    return state_of(customer_id) not in _PAID_OUT


def takes_two(customer_id: UUID, *, pays_out: bool) -> bool:
    """Whether this customer's money is moved, that way, by two persons only."""
    return (takes_two_to_pay_out if pays_out else takes_two_to_pay_in)(customer_id)
