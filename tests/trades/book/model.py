"""The book as plain Python says it, with exact numbers: what it must know after a history, and what a price fires.

`histories` are lists of steps; `Scenario` plays them, on a book and on the model, the way the engine would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from hypothesis import strategies as some

from accounts.ids import order_code, uuid7
from accounts.models import Customer, LedgerAccount
from quotes.prices import Price
from tests.pipelines import in_a_pipeline
from trades.book.book import Book, Fired
from trades.engine import price_extremes
from trades.engine.price_extremes import Extremes
from trades.margin import pricing, triggers
from trades.margin.levels import reaches
from trades.margin.rows import OrderRow
from trades.margin.triggers import ENTRIES
from trades.models import MarginAccount, Order
from trades.states import OrderType

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "EUR-GBP", "GBP-USD")
CONVERTED_BY = {"EUR-GBP": "GBP-USD"}
CUSTOMERS = 3
NEAR = Decimal("0.000001")  # as near to a mark as something may be that fires too early
LAST_DIGIT = Decimal("1e-18")
# Said once more: the book is made of `ENTRIES`, so these types are its, and what they mean is not.
A_BUY_FIRES_BELOW = {OrderType.LIMIT: True, OrderType.STOP: False}

# Few different numbers, so that prices meet limits exactly, and some that only differ in the last digit.
_levels = some.builds(
    lambda level, digits: Decimal(level) + digits * LAST_DIGIT, some.integers(90, 110), some.integers(-1, 1)
)
_maybe_a_level = some.none() | _levels
_distances = some.none() | some.sampled_from([Decimal(1), Decimal("0.5"), Decimal(3), Decimal(200), LAST_DIGIT])
_quantities = some.sampled_from([Decimal(1), Decimal("0.333333333333333333"), Decimal(5000000), Decimal("0.001")])
_who = some.integers(0, CUSTOMERS - 1)
_symbols = some.sampled_from(SYMBOLS)
_sides = some.sampled_from(["buy", "sell"])
_which = some.integers(0, 99)  # of the live orders, by age, counted round
_spreads = some.sampled_from([Decimal(0), LAST_DIGIT, Decimal(1)])


def _step(name: str, **of: some.SearchStrategy[Any]) -> some.SearchStrategy[tuple[str, dict[str, Any]]]:
    return some.tuples(some.just(name), some.fixed_dictionaries(of))


_limits = {"stop_loss": _maybe_a_level, "take_profit": _maybe_a_level, "trailing_stop": _distances}
_opening = _step("open", who=_who, symbol=_symbols, side=_sides, quantity=_quantities, at=_levels, **_limits)
_trailing = _step(
    "open",
    who=_who,
    symbol=_symbols,
    side=_sides,
    quantity=_quantities,
    at=_levels,
    stop_loss=some.none(),
    take_profit=some.none(),
    trailing_stop=some.sampled_from([Decimal(3), Decimal(200)]),
)
_moving = _step("move", prices=some.lists(some.tuples(_symbols, _levels, _spreads), min_size=1, max_size=3))
steps = some.one_of(
    _opening,
    _trailing,
    _moving,
    _moving,
    _moving,
    _step(
        "place",
        who=_who,
        symbol=_symbols,
        side=_sides,
        quantity=_quantities,
        type_=some.sampled_from(list(ENTRIES)),
        price=_levels,
        trailing_stop=_distances,
    ),
    _step("fill", which=_which, at=_levels),
    _step("change", which=_which, **_limits),
    _step("reduce", which=_which),
    _step("end", which=_which),
    _step("judge"),
    _step("cash", who=_who, mark=some.sampled_from([0, 50, 100, 101, 105, 1000]), offset=some.integers(-2, 2)),
    _step("hedged", who=_who, percent=some.sampled_from([0, 0, 10, 50, 100])),
    _step("called", who=_who, is_called=some.booleans()),
    _step("reload"),
)
histories = some.lists(steps, min_size=1, max_size=40) | some.lists(steps, min_size=25, max_size=40)


@dataclass
class Model:
    """What must be known, and what must fire, by exact numbers. `changed` is what nobody has looked at since."""

    orders: dict[UUID, OrderRow] = field(default_factory=dict)
    best: dict[UUID, Decimal] = field(default_factory=dict)  # exit prices of trailing orders
    cash: dict[UUID, int] = field(default_factory=dict)
    hedged: dict[UUID, int] = field(default_factory=dict)  # as it is noted; how it comes about is another test's
    called: set[UUID] = field(default_factory=set)
    prices: dict[str, Price] = field(default_factory=dict)
    changed_orders: set[UUID] = field(default_factory=set)
    changed_accounts: set[UUID] = field(default_factory=set)
    turnover: dict[UUID, Decimal] = field(default_factory=dict)

    def put(self, order: OrderRow) -> None:
        known = self.orders.get(order.id)
        if order.status == "OPEN" and order.trailing_stop is not None and order.trail_peak is not None:
            if known is None or known.trail_at != order.trail_at:
                self.best[order.id] = order.trail_peak
        else:
            self.best.pop(order.id, None)
        self.orders[order.id] = order
        self.changed_orders.add(order.id)
        self.changed_accounts.add(order.customer_id)
        if order.status == "OPEN":
            value = order.quantity * order.opened_price * 100 * (112 if order.instrument_id in CONVERTED_BY else 1)
            self.turnover[order.customer_id] = self.turnover.get(order.customer_id, Decimal(0)) + value

    def drop(self, order: OrderRow) -> None:
        del self.orders[order.id]
        self.best.pop(order.id, None)
        self.changed_orders.discard(order.id)
        self.changed_accounts.add(order.customer_id)

    def move(self, prices: Iterable[Price]) -> None:
        for price in prices:
            self.prices[price.symbol] = price
            for id_ in self.best:
                order = self.orders[id_]
                if order.instrument_id == price.symbol:
                    self.best[id_] = triggers.better(order.side, self.best[id_], price.exit(order.side))

    def triggers(self, order: OrderRow) -> tuple[Decimal | None, list[tuple[bool, Decimal]]]:
        """The price that an order watches, and at or below (true) or above what it fires."""
        price, is_buy = self.prices.get(order.instrument_id), order.side == "buy"
        if order.status == "PENDING":
            assert order.price is not None
            return price and price.entry(order.side), [(A_BUY_FIRES_BELOW[order.type] == is_buy, order.price)]
        found = [(is_buy, order.stop_loss), (not is_buy, order.take_profit)]
        if order.id in self.best:
            assert order.trailing_stop is not None
            found.append((is_buy, self.best[order.id] + order.trailing_stop * (-1 if is_buy else 1)))
        return price and price.exit(order.side), [(below, at) for below, at in found if at is not None]

    def fires(self, order: OrderRow, *, nearly: Decimal = Decimal(0)) -> bool:
        """Whether an order fires at the latest price, or would if that were so much better or worse."""
        price, triggers = self.triggers(order)
        if price is None:
            return False
        room = nearly * price
        return any(price <= at + room if below else price >= at - room for below, at in triggers)

    def positions(self, who: UUID) -> list[OrderRow]:
        return [order for order in self.orders.values() if order.customer_id == who and order.status == "OPEN"]

    def figures(self, who: UUID) -> tuple[int, int]:
        """Equity and used margin, exactly."""
        equity, margin = self.cash.get(who, 0), -self.hedged.get(who, 0)
        for order in self.positions(who):
            margin += order.margin
            price, by = self.prices.get(order.instrument_id), CONVERTED_BY.get(order.instrument_id)
            if price is not None and (by is None or by in self.prices):
                profit = (price.exit(order.side) - order.opened_price) * order.quantity * 100
                profit = profit if order.side == "buy" else -profit
                if by is not None:  # what is won is sold, what is lost has to be bought
                    profit *= self.prices[by].bid if profit > 0 else self.prices[by].ask
                exact = order.realized + profit
                equity += round(exact) - round(order.realized)  # half-even, both
        return equity, margin

    def crosses(self, who: UUID, *, nearly: Decimal = Decimal(0)) -> bool:
        """Whether an account must be judged: stopped out, called, or its call ended."""
        equity, margin = self.figures(who)
        turnover = self.turnover.get(who, Decimal(0)) + abs(self.cash.get(who, 0))
        room = int(nearly * turnover) + 2 * len(self.positions(who)) if nearly else 0
        if reaches(equity - room, margin, settings.STOP_OUT_PERCENT):
            return True
        if who in self.called:
            return not reaches(equity + room + (1 if nearly else 0), margin, settings.MARGIN_CALL_RELEASE_PERCENT)
        return reaches(equity - room, margin, settings.MARGIN_CALL_PERCENT)

    def must_fire(self, moved: set[str]) -> tuple[set[str], set[UUID]]:
        """The codes and the customers that can't be missing after prices of these symbols have moved."""
        looked_at = [  # what has no rate waits for one
            o
            for o in self.orders.values()
            if o.id in self.changed_orders or moved & {o.instrument_id, CONVERTED_BY.get(o.instrument_id)}
        ]
        held = {
            o.customer_id
            for o in self.orders.values()
            if o.status == "OPEN" and moved & {o.instrument_id, CONVERTED_BY.get(o.instrument_id)}
        }
        who = {customer for customer in held | self.changed_accounts if self.crosses(customer)}
        return {order.code for order in looked_at if self.fires(order)}, who


