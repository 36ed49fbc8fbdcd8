"""Who is calling: the one object that every API view, selector and service is given.

A call is made by a trader (their own JWT, acting for their own customer), by an API client (acting for
the firm, within its scopes) or by a customer token (an API client's, limited to one customer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

READ_ORDERS: Final = "orders:read"
EXECUTE_ORDERS: Final = "orders:execute"
CUSTOMER_SCOPES: Final = frozenset(
    {
        "quotes:read",
        "quotes:execute",
        "trades:read",
        "trades:execute",
        "transfers:read",
        "transfers:execute",
        "external_bank_accounts:read",
        "external_bank_accounts:pii:read",
        "external_bank_accounts:execute",
        READ_ORDERS,
        EXECUTE_ORDERS,
        "customers:read",
        "accounts:read",
        "accounts:execute",
        "prices:read",
    }
)
SANDBOX: Final = "sandbox:execute"  # worth nothing elsewhere: there are no such paths
FIRM_SCOPES: Final = CUSTOMER_SCOPES | {
    SANDBOX,
    "accounts:write",
    "customers:write",
    "customers:execute",
    "settlements:read",
    "settlements:execute",
    "subscriptions:read",
    "subscriptions:write",
    "subscriptions:execute",
    "subscription_events:read",
    "subscription_events:execute",
}
OWN_LOGIN: Final = "login"  # only a trader's own token has it


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, where two different ones must take part: a person, a program, or neither.

    Neither is the system itself: its scheduler, and whoever may run commands on the firm's own machine.
    """

    user_id: UUID | None = None
    client_id: UUID | None = None

    @property
    def is_system(self) -> bool:
        return self.user_id is None and self.client_id is None


SYSTEM: Final = Actor()


@dataclass(frozen=True, slots=True)
class Caller:
    """`customer_id` limits everything to that customer; None means the whole firm. `generation` is the token's."""

    scopes: frozenset[str]
    user_id: UUID | None = None
    client_id: UUID | None = None
    customer_id: UUID | None = None
    generation: int = 0

    @property
    def is_authenticated(self) -> bool:
        return True

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    @property
    def actor(self) -> Actor:
        return Actor(self.user_id, self.client_id)
