"""Money that leaves: a customer's withdrawal, as far as it can be spent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from accounts import conflicts, ledger, services
from accounts.identity import Actor
from accounts.models import Customer
from trades.errors import CustomerIsFrozen
from trades.spendable import refuse_beyond


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

    `is_by_two`: two persons decided on it, so that a frozen customer is paid out as well. Raises CustomerIsFrozen,
    InsufficientFunds, what `services.deposit` raises, and redis.RedisError where positions are open and no price can
    be read.
    """
    is_new = services.withdraw(customer, asset, amount, key, at, by, reason=reason, subject=subject)
    if is_new:
        if not is_by_two and is_frozen(customer.pk):
            raise CustomerIsFrozen
        available = ledger.customers(customer.pk, asset, ledger.AVAILABLE)
        refuse_beyond([ledger.lock([available])[available]])
    return is_new


def is_frozen(customer_id: UUID) -> bool:
    return Customer.objects.filter(pk=customer_id, state=Customer.State.FROZEN).exists()
