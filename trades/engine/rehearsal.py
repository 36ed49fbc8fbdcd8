"""What the engine would do at prices that aren't the market's, by its own book and its own rules. Nothing is written.

The book says what may fire, the tick decides exactly, on rows that are read and not locked: so the engine isn't held
up, and what it commits meanwhile may be told a little differently than it comes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import localcontext
from itertools import islice
from uuid import UUID

from accounts import ledger
from accounts.arrays import array
from accounts.db.pipeline import ask, pipeline
from accounts.ledger import Account, Locked
from accounts.money import EXACT
from quotes.models import Instrument
from quotes.prices import Prices
from trades.book.book import Book
from trades.engine import price_extremes, queries
from trades.engine.apply import market_at
from trades.engine.load import accounts_of, open_accounts
from trades.margin.commands import Command, own
from trades.margin.decide import act, finish
from trades.margin.kinds import FIRE, JUDGE
from trades.margin.rows import OrderRow
from trades.margin.session import Changed, Session
from trades.states import OrderStatus

AT_ONCE = 500  # customers whose rows are in memory together
TURNS = 3  # what opens may be stopped at the same price, and that may call the account

_BORNE = frozenset({"order_protection", "order_advance"})


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would become of some customers: their orders that get another status, the kinds of events of their accounts,
    and what the house would bear of their losses, base units."""

    changed: list[Changed]
    events: list[str]
    borne: int


class UnlockedSource:
    """What a session asks for in the middle of its decisions, as it stands. Nothing is posted to a house account."""

    def live_orders(self, customer_id: UUID) -> Iterable[OrderRow]:
        return ask(queries.LIVE_ORDERS, [array([customer_id])], queries.orders)

    def house(self, account: Account) -> Locked:
        return Locked(UUID(int=0), account, 0, 0)


def look(prices: Prices, would_be: Instrument, customers: Collection[UUID]) -> Session:
    """A session with these customers' live orders and money, read without locks, by an instrument as it would be."""
    market = market_at(prices, would_be)
    session = Session(market, prices.now, UnlockedSource())
    balances = ledger.as_they_stand(accounts_of(customers))
    with pipeline() as p:
        for order in p.send(queries.LIVE_ORDERS, [array(customers)], queries.orders).result():
            session.note(order)
        open_accounts(session, queries.customer_rows(p, customers).result(), balances)
        session.all_are_here(set(customers))
        session.peaks = price_extremes.peaks(p, [o for o in session.by_id.values() if o.trailing_stop is not None])
    return session


def rehearse(now: Prices, would_be: Prices, instrument: Instrument) -> Iterator[Rehearsed]:
    """What the engines would do if `would_be` came after `now`, by this instrument's rules; some customers at a time.

    Both hold every symbol's price. The instrument is as it would be. What is converted by its price is looked at, too.
    """
    symbol = instrument.symbol
    book = Book.load(0, 1)
    book.fired(now.by_symbol.values())
    fired = book.fired([would_be.by_symbol[symbol]])
    codes: dict[UUID, set[str]] = defaultdict(set)
    for customer, code in fired.orders:
        codes[customer].add(code)
    for customer in fired.accounts:
        codes[customer] |= set()
    customers = iter(codes)
    while some := list(islice(customers, AT_ONCE)):
        yield _rehearsed(look(would_be, instrument, some), some, {code for one in some for code in codes[one]})


def _rehearsed(session: Session, customers: Sequence[UUID], codes: Collection[str]) -> Rehearsed:
    with localcontext(EXACT):
        for _ in range(TURNS):
            for command in _next_commands(session, customers, codes):
                act(session, command)
                finish(session, command)
            codes = set()
    changed = [change for change in session.changed() if change.order.status != change.was]
    events = [event.kind for event in session.events if event.order_id is None]
    return Rehearsed(changed, events, sum(p.amount for p in session.postings if p.kind in _BORNE))


def _next_commands(session: Session, customers: Collection[UUID], codes: Collection[str]) -> list[Command]:
    """To look at these orders and at what has opened here, then at these customers' margin levels."""
    named = [o for o in session.by_id.values() if o.code in codes or _has_opened(session, o)]
    fires = [own(FIRE, o.customer_id, orderId=o.code) for o in named]
    return fires + [own(JUDGE, customer) for customer in customers]


def _has_opened(session: Session, order: OrderRow) -> bool:
    return order.status == OrderStatus.OPEN and session.was(order) == OrderStatus.PENDING
