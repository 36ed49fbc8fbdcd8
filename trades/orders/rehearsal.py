"""What the engine would do at prices that aren't the market's, by its own book and its own rules. Nothing is written.

The book says what may fire, the tick decides exactly, on rows that are read and not locked: so the engine isn't held
up, and what it commits meanwhile may be told a little differently than it comes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import localcontext
from itertools import islice
from uuid import UUID

from accounts import ledger
from accounts.db.pipeline import pipeline
from accounts.ids import uuid7
from accounts.ledger import Locked
from accounts.money import EXACT
from quotes.models import Instrument
from quotes.prices import Prices
from trades.orders import extremes, reads
from trades.orders.apply import decide
from trades.orders.book import Book
from trades.orders.commands import FIRE, JUDGE, Command
from trades.orders.rows import OrderRow
from trades.orders.tick import Tick
from trades.states import OrderStatus

AT_ONCE = 500  # customers whose rows are in memory together
TURNS = 3  # what opens may be stopped at the same price, and that may call the account

_BORNE = frozenset({"order_protection", "order_advance"})


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an order: its row at the end, and its status before."""

    order: OrderRow
    was: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would become of some customers: their orders that change, the kinds of events of their accounts, and what
    the house would bear of their losses, base units."""

    fates: list[Fate]
    events: list[str]
    borne: int


class Rehearsal(Tick):
    """A tick that reads without locks, decides, and is never written."""

    def __init__(self, prices: Prices, would_be: Instrument) -> None:
        super().__init__(prices)
        self.instruments[would_be.symbol] = would_be

    def look(self, customers: Collection[UUID]) -> None:
        """Read these customers' live orders and money."""
        balances = ledger.as_they_stand(self._accounts_of(customers))
        with pipeline() as p:
            for order in reads.live_orders(p, customers).result():
                self.note(order)
            self._open_accounts(reads.traders(p, customers).result(), balances)
            self._all_are_here(set(customers))
            self.peaks = extremes.peaks(p, [o for o in self.by_id.values() if o.trailing_stop is not None])

    def house(self, customer_id: UUID, type_: str) -> Locked:
        account = ledger.house(customer_id, self.currency, type_)
        return self.balances.setdefault(account, Locked(UUID(int=0), account, 0, 0))

    def next_commands(self, customers: Collection[UUID], codes: Collection[str]) -> list[Command]:
        """To look at these orders and at what has opened here, then at these customers' margin levels."""
        named = [o for o in self.by_id.values() if o.code in codes or self._has_opened(o)]
        fires = [Command(uuid7(), FIRE, o.customer_id, terms={"orderId": o.code}) for o in named]
        return fires + [Command(uuid7(), JUDGE, customer) for customer in customers]

    def _has_opened(self, order: OrderRow) -> bool:
        return order.status == OrderStatus.OPEN and self.was.get(order.id) == OrderStatus.PENDING

    def outcome(self) -> Rehearsed:
        fates = [Fate(order, was) for id_, was in self.was.items() if (order := self.by_id[id_]).status != was]
        events = [event.kind for event in self._events if event.order_id is None]
        return Rehearsed(fates, events, sum(p.amount for p in self._postings if p.kind in _BORNE))


def rehearse(now: Prices, would_be: Prices, instrument: Instrument) -> Iterator[Rehearsed]:
    """What the engines would do if `would_be` came after `now`, by this instrument's rules; some customers at a time.

    Both hold every symbol's price. The instrument is as it would be.
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
        yield _rehearsed(Rehearsal(would_be, instrument), some, {code for one in some for code in codes[one]})


def _rehearsed(tick: Rehearsal, customers: Sequence[UUID], codes: Collection[str]) -> Rehearsed:
    with localcontext(EXACT):
        tick.look(customers)
        for _ in range(TURNS):
            decide(tick.next_commands(customers, codes), tick)
            codes = set()
    return tick.outcome()
