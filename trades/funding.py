"""Money that leaves: a customer's withdrawal, as far as it can be spent."""

from __future__ import annotations

from datetime import datetime

from accounts import conflicts, ledger, services
from accounts.models import Customer
from trades.errors import CustomerIsFrozen
from trades.spendable import refuse_beyond


@conflicts.atomic
def withdraw(customer: Customer, asset: str, amount: int, key: str, at: datetime, by: str) -> bool:
    """Pay `amount` base units out of what a customer can spend; False when this key was withdrawn before.

    `by` names who says so. Raises CustomerIsFrozen, InsufficientFunds, what `services.deposit` raises, and
    redis.RedisError where positions are open and no price can be read.
    """
    is_new = services.withdraw(customer, asset, amount, key, at, by)
    if is_new:
        if Customer.objects.filter(pk=customer.pk, state=Customer.State.FROZEN).exists():
            raise CustomerIsFrozen
        available = ledger.customers(customer.pk, asset, ledger.AVAILABLE)
        refuse_beyond([ledger.lock([available])[available]])
    return is_new
