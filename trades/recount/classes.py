"""A customer's class is what the last applied change of it says; without any, retail."""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.recount.checks import differs, wrong

_CLASSES = wrong(
    "c.id",
    [differs("client_class", "c.client_class", "coalesce(k.becomes, 'retail')")],
    """FROM accounts_customer c LEFT JOIN (
        SELECT DISTINCT ON (customer_id) customer_id, becomes FROM trades_clientclasschange WHERE state = 'applied'
        ORDER BY customer_id, decided_at DESC, id DESC
    ) k ON k.customer_id = c.id""",
)

CHECKS: Final = (
    statement("client classes", "accounts_customer", _CLASSES, "Customer {0} is not of the class decided on: {1}."),
)
