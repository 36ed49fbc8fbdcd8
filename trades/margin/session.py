"""What one tick has read and what its rules decide, in memory. No SQL and no Redis: others load it and store it.

Commands are decided one after the other, each seeing what those before it did. Rules change the rows they find here as
they like; what is different from what was read is stored afterwards (`trades/engine/store.py`), all in one statement.
Money is base units of the account currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from datetime import datetime
from decimal import Decimal
from itertools import compress
from operator import attrgetter, ne
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from accounts import json_codec, ledger
from accounts.ledger import Account, Balances, Locked
from accounts.ledger_copy import Posting
from quotes.conversion import Rate
from trades.margin.account import AccountState
from trades.margin.market import Market
from trades.margin.risk_limits import NONE, Used
from trades.margin.rows import COLUMNS, ClientRow, DealRow, EventRow, OrderedRow, OrderRow, Stored
from trades.models import OrderEvent
from trades.spendable import loss_of
from trades.states import LIVE, OrderStatus

Kind = OrderEvent.Kind
_values = attrgetter(*COLUMNS)


class Source(Protocol):
    """Where what only some decisions need is read, once they need it."""

    def live_orders(self, customer_id: UUID) -> Iterable[OrderRow]:
        """Every open and pending order of a customer, locked where the tick is stored."""

    def house(self, account: Account) -> Locked:
        """A house account, likewise."""


class Changed(NamedTuple):
    """An order that isn't as it was read: its row, the status it had, and the names of its columns that changed."""

    order: OrderRow
    was: str
    columns: Set[str]


