"""The firm's limits: how much an order, a customer, a symbol and the firm may have open. Judged as an order opens.

Measured in exposure, margin x leverage, as each order opened: whole base units of the account currency, so the same
from a sum in SQL and from rows in memory. All limits that apply hold. What closes is never asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import UUID

from accounts.ids import partition_of
from accounts.money import printed_amount
from trades.margin import pricing
from trades.margin.errors import LimitReached
from trades.margin.rows import OrderRow
from trades.margin.sides import Sides
from trades.models import RiskLimit

if TYPE_CHECKING:
    from trades.margin.session import Session

Kind = RiskLimit.Kind
Subject: TypeAlias = UUID | str | None
COUNTED: Final = frozenset({Kind.SYMBOL, Kind.FIRM, Kind.SYMBOL_NET, Kind.FIRM_NET})


@dataclass(frozen=True, slots=True)
class Limits:
    """All that are set, in base units, by kind and what they are of (None: of each). `version` names them."""

    version: UUID | None = None
    amounts: Mapping[tuple[str, Subject], int] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()

    @classmethod
    def of(cls, version: UUID, rows: Iterable[tuple[str, UUID | None, str | None, int]], decimals: int) -> Limits:
        """`rows`: kind, customer, symbol, and an amount in whole units."""
        amounts: dict[tuple[str, Subject], int] = {
            (kind, customer or symbol): amount * 10**decimals for kind, customer, symbol, amount in rows
        }
        return cls(version, amounts, frozenset(kind for kind, _ in amounts))

    @property
    def are_counted(self) -> bool:
        """Whether some of them are of what all engines have open together."""
        return not self.kinds.isdisjoint(COUNTED)

    def least(self, kind: str, subject: Subject = None) -> int | None:
        """The lowest of those of a kind that are of this one."""
        found = [self.amounts[key] for key in {(kind, None), (kind, subject)} if key in self.amounts]
        return min(found, default=None)


NONE: Final = Limits()


@dataclass(slots=True)
class Used:
    """What a tick knows of what is open, and what it changes. Base units.

    `customers` and `symbols` (of all engines together) where an order may open; `changes` by the customers' partition
    and symbol, to be written down.
    """

    customers: dict[UUID, int] = field(default_factory=dict)
    symbols: dict[str, Sides] = field(default_factory=dict)
    changes: dict[tuple[int, str], Sides] = field(default_factory=dict)

    def add(self, order: OrderRow, sign: int, *, are_counted: bool) -> None:
        """An order opened (1) or closed (-1)."""
        exposure, symbol = sign * order.margin * order.leverage, order.instrument_id
        if order.customer_id in self.customers:
            self.customers[order.customer_id] += exposure
        if are_counted:
            self.symbols.setdefault(symbol, Sides()).add(order.side, exposure)
            key = (partition_of(order.customer_id), symbol)
            self.changes.setdefault(key, Sides()).add(order.side, exposure)


def check_order(session: Session, order: OrderRow, margin: int) -> None:
    """The limits of one order, which would reserve `margin`. Raises LimitReached."""
    most = session.limits.least(Kind.ORDER, order.instrument_id)
    if most is not None and margin * order.leverage > most:
        said, is_ = (printed_amount(amount, session.market.decimals) for amount in (most, margin * order.leverage))
        raise LimitReached(Kind.ORDER, f"an order may come to ${said} at the most, and this one comes to ${is_}")


def check_pending(session: Session, order: OrderRow) -> None:
    """The same of an order that waits, as if it opened at its price now. What else is open is asked when it opens."""
    if Kind.ORDER not in session.limits.kinds or order.price is None:
        return
    conversion = session.market.latest_conversion(order)
    if conversion is not None:
        decimals = session.market.decimals
        margin = pricing.margin_required(order.quantity, order.price, order.leverage, decimals, conversion.loss)
        check_order(session, order, margin)


def check_own(session: Session, order: OrderRow, margin: int) -> None:
    """The limits of one order and of its customer, of an order that would open now and reserve `margin`. A customer is
    told the figures. Raises LimitReached.
    """
    limits = session.limits
    if not limits.amounts:
        return
    check_order(session, order, margin)
    most = limits.least(Kind.CUSTOMER, order.customer_id)
    if most is None:
        return
    would_be = session.used.customers[order.customer_id] + margin * order.leverage
    if would_be > most:
        said, is_ = (printed_amount(amount, session.market.decimals) for amount in (most, would_be))
        raise LimitReached(
            Kind.CUSTOMER, f"your open positions may come to ${said} at the most, and with this order ${is_}"
        )


def check_firms(session: Session, order: OrderRow, margin: int) -> None:
    """The limits of a symbol and of the firm, of an order that could be paid and would open now. Raises LimitReached.

    What others have open isn't the customer's to know: told is only that a limit is reached, and only to who could
    open otherwise.
    """
    limits = session.limits
    if not limits.are_counted:
        return
    exposure, symbol, now = margin * order.leverage, order.instrument_id, session.used.symbols
    here = now.get(symbol, Sides())
    then = Sides(here.bought, here.sold)
    then.add(order.side, exposure)
    others = [one for name, one in now.items() if name != symbol]
    for kind, subject, before, after in (
        (Kind.SYMBOL, symbol, here.gross, then.gross),
        (Kind.SYMBOL_NET, symbol, here.net, then.net),
        (Kind.FIRM, None, 0, then.gross + sum(one.gross for one in others)),
        (Kind.FIRM_NET, None, here.net, then.net),
    ):
        most = limits.least(kind, subject)
        if most is None:
            continue
        if kind is Kind.FIRM_NET:
            rest = sum(one.net for one in others)
            before, after = before + rest, after + rest
        if after > most and after > before:  # what makes a net exposure smaller is welcome
            raise LimitReached(kind, f"no more of {symbol} can be opened now")
