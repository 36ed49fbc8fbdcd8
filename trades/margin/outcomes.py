"""What became of a command: facts, which `presentation` makes the contract's bytes of. A refusal is raised instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from trades.margin.rows import OrderRow


@dataclass(frozen=True, slots=True)
class Created:
    """A market order that has opened, or a limit or stop order that waits."""

    order: OrderRow


@dataclass(frozen=True, slots=True)
class Closed:
    """An order, or a part of one: then `parent_code` is the orderId that it was taken from."""

    order: OrderRow
    user_id: UUID | None
    parent_code: str | None


@dataclass(frozen=True, slots=True)
class ClosedAll:
    """Every open order that was meant, oldest first: closed, or still open because it has no price."""

    orders: Sequence[OrderRow]


@dataclass(frozen=True, slots=True)
class Changed:
    order: OrderRow


@dataclass(frozen=True, slots=True)
class Cancelled:
    order: OrderRow


Outcome = Created | Closed | ClosedAll | Changed | Cancelled