class Session:
    """Filled by a loader, decided upon by the rules of each kind of command, written by a store."""

    def __init__(self, market: Market, at: datetime, source: Source) -> None:
        """`at` is the time of everything that is done here."""
        self.market = market
        self.at = at
        self.source = source
        self.orders: dict[tuple[UUID, str], OrderRow] = {}
        self.by_id: dict[UUID, OrderRow] = {}
        self.made: dict[UUID, OrderRow] = {}  # by command: what it has made already
        self.taken: dict[tuple[UUID, str], str] = {}  # orderIds by customer and clientOrderId
        self.stored: dict[tuple[UUID, str], Stored] = {}  # answers by customer and key
        self.closed_by: dict[UUID, UUID | None] = {}  # commands by order
        self.clients: dict[UUID, ClientRow] = {}
        self.ordered: dict[UUID, OrderedRow] = {}  # dealers' actions that were ordered
        self.asked: dict[UUID | None, dict[str, str]] = {}  # by command: what its events say of who asked
        self.accounts: dict[UUID, AccountState] = {}
        self.balances: Balances = {}
        self.exposures: dict[tuple[UUID, str], int] = {}  # margin x leverage by customer and symbol, where it matters
        self.limits = NONE
        self.used = Used()
        self.peaks: dict[UUID, Decimal] = {}  # how far trailing stops' prices have come, by order
        self.new: dict[UUID, OrderRow] = {}
        self.deals: list[DealRow] = []
        self.events: list[EventRow] = []
        self.postings: list[Posting] = []
        self.trails_set: set[str] = set()  # symbols of which a trailing stop was set
        self._read: dict[UUID, tuple[Any, ...]] = {}  # each order's values as they were read

    # --- what was read -----------------------------------------------------------------------------

    def note(self, order: OrderRow) -> None:
        """Take up a row that was read, unless it is here already and may have been changed."""
        if order.id not in self.by_id:
            self.by_id[order.id] = self.orders[order.customer_id, order.code] = order
            self._read[order.id] = _values(order)

    def all_are_here(self, customers: Set[UUID]) -> None:
        """All live orders of these customers are among what was read: sort them out, by id."""
        if not customers:  # as in most ticks: nothing is looked through for nobody
            return
        mine = [order for order in self.by_id.values() if order.customer_id in customers and order.status in LIVE]
        for customer in customers & self.accounts.keys():
            self.accounts[customer].live = {}
        for order in sorted(mine, key=lambda order: order.id):
            if (account := self.accounts.get(order.customer_id)) and account.live is not None:
                account.live[order.id] = order

    def has_all_of(self, customer: UUID) -> bool:
        """Whether every open and pending order of a customer was read."""
        return self.accounts[customer].live is not None

    def all_of(self, account: AccountState) -> dict[UUID, OrderRow]:
        """Every open and pending order of a customer, read now if it wasn't.

        Later than the lock order has it, which can deadlock with nobody: only the engine of a partition locks its
        orders, and it does one tick after the other.
        """
        if account.live is None:
            for order in self.source.live_orders(account.customer_id):
                self.note(order)
            self.all_are_here({account.customer_id})
        assert account.live is not None
        return account.live

    def exposure(self, account: AccountState, symbol: str) -> int:
        """What a customer's open positions in a symbol come to, margin x leverage, in base units."""
        key = (account.customer_id, symbol)
        if key not in self.exposures:
            self.exposures[key] = sum(
                order.margin * order.leverage
                for order in self.all_of(account).values()
                if order.status == OrderStatus.OPEN and order.instrument_id == symbol
            )
        return self.exposures[key]

    def house(self, customer_id: UUID, type_: str) -> Locked:
        """The house account of the customer's partition. Rare ones are read when a movement needs them."""
        account = ledger.house(customer_id, self.accounts[customer_id].currency, type_)
        found = self.balances.get(account)
        if found is None:
            found = self.balances[account] = self.source.house(account)
        return found

    # --- what is decided ---------------------------------------------------------------------------

    def add(self, order: OrderRow) -> None:
        """A new order, in whatever state it has when the tick is stored."""
        self.new[order.id] = order
        self.by_id[order.id] = self.orders[order.customer_id, order.code] = order
        account = self.accounts[order.customer_id]
        if account.live is not None and order.status in LIVE:
            account.live[order.id] = order

    def end(self, order: OrderRow) -> None:
        """An order is live no longer."""
        account = self.accounts[order.customer_id]
        if account.live is not None:
            account.live.pop(order.id, None)

    def expose(self, account: AccountState, order: OrderRow, sign: int = 1) -> None:
        """Keep what open positions come to and have lost, where this tick knows it: one opens (1) or closes (-1)."""
        if self.limits.amounts:
            self.used.add(order, sign, are_counted=self.limits.are_counted)
        if self.exposures and (key := (order.customer_id, order.instrument_id)) in self.exposures:
            self.exposures[key] += sign * order.margin * order.leverage
        self.lose(account, order, sign)

    def lose(self, account: AccountState, order: OrderRow, sign: int = 1) -> None:
        """Keep what an open position has lost, where this tick knows its account's losses: it opens (1) or closes (-1)."""
        if account.loss is None:
            return
        account.loss.positions += sign
        latest, conversion = self.market.latest(order), self.market.latest_conversion(order)
        if latest is None or conversion is None:
            account.loss.unpriced = self.market.never_priced(order)
        else:
            account.loss.exactly += sign * loss_of(
                order.side, order.opened_price, order.quantity, latest, conversion.loss
            )

    def deal(self, order: OrderRow, command_id: UUID | None, kind: str, price: Decimal, rate: Rate) -> None:
        """`rate`: that its margin, or its profit, was converted at."""
        profit, reason = (order.profit or 0, order.close_reason) if kind == "close" else (0, "")
        terms = (order.customer_id, order.id, command_id, kind, price, order.quantity, profit, reason)
        self.deals.append(DealRow(*terms, *self.market.executed(order.instrument_id), rate))

    def event(
        self, kind: str, customer_id: UUID, order_id: UUID | None, command_id: UUID | None, **detail: object
    ) -> None:
        detail |= self.asked.get(command_id, {})
        text = json_codec.dumps(detail).decode() if detail else None
        self.events.append(EventRow(customer_id, order_id, kind, command_id, text))

    def move(self, order: OrderRow, debit: Locked, credit: Locked, amount: int, kind: str, step: str) -> None:
        """Move an order's money: what its account has free and reserved follows. Of nothing, there is no movement."""
        if amount > 0:
            key = f"order:{order.code}:{step}"
            self.postings.append(Posting(debit, credit, amount, kind, key, order.customer_id, order.id))
            account = self.accounts[order.customer_id]
            account.moved(debit, -amount)
            account.moved(credit, amount)

    # --- what became of it -------------------------------------------------------------------------

    def changed(self) -> Iterator[Changed]:
        """The orders that were read and are different now."""
        for id_, before in self._read.items():
            order = self.by_id[id_]
            after = _values(order)
            if after != before:
                columns = frozenset(compress(COLUMNS, map(ne, before, after)))
                yield Changed(order, before[_STATUS], columns)

    def was(self, order: OrderRow) -> str | None:
        """An order's status as it was read; None of a new one."""
        before = self._read.get(order.id)
        return None if before is None else before[_STATUS]


_STATUS = COLUMNS.index("status")
