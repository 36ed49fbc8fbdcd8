"""One tick's state between reading and writing: what the rows say, and what is decided about them in memory.

Commands are decided one after the other, each seeing what those before it did. Nothing is written until all are
decided, then everything in one statement. Money in here is base units of the account currency.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings

from accounts import json_codec, ledger, ledger_pipeline
from accounts.clock import is_outermost
from accounts.db.pipeline import Pipeline
from accounts.db.writing import write
from accounts.ids import PARTITIONS, partition_of
from accounts.ledger import AVAILABLE, MARGIN, PROFIT, Account, Balances, Locked
from accounts.ledger_copy import Posting
from quotes.models import Instrument
from quotes.prices import Price, Prices
from quotes.symbols import instruments
from trades.models import OrderEvent
from trades.orders import extremes, money, reads, writes
from trades.orders.bounds import Bound
from trades.orders.commands import (
    CANCEL,
    CHANGE,
    CLOSE,
    CLOSE_ALL,
    CREATE,
    FIRE,
    JUDGE,
    Answer,
    Command,
    remembered_by,
)
from trades.orders.errors import PriceNotFound
from trades.orders.rows import DealRow, EventRow, Loss, Noted, OrderRow, Stored, Trader
from trades.spendable import loss_of
from trades.states import LIVE, OrderStatus

Kind = OrderEvent.Kind
_NAMING = frozenset({CLOSE, CHANGE, CANCEL, FIRE})  # commands about one order, by its orderId


@dataclass(slots=True)
class MarginAccount:
    """A customer's money as the tick goes on. The rows follow when it is written.

    `reserved` is what the margin account holds: the open orders' margins less `drawn`, what losses have consumed of
    them. `free` may be negative while a command is being decided, never after it. `owed` is what the house has
    advanced, `earned` what this command's closings have brought to repay it (see `advances`). `swap_carried` is what
    closed orders' swap has left below a base unit.
    """

    customer_id: UUID
    trader: Trader
    available_row: Locked
    margin_row: Locked
    profit_row: Locked  # the house's, of the customer's partition
    free: int
    reserved: int
    drawn: int
    called_at: datetime | None
    owed: int = 0
    owed_at: datetime | None = None  # of the latest advance; None exactly while nothing is owed
    earned: int = 0
    loss: Loss | None = None  # of all its open positions at the tick's prices, once it was asked for
    swap_carried: Decimal = money.NOTHING
    live: dict[UUID, OrderRow] | None = None  # every open and pending order, once all were read

    @property
    def cash(self) -> int:
        return self.free + self.reserved

    @property
    def balance(self) -> int:
        """What the account is worth without its positions."""
        return self.cash - self.owed

    @property
    def noted(self) -> Noted:
        """What its row of notes has to say."""
        return self.called_at, self.drawn, self.owed, self.owed_at, self.swap_carried

    @property
    def due(self) -> int:
        """What has to be repaid of an advance after this command."""
        return min(self.owed, self.earned)


@dataclass(slots=True)
class Applied:
    """What a tick did: the answers to send, and what the book must know once it is committed."""

    answers: list[Answer] = field(default_factory=list)
    live: list[OrderRow] = field(default_factory=list)
    ended: list[OrderRow] = field(default_factory=list)
    cash: dict[UUID, int] = field(default_factory=dict)
    called: dict[UUID, bool] = field(default_factory=dict)
    trails_set: set[str] = field(default_factory=set)
    at: datetime | None = None  # the time that its rows carry


class Tick:
    """Read by `read`, decided upon by the modules of each kind of command, written by `write`."""

    def __init__(
        self, prices: Prices, extreme_rows: Sequence[extremes.ExtremeRow] = (), bound: Bound | None = None
    ) -> None:
        self.prices = prices
        self.at: datetime = prices.now  # until PostgreSQL says what its clock says
        self.instruments = instruments()
        self.currency: str = settings.ACCOUNT_CURRENCY
        self.done = Applied()
        self.orders: dict[tuple[UUID, str], OrderRow] = {}
        self.by_id: dict[UUID, OrderRow] = {}
        self.was: dict[UUID, str] = {}  # the status of each order as it was read; new ones are missing
        self.made: dict[UUID, OrderRow] = {}
        self.taken: dict[tuple[UUID, str], str] = {}
        self.stored: dict[tuple[UUID, str], Stored] = {}
        self.closed_by: dict[UUID, UUID | None] = {}
        self.accounts: dict[UUID, MarginAccount] = {}
        self.balances: Balances = {}
        self.peaks: dict[UUID, Decimal] = {}
        self._pipeline: Pipeline
        self._extreme_rows = extreme_rows
        self._bound = bound
        self._usable: dict[str, Price | None] = {}
        self._prices_until: datetime | None = None
        self._touched: dict[UUID, OrderRow] = {}
        self._new: dict[UUID, OrderRow] = {}
        self._only_closed: set[UUID] = set()
        self._deals: list[DealRow] = []
        self._events: list[EventRow] = []
        self._postings: list[Posting] = []
        self._answered: list[tuple[Command, str, Answer]] = []

    # --- reading -----------------------------------------------------------------------------------

    def read(self, p: Pipeline, commands: Sequence[Command]) -> None:
        """Lock and read what these commands are about, in two round trips at most. Raises LeaseLost.

        The pipeline is open until `write` has been called.
        """
        self._pipeline = p
        customers = {command.customer_id for command in commands}
        creates = [c for c in commands if c.kind == CREATE]
        if self._bound:
            self._bound.begin(p)
        named = reads.lock_orders(p, {(c.customer_id, c.terms["orderId"]) for c in commands if c.kind in _NAMING})
        whole = reads.lock_live_orders(p, {c.customer_id for c in commands if c.kind in (CLOSE_ALL, JUDGE)})
        stored = reads.stored_answers(p, {(c.customer_id, key) for c in commands if (key := remembered_by(c))})
        makers = [*creates, *(c for c in commands if c.kind == CLOSE and c.terms.get("quantity"))]
        made = reads.orders_made_by(p, makers)
        taken = reads.codes_by_client_order_id(
            p, {(c.customer_id, c.terms["clientOrderId"]) for c in creates if c.terms.get("clientOrderId")}
        )
        lost = reads.losses(p, {c.customer_id for c in creates}, self.prices.by_symbol)
        traders = reads.traders(p, customers)
        balances = ledger_pipeline.lock(p, self._accounts_of(customers))
        if self._bound:
            self.at = self._bound.began()
        for order in (*named.result(), *whole.result()):
            self.note(order)
        self.stored, self.taken = stored.result(), taken.result()
        self.made = {order.command_id: order for order in made.result() if order.command_id}
        losses, known = lost.result(), traders.result()
        self._open_accounts(known, balances.result())
        self._all_are_here({c.customer_id for c in commands if c.kind in (CLOSE_ALL, JUDGE)})
        for customer in {c.customer_id for c in creates} & self.accounts.keys():
            self.accounts[customer].loss = losses.get(customer) or Loss(Decimal(0))
        self._read_more(commands)

    def read_held(
        self, p: Pipeline, partitions: Collection[int], cutoff: datetime, after: tuple[UUID, UUID] | None, most: int
    ) -> list[OrderRow]:
        """Lock and read the next orders of partitions that were open at `cutoff`, with their customers' money."""
        self._pipeline = p
        held = reads.open_through_the_night(p, partitions, cutoff, after, most).result()
        for order in held:
            self.note(order)
        customers = {order.customer_id for order in held}
        traders = reads.traders(p, customers)
        balances = ledger_pipeline.lock(p, self._accounts_of(customers))
        self._open_accounts(traders.result(), balances.result())
        return held

    def _accounts_of(self, customers: Collection[UUID]) -> list[Account]:
        own = [Account(customer, None, self.currency, type_) for customer in customers for type_ in (AVAILABLE, MARGIN)]
        buckets = {partition_of(customer) for customer in customers}
        return own + [Account(None, bucket, self.currency, PROFIT) for bucket in range(PARTITIONS) if bucket in buckets]

    def _open_accounts(self, known: dict[UUID, Trader], balances: Balances) -> None:
        self.balances = balances
        for customer, trader in known.items():
            available = self.balances[Account(customer, None, self.currency, AVAILABLE)]
            margin = self.balances[Account(customer, None, self.currency, MARGIN)]
            self.accounts[customer] = MarginAccount(
                customer,
                trader,
                available,
                margin,
                self.balances[ledger.house(customer, self.currency, PROFIT)],
                available.balance,
                margin.balance,
                trader.drawn,
                trader.called_at,
                trader.owed,
                trader.owed_at,
                swap_carried=trader.swap_carried,
            )

    def _read_more(self, commands: Sequence[Command]) -> None:
        """What only some ticks need: who closed what is closed, and how far trailing stops have come."""
        named = [self.orders.get((c.customer_id, c.terms["orderId"])) for c in commands if c.kind in _NAMING]
        closed = [order.id for order in named if order is not None and order.status == OrderStatus.CLOSED]
        self.closed_by = reads.closing_commands(self._pipeline, closed).result()
        fired = [self.orders.get((c.customer_id, c.terms["orderId"])) for c in commands if c.kind == FIRE]
        if trailing := [order for order in fired if order is not None and order.trailing_stop is not None]:
            self.peaks = extremes.peaks(self._pipeline, trailing, self._extreme_rows)

    def all_of(self, account: MarginAccount) -> dict[UUID, OrderRow]:
        """Every open and pending order of a customer, read and locked now if it wasn't.

        Later than the lock order has it, which can deadlock with nobody: only the engine of a partition locks its
        orders, and it does one tick after the other.
        """
        if account.live is None:
            for order in reads.lock_live_orders(self._pipeline, [account.customer_id]).result():
                self.note(order)
            self._all_are_here({account.customer_id})
        assert account.live is not None
        return account.live

    def _all_are_here(self, customers: Set[UUID]) -> None:
        """All live orders of these customers are among what was read: sort them out, by id."""
        if not customers:  # as in most ticks: nothing is looked through for nobody
            return
        mine = [order for order in self.by_id.values() if order.customer_id in customers and order.status in LIVE]
        for customer in customers & self.accounts.keys():
            self.accounts[customer].live = {}
        for order in sorted(mine, key=lambda order: order.id):
            if (account := self.accounts.get(order.customer_id)) and account.live is not None:
                account.live[order.id] = order

    def note(self, order: OrderRow) -> None:
        """Take up a row that was read, unless this tick has it already and may have changed it."""
        if order.id not in self.by_id:
            self.by_id[order.id] = self.orders[order.customer_id, order.code] = order
            self.was[order.id] = order.status

    # --- prices ------------------------------------------------------------------------------------

    def price(self, instrument: Instrument, said: str) -> Price:
        """The price to execute at. Raises PriceNotFound, naming what the caller said."""
        price = self._use(instrument.symbol)
        if price is None:
            raise PriceNotFound(said)
        return price

    def is_priced(self, order: OrderRow) -> bool:
        return self._use(order.instrument_id) is not None

    def _use(self, symbol: str) -> Price | None:
        """A price that may be executed at; the tick must be committed before it is too old."""
        if symbol not in self._usable:
            limit = self.instruments[symbol].price_age_limit_seconds
            price = self._usable[symbol] = self.prices.usable(symbol, limit)
            if price is not None:
                until = price.at + timedelta(seconds=limit)
                self._prices_until = until if self._prices_until is None else min(until, self._prices_until)
        return self._usable[symbol]

    def floating(self, order: OrderRow) -> int:
        """What an open order is worth by the latest price, however old; nothing where there never was one."""
        latest = self.prices.by_symbol.get(order.instrument_id)
        if latest is None:
            return 0
        return money.profit(
            order.side,
            order.opened_price,
            latest.exit(order.side),
            order.quantity,
            self.decimals(order),
            order.realized,
        )

    def expose(self, account: MarginAccount, order: OrderRow, sign: int = 1) -> None:
        """Keep what open positions have lost, where this tick knows it: an order opens (1) or closes (-1)."""
        if account.loss is None:
            return
        latest = self.prices.by_symbol.get(order.instrument_id)
        if latest is None:
            account.loss.unpriced = order.instrument_id
        else:
            account.loss.exactly += sign * loss_of(order.side, order.opened_price, order.quantity, latest)

    def decimals(self, order: OrderRow) -> int:
        return self.instruments[order.instrument_id].counter_asset.decimals

    # --- what is decided ---------------------------------------------------------------------------

    def add_new(self, order: OrderRow) -> None:
        """A row to insert, in whatever state it has by then."""
        self._new[order.id] = order
        self.by_id[order.id] = self.orders[order.customer_id, order.code] = order
        account = self.accounts[order.customer_id]
        if account.live is not None and order.status != OrderStatus.CLOSED:
            account.live[order.id] = order

    def touch(self, order: OrderRow, *, only_closed: bool = False) -> None:
        """A row to update. The plain close has a statement of its own, for it is most of the work."""
        if order.id in self._new:
            return
        if only_closed and order.id not in self._touched:
            self._only_closed.add(order.id)
        elif not only_closed:
            self._only_closed.discard(order.id)
        self._touched[order.id] = order

    def deal(self, order: OrderRow, command_id: UUID | None, kind: str, price: Decimal) -> None:
        profit, reason = (order.profit or 0, order.close_reason) if kind == "close" else (0, "")
        self._deals.append(
            DealRow(order.customer_id, order.id, command_id, kind, price, order.quantity, profit, reason)
        )

    def event(
        self, kind: str, customer_id: UUID, order_id: UUID | None, command_id: UUID | None, **detail: object
    ) -> None:
        text = json_codec.dumps(detail).decode() if detail else None
        self._events.append(EventRow(customer_id, order_id, kind, command_id, text))

    def move(self, order: OrderRow, debit: Locked, credit: Locked, amount: int, kind: str, step: str) -> None:
        """Note a movement of an order's money; of nothing, none."""
        if amount > 0:
            key = f"order:{order.code}:{step}"
            self._postings.append(Posting(debit, credit, amount, kind, key, order.customer_id, order.id))

    def house(self, customer_id: UUID, type_: str) -> Locked:
        """The house account of the customer's partition. Rare ones are locked when a movement needs them."""
        account = ledger.house(customer_id, self.currency, type_)
        found = self.balances.get(account)
        if found is None:
            found = ledger_pipeline.lock(self._pipeline, [account]).result()[account]
            self.balances[account] = found
        return found

    def answered(self, command: Command, answer: Answer) -> None:
        """Send an answer, and keep it where the command may come again and no row would tell."""
        self.done.answers.append(answer)
        if key := remembered_by(command):
            self._answered.append((command, key, answer))
            self.stored[command.customer_id, key] = Stored(
                command.request_sha256, command.id, answer.status, answer.body
            )

    # --- writing -----------------------------------------------------------------------------------

    def write(self) -> None:
        """Send everything to be written down, in one statement, which fails where a row is not as it was read.

        The extremes go first, so that the tick's time is bound by its last statement.
        """
        extremes.write(self._pipeline, self._extreme_rows, self.at)
        closed = [order for id_, order in self._touched.items() if id_ in self._only_closed]
        changed = [(order, self.was[id_]) for id_, order in self._touched.items() if id_ not in self._only_closed]
        write(
            self._pipeline,
            [
                writes.insert_orders(list(self._new.values())),
                writes.close_orders(closed, self.at),
                writes.change_orders(changed),
                writes.insert_deals(self._deals, self.at),
                writes.insert_events(self._events, self.at),
                *ledger_pipeline.posting(self._postings, at=self.at),
                writes.insert_answers(self._answered, self.at),
                writes.note_margin_accounts(self._notes(), self.at),
            ],
            self._bound.commit_by(self._prices_until) if self._bound and is_outermost() else None,
        )
        self._tell()

    def _notes(self) -> list[tuple[object, *Noted]]:
        accounts = self.accounts.values()
        return [(account.customer_id, *account.noted) for account in accounts if account.noted != account.trader.noted]

    def _tell(self) -> None:
        self.done.at = self.at
        for order in (*self._new.values(), *self._touched.values()):
            (self.done.live if order.status in LIVE else self.done.ended).append(order)
        for account in self.accounts.values():
            self.done.cash[account.customer_id] = account.balance
            if (account.called_at is None) != (account.trader.called_at is None):
                self.done.called[account.customer_id] = account.called_at is not None
