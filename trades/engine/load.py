"""A session is filled: everything that its commands are about is locked and read, in two round trips at most."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings

from accounts import ledger, ledger_pipeline
from accounts.db.pipeline import Pipeline
from accounts.ids import PARTITIONS, partition_of
from accounts.ledger import AVAILABLE, MARGIN, PROFIT, Account, Balances, Locked
from trades.engine import price_extremes, queries, risk_limits
from trades.engine.bounds import Bound
from trades.engine.price_extremes import ExtremeRow
from trades.margin.account import AccountState
from trades.margin.commands import Command, remembered_by
from trades.margin.kinds import About, Actor, about
from trades.margin.market import Market
from trades.margin.rows import CustomerRow, Loss, OrderRow
from trades.margin.session import Session
from trades.states import OrderStatus, OrderType

_NEW = about(About.A_NEW_ORDER)
_NAMING = about(About.AN_ORDER, About.A_TRIGGER)
_TRIGGERS = about(About.A_TRIGGER)
_WHOLE = about(About.ALL_ORDERS)


class LockingSource:
    """What a session asks for in the middle of its decisions, locked like all the rest."""

    def __init__(self, p: Pipeline) -> None:
        self._pipeline = p

    def live_orders(self, customer_id: UUID) -> Iterable[OrderRow]:
        return queries.lock_live_orders(self._pipeline, [customer_id]).result()

    def house(self, account: Account) -> Locked:
        return ledger_pipeline.lock(self._pipeline, [account]).result()[account]


def load(
    p: Pipeline,
    commands: Sequence[Command],
    market: Market,
    extremes: Sequence[ExtremeRow] = (),
    bound: Bound | None = None,
) -> Session:
    """A session with what these commands need; the pipeline stays open until it is stored. Raises LeaseLost.

    `bound` holds the lease and gives the time, else it is that of the prices. `extremes` are going to be written.
    """
    session = Session(market, market.prices.now, LockingSource(p))
    customers = {command.customer_id for command in commands}
    creates = [c for c in commands if c.kind in _NEW]
    whole = {c.customer_id for c in commands if c.kind in _WHOLE}
    if bound is not None:
        bound.begin(p)
    named_orders = queries.lock_orders(p, {(c.customer_id, c.terms["orderId"]) for c in commands if c.kind in _NAMING})
    whole_orders = queries.lock_live_orders(p, whole)
    stored = queries.stored_answers(p, {(c.customer_id, key) for c in commands if (key := remembered_by(c))})
    makers = [*creates, *(c for c in commands if c.kind in _NAMING and c.terms.get("quantity"))]
    made = queries.orders_made_by(p, makers)
    taken = queries.codes_by_client_order_id(
        p, {(c.customer_id, c.terms["clientOrderId"]) for c in creates if c.terms.get("clientOrderId")}
    )
    lost = queries.losses(p, {c.customer_id for c in creates}, market.prices.by_symbol)
    tiered = {(c.customer_id, symbol) for c in creates if (symbol := market.tiered(c.terms["symbol"]))}
    exposed = queries.exposures(p, tiered)
    known = queries.customer_rows(p, customers, {c.session_id for c in commands})
    clients = queries.client_rows(p, {c.asker_id for c in commands if c.actor is Actor.CLIENT and c.asker_id})
    ordered = queries.ordered_actions(p, {c.action_id for c in commands if c.action_id})
    balances = ledger_pipeline.lock(p, accounts_of(customers))

    if bound is not None:
        session.at = bound.began()
        market.decide_at(session.at, bound.redis_at)
    for order in (*named_orders.result(), *whole_orders.result()):
        session.note(order)
    session.stored, session.taken, session.clients = stored.result(), taken.result(), clients.result()
    session.ordered = ordered.result()
    session.made = {order.command_id: order for order in made.result() if order.command_id}
    losses = lost.result()
    session.exposures = dict.fromkeys(tiered, 0) | exposed.result()
    rows = known.result()
    open_accounts(session, rows, balances.result())
    session.all_are_here(whole)
    for customer in {c.customer_id for c in creates} & session.accounts.keys():
        session.accounts[customer].loss = losses.get(customer) or Loss(Decimal(0))
    _load_more(p, session, commands, extremes)
    risk_limits.load(p, session, _version(rows), _may_open(session, commands))
    return session


def load_held(
    p: Pipeline,
    market: Market,
    partitions: Collection[int],
    cutoff: datetime,
    after: tuple[UUID, UUID] | None,
    most: int,
    at: datetime,
    clock: datetime,
) -> tuple[Session, list[OrderRow]]:
    """A session with the next orders of partitions that were open at `cutoff`, and their customers' money. `at` is the
    firm's time, `clock` what Redis' clock says then."""
    session = Session(market, at, LockingSource(p))
    market.decide_at(at, clock)
    held = queries.open_at(p, partitions, cutoff, after, most).result()
    for order in held:
        session.note(order)
    customers = {order.customer_id for order in held}
    known = queries.customer_rows(p, customers)
    balances = ledger_pipeline.lock(p, accounts_of(customers))
    rows = known.result()
    open_accounts(session, rows, balances.result())
    risk_limits.load(p, session, _version(rows), ())
    return session, held


def accounts_of(customers: Collection[UUID]) -> list[Account]:
    """The ledger accounts that nearly every decision about these customers touches.

    All margin accounts are in one currency; that of each is then the one that its ledger accounts have.
    """
    currency: str = settings.ACCOUNT_CURRENCY
    own = [Account(customer, None, currency, type_) for customer in customers for type_ in (AVAILABLE, MARGIN)]
    buckets = {partition_of(customer) for customer in customers}
    return own + [Account(None, bucket, currency, PROFIT) for bucket in range(PARTITIONS) if bucket in buckets]


def open_accounts(session: Session, known: dict[UUID, CustomerRow], balances: Balances) -> None:
    """Make the margin accounts of these customers."""
    session.balances = balances
    own = {(account.customer_id, account.type): locked for account, locked in balances.items()}
    for customer, row in known.items():
        available, margin = own[customer, AVAILABLE], own[customer, MARGIN]
        session.accounts[customer] = AccountState(
            customer,
            row,
            available,
            margin,
            balances[ledger.house(customer, margin.account.asset, PROFIT)],
            row.drawn,
            row.called_at,
            row.owed,
            row.owed_at,
            swap_carried=row.swap_carried,
            hedged=row.hedged,
        )


def _version(rows: dict[UUID, CustomerRow]) -> UUID | None:
    return next((row.limits for row in rows.values()), None)


def _may_open(session: Session, commands: Sequence[Command]) -> set[UUID]:
    """Whose orders may open in this tick: at the market, or because a price has come."""
    opens = set()
    for command in commands:
        if command.kind in _NEW:
            is_opening = command.terms.get("orderType") in (None, OrderType.MARKET)
        else:
            order = (
                session.orders.get((command.customer_id, command.terms["orderId"]))
                if command.kind in _TRIGGERS
                else None
            )
            is_opening = order is not None and order.status == OrderStatus.PENDING
        if is_opening and command.customer_id in session.accounts:
            opens.add(command.customer_id)
    return opens


def _load_more(p: Pipeline, session: Session, commands: Sequence[Command], extremes: Sequence[ExtremeRow]) -> None:
    """What only some ticks need: who closed what is closed, how far trailing stops have come, and all the orders of
    those whose positions may hedge each other."""
    named = [session.orders.get((c.customer_id, c.terms["orderId"])) for c in commands if c.kind in _NAMING]
    closed = [order.id for order in named if order is not None and order.status == OrderStatus.CLOSED]
    session.closed_by = queries.closing_commands(p, closed).result()
    fired = [session.orders.get((c.customer_id, c.terms["orderId"])) for c in commands if c.kind in _TRIGGERS]
    if trailing := [order for order in fired if order is not None and order.trailing_stop is not None]:
        session.peaks = price_extremes.peaks(p, trailing, extremes)
    hedging = {c.customer_id for c in commands if c.kind in _NEW and session.market.nets(c.terms["symbol"])} | {
        order.customer_id
        for order in named
        if order is not None and (order.nets_margin or session.market.nets(order.instrument_id))
    }
    if not_here := {customer for customer in hedging & session.accounts.keys() if not session.has_all_of(customer)}:
        for order in queries.lock_live_orders(p, not_here).result():
            session.note(order)
        session.all_are_here(not_here)