class Scenario:
    """Plays steps on a book and on the model, and compares them wherever they can be compared."""

    def __init__(self) -> None:
        self.customers = [customer.pk for customer in _customers()]
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.model = Model(cash=dict.fromkeys(self.customers, 0))
        self.book = Book()
        self.extremes = Extremes(0)
        self.fired: list[str] = []  # the codes and the customers that were found last
        self.accounts: list[UUID] = []

    def play(self, steps: Iterable[tuple[str, dict[str, Any]]]) -> None:
        for name, terms in steps:
            self.at += timedelta(milliseconds=1)
            getattr(self, name)(**terms)
            assert len(self.book) == len(self.model.orders)

    # --- steps -------------------------------------------------------------------------------------

    def open(self, who: int, symbol: str, side: str, quantity: Decimal, at: Decimal, **limits: Any) -> None:
        self.take_up(self._opened(self._order(who, symbol, side, quantity), at, limits.pop("trailing_stop"), **limits))

    def place(
        self, who: int, symbol: str, side: str, quantity: Decimal, type_: str, price: Decimal, **more: Any
    ) -> None:
        order = self._order(who, symbol, side, quantity)
        self.take_up(replace(order, type=type_, price=price, stop_loss=price, take_profit=price, **more))

    def fill(self, which: int, at: Decimal) -> None:
        if order := self._chosen(which, "PENDING"):
            self.take_up(self._opened(order, at, order.trailing_stop))

    def change(self, which: int, **limits: Any) -> None:
        if order := self._chosen(which, "OPEN"):
            self.take_up(self._trailed(replace(order, **limits), limits["trailing_stop"]))

    def reduce(self, which: int) -> None:
        if order := self._chosen(which, "OPEN"):
            half = (order.quantity / 2).quantize(LAST_DIGIT)  # as many decimals as a quantity may have
            brought = (Decimal(self.at.microsecond % 7) - 3) / 4 * (order.quantity - half)  # closed anywhere near
            kept = {"quantity": half, "margin": -(-order.margin // 2), "realized": order.realized + brought}
            self._hedge(order.customer_id, 0)
            self.take_up(replace(order, **kept))

    def end(self, which: int) -> None:
        if order := self._chosen(which, "OPEN", "PENDING"):
            self.model.drop(order)
            self._hedge(order.customer_id, 0)
            self.book.let_go([replace(order, status="CLOSED"), replace(order, id=uuid7())])

    def move(self, prices: list[tuple[str, Decimal, Decimal]]) -> None:
        # As the engine reads them: the latest of each symbol.
        moved = list({s: Price(s, bid, bid + spread, self.at) for s, bid, spread in prices}.values())
        rows = self.extremes.judged(moved, self.book.trailing_symbols(), self.at)
        self.model.move(moved)
        fired = self.book.fired(moved)
        in_a_pipeline(price_extremes.write, rows)
        self.extremes.written()
        self._check(fired, {price.symbol for price in moved})

    def judge(self) -> None:
        self._check(self.book.fired([]), set())

    def cash(self, who: int, mark: int, offset: int) -> None:
        """Cash that brings the margin level to a mark, or just beside it; below zero, more is owed than there is."""
        customer = self.customers[who]
        equity, margin = self.model.figures(customer)
        floating = equity - self.model.cash[customer]
        self.model.cash[customer] = margin * mark // 100 - floating + offset
        self.model.changed_accounts.add(customer)
        self.book.set_cash({customer: self.model.cash[customer]})

    def hedged(self, who: int, percent: int) -> None:
        """So much of what its positions' margins come to isn't used; of one position, nothing can be."""
        customer = self.customers[who]
        held = self.model.positions(customer)
        self._hedge(customer, sum(order.margin for order in held) * percent // 200 if len(held) > 1 else 0)

    def _hedge(self, customer: UUID, amount: int) -> None:
        self.model.hedged[customer] = amount
        self.model.changed_accounts.add(customer)
        self.book.set_hedged({customer: amount})

    def called(self, who: int, is_called: bool) -> None:
        customer = self.customers[who]
        (self.model.called.add if is_called else self.model.called.discard)(customer)
        self.model.changed_accounts.add(customer)
        self.book.set_called({customer: is_called})

    def reload(self) -> None:
        """An engine that starts anew: its book must be the one that was kept, and goes on in its place."""
        trailing = [order for order in self.model.orders.values() if order.id in self.model.best]
        assert in_a_pipeline(price_extremes.peaks, trailing) == self.model.best
        with transaction.atomic():
            self.write_down()
            loaded = Book.load(0, 1)
            transaction.set_rollback(True)
        self.model.changed_accounts |= set(self.customers)
        latest = list(self.model.prices.values())
        self._check(loaded.fired(latest), set(self.model.prices))
        same(self.book, loaded, self.model.turnover)
        self.book = loaded
        self.extremes = Extremes(0)

    # --- inside ------------------------------------------------------------------------------------

    def _check(self, fired: Fired, moved: set[str]) -> None:
        orders, accounts = self.model.must_fire(moved)
        by_code = {order.code: order for order in self.model.orders.values()}
        codes = self.fired = [code for _, code in fired.orders]
        self.accounts = fired.accounts
        assert orders <= set(codes), "an order that a price reached was missed"
        assert accounts <= set(fired.accounts), "an account that crossed a mark was missed"
        for customer, code in fired.orders:
            assert customer == by_code[code].customer_id
            assert self.model.fires(by_code[code], nearly=NEAR), "an order fired far from its price"
        for customer in fired.accounts:
            assert self.model.crosses(customer, nearly=NEAR), "an account was judged far from its marks"
        assert codes == sorted(codes, key=lambda code: by_code[code].id), "oldest first"
        assert len(fired.orders) == len(set(codes))
        assert len(fired.accounts) == len(set(fired.accounts))
        self.model.changed_orders.clear()
        self.model.changed_accounts.clear()

    def take_up(self, order: OrderRow) -> None:
        was = self.model.orders.get(order.id)
        self.model.put(order)
        self.book.set_cash({order.customer_id: self.model.cash[order.customer_id]})
        self.book.take_up([order])
        if order.trail_at is not None and (was is None or was.trail_at != order.trail_at):
            self.extremes.restart({order.instrument_id})

    def _chosen(self, which: int, *statuses: str) -> OrderRow | None:
        found = [order for order in self.model.orders.values() if order.status in statuses]
        return found[which % len(found)] if found else None

    def _order(self, who: int, symbol: str, side: str, quantity: Decimal) -> OrderRow:
        return OrderRow(
            id=uuid7(),
            code=order_code(),
            customer_id=self.customers[who],
            client_order_id=None,
            command_id=None,
            parent_id=None,
            instrument_id=symbol,
            side=side,
            type="market",
            quantity=quantity,
            leverage=10,
            margin=0,
            price=None,
            open_price=None,
            take_profit=None,
            stop_loss=None,
            trailing_stop=None,
            trail_peak=None,
            trail_at=None,
            status="PENDING",
            created_at=self.at,
        )

    def _opened(self, order: OrderRow, at: Decimal, trailing_stop: Decimal | None, **limits: Any) -> OrderRow:
        margin = pricing.margin_required(order.quantity, at, order.leverage, 2)
        opened = replace(order, status="OPEN", open_price=at, opened_at=self.at, margin=margin, **limits)
        return self._trailed(opened, trailing_stop)

    def _trailed(self, order: OrderRow, distance: Decimal | None) -> OrderRow:
        """With a trailing stop that is set now, at the latest price; where there is none, at its own."""
        if distance is None:
            return replace(order, trailing_stop=None, trail_peak=None, trail_at=None)
        latest = self.model.prices.get(order.instrument_id)
        peak = latest.exit(order.side) if latest else order.opened_price
        return replace(order, trailing_stop=distance, trail_peak=peak, trail_at=self.at)

    def write_down(self) -> None:
        columns = [name for name in OrderRow.__slots__ if name not in ("instrument_id", "customer_id")]
        Order.objects.bulk_create(
            Order(
                instrument_id=order.instrument_id,
                customer_id=order.customer_id,
                **{name: getattr(order, name) for name in columns},
            )
            for order in self.model.orders.values()
        )
        for customer, cash in self.model.cash.items():
            there, owed = max(cash, 1), max(0, 1 - cash)
            reserved = min(there, self.model.figures(customer)[1])
            for type_, amount in (("available", there - reserved), ("margin", reserved)):
                LedgerAccount.objects.create(customer_id=customer, asset_id="USD", type=type_, credits=amount)
            called_at, owed_at = (self.at if one else None for one in (customer in self.model.called, owed))
            MarginAccount.objects.create(
                customer_id=customer,
                called_at=called_at,
                owed=owed,
                owed_at=owed_at,
                hedged=self.model.hedged.get(customer, 0),
                updated_at=self.at,
            )


def same(kept: Book, loaded: Book, turnover: Mapping[UUID, Decimal]) -> None:
    """Both know the same: of orders exactly; of accounts as exactly as floats can sum up all that they ever held."""
    (orders, accounts), (loaded_orders, loaded_accounts) = kept.state(), loaded.state()
    assert orders == loaded_orders
    assert accounts.keys() == loaded_accounts.keys()
    for customer, figures in accounts.items():
        worth = float(turnover.get(customer, 0))
        for one, other in zip(figures, loaded_accounts[customer], strict=True):
            assert abs(one - other) <= 1e-9 * (worth + abs(one)), (figures, loaded_accounts[customer])
    assert kept.trailing_symbols() == loaded.trailing_symbols()


def _customers() -> list[Customer]:
    made = [Customer(name=f"customer {n}", state="verified") for n in range(CUSTOMERS)]
    for customer in made:
        customer.save()
    return made
