"""Every kind of transfer, with the types of the accounts that it may debit and credit.

docs/ledger.md tells each of them by an example. The table's CHECK knows the kinds (a new one needs a migration), the
recount which accounts go with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_BETWEEN_PROVIDERS: Final = ("external>liquidity", "liquidity>external")
_UNEXPECTED: Final = ("differences>liquidity", "liquidity>differences")

# The most frequent ones first: the CHECK looks through them in this order, at every transfer.
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "order_margin": ("available>margin",),
    "order_margin_release": ("margin>available",),
    "order_profit": ("profit>available",),
    "order_loss": ("available>profit",),
    "trade_deliver": ("available>liquidity", "settling>liquidity"),
    "trade_receive": ("liquidity>settling",),
    "trade_fee": ("available>fees", "settling>fees", "liquidity>fees"),
    "trade_settled": ("settling>available",),
    "order_swap": ("available>swap", "swap>available"),
    "order_margin_drawn": ("margin>available",),
    "order_margin_restored": ("available>margin",),
    "order_margin_hedged": ("margin>available",),
    "order_margin_unhedged": ("available>margin",),
    "order_advance": ("advances>available",),
    "order_advance_repaid": ("available>advances",),
    "order_advance_waived": ("protection>advances",),
    "order_protection": ("protection>available",),
    "deposit": ("external>available",),
    "withdrawal": ("available>external", "leaving>external"),
    "capital_in": ("external>capital",),
    "profit_out": ("profit>external",),
    "fees_out": ("fees>external",),
    "payment_held": ("available>leaving",),
    "payment_given_back": ("leaving>available",),
    "payment_fee": ("available>fees", "leaving>fees"),
    "payment_sent": ("available>between",),
    "payment_received": ("between>available",),
    "payment_returned": ("available>external", "external>available"),
    "payment_return_borne": ("adjustments>available",),
    "leg_settled": _BETWEEN_PROVIDERS,
    "leg_difference": _UNEXPECTED,
    "leg_reopened": (*_BETWEEN_PROVIDERS, *_UNEXPECTED),
    "adjustment": ("adjustments>available", "available>adjustments"),
    "reversal": ("liquidity>available", "available>liquidity", "fees>available", "fees>liquidity"),
    "break_paid": ("external>differences", "differences>external"),
    "break_written_off": ("adjustments>differences", "differences>adjustments"),
}

FUNDING: Final = ("deposit", "withdrawal", "payment_returned", "capital_in", "profit_out", "fees_out")
"""Kinds that bring money into the firm or take it out: beside each stands a row that says who did it."""


def allowed() -> Iterator[str]:
    """Each kind with the types that it may debit and credit, e.g. `deposit:external>available`."""
    return (f"{kind}:{sides}" for kind, every in KINDS.items() for sides in every)
