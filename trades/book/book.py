"""All live orders and margin accounts of a partition, in memory beside the engine that trades them.

PostgreSQL is the truth: the book is rebuilt from it at the start and kept up by the engine's own commits. It
only says what may fire, never too little: the tick looks at the locked row again before it does anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings

from quotes.conversion import Conversion, Rates
from quotes.prices import Price
from quotes.symbols import instrument, instruments
from trades.book import loading
from trades.book.accounts import Margins
from trades.book.queues import NONE, RECORD, Held, Limits, Queue, Triggers
from trades.currency import decimals
from trades.margin.rows import OrderRow
from trades.margin.triggers import EXITS, waits_for
from trades.states import OrderStatus


@dataclass(frozen=True, slots=True)
class Fired:
    """What a price may have reached: orders as (customer_id, code), oldest first, and customers whose margin level
    may have crossed a mark."""

    orders: list[tuple[UUID, str]]
    accounts: list[UUID]


class Book:
    """An empty book; `load` makes the one of a partition."""

    def __init__(self) -> None:
        self._margins = Margins(
            settings.MARGIN_CALL_PERCENT, settings.STOP_OUT_PERCENT, settings.MARGIN_CALL_RELEASE_PERCENT
        )
        self._queues: dict[Queue, Triggers] = {}
        self._of_symbol: dict[str, list[Triggers]] = {}
        self._prices: dict[str, Price] = {}  # by which triggers are judged
        self._latest: dict[str, Price] = {}  # by which positions are valued: of markets that rest as well
        self._close_only: set[str] = set()  # by the prices that triggers are judged by

    @classmethod
    def load(cls, partition: int, partitions: int) -> Book:
        """The book of the customers of this engine, from PostgreSQL. Its trailing stops stand where they stood."""
        book = cls()
        book._fill(partition, partitions)
        return book

    def __len__(self) -> int:
        """How many orders are open or pending."""
        return sum(map(len, self._queues.values()))

    def knows(self, customer_id: UUID) -> bool:
        """Whether a customer has live orders."""
        return self._margins.knows(customer_id)

    def next_few(self, count: int) -> list[UUID]:
        """Customers with live orders, others at each call, until it was everybody's turn."""
        return self._margins.next_few(count)

    def trailing_symbols(self) -> set[str]:
        """The symbols with open trailing stops."""
        return {queue.symbol for queue, triggers in self._queues.items() if queue.trails and len(triggers)}

    # --- what the engine committed -----------------------------------------------------------------

    def take_up(self, orders: Iterable[OrderRow]) -> None:
        """Orders that were opened, placed, changed or reduced: each replaces what was known of it.

        A trailing stop starts at its row's peak, or stays where it is when it is still the one set at that moment.
        """
        for order in orders:
            id_ = order.id.bytes
            before = self._take(order, id_)
            is_open = order.status == OrderStatus.OPEN
            queue = Queue(order.instrument_id, order.side, is_open, is_open and order.trailing_stop is not None)
            held = self._held(order, is_open)
            triggers = self._triggers(queue)
            triggers.put(id_, held, _limits(order, is_open))
            if before is not None and queue.trails and before[0].trail_at == held.trail_at:
                triggers.keep_level(id_, before[1])
            self._count(queue, held, sign=1)

    def let_go(self, orders: Iterable[OrderRow]) -> None:
        """Orders that were closed or cancelled; unknown ones are ignored."""
        for order in orders:
            self._take(order, order.id.bytes)

    def set_cash(self, cash: Mapping[UUID, int]) -> None:
        """What customers own in the account currency, available and reserved together, base units."""
        self._margins.set_cash(cash)

    def set_hedged(self, hedged: Mapping[UUID, int]) -> None:
        """How much less than all their orders' margins customers use, as positions hedge each other; base units."""
        self._margins.set_hedged(hedged)

    def set_called(self, called: Mapping[UUID, bool]) -> None:
        """Whether customers' margin accounts are called."""
        self._margins.set_called(called)

    # --- prices ------------------------------------------------------------------------------------

    def fired(
        self, prices: Iterable[Price], *, resting: Iterable[Price] = (), close_only: Collection[str] = ()
    ) -> Fired:
        """Judge prices that moved, and everything that was changed since the last time by the latest price.

        `resting` are prices of markets in which nothing executes: they move margin levels alone. Of those that are
        `close_only` no pending order is judged. What is converted by a price that moved is judged once more, too: it
        may have been reached before, and have waited for its rate. Asking again with the same prices gives the same,
        as long as nothing is let go.
        """
        reached: dict[bytes, tuple[int, bytes]] = {}
        moved: set[str] = set()
        for price in prices:
            moved.add(price.symbol)
            self._prices[price.symbol] = self._latest[price.symbol] = price
            self._margins.move(price)
            (self._close_only.add if price.symbol in close_only else self._close_only.discard)(price.symbol)
            for triggers in self._judged(price.symbol):
                triggers.move(price)
                reached |= {id_: (account, code) for id_, account, code in triggers.fired()}
        trading = set(moved)
        for price in resting:
            moved.add(price.symbol)
            self._latest[price.symbol] = price
            self._margins.move(price)
        for symbol in self._executing_by(trading):
            for triggers in self._judged(symbol):
                reached |= {id_: (account, code) for id_, account, code in triggers.fired()}
        moved |= self._convert(moved)
        for triggers in self._queues.values():
            if triggers.fresh:
                reached |= {id_: (account, code) for id_, account, code in triggers.fired_fresh()}
        customer = self._margins.customer
        return Fired(
            [(customer(account), code.decode().rstrip()) for _, (account, code) in sorted(reached.items())],
            [customer(number) for number in self._margins.crossing(moved)],
        )

    # --- inside ------------------------------------------------------------------------------------

    def _judged(self, symbol: str) -> list[Triggers]:
        """The queues of a symbol, without those of pending orders where its market is for closing only."""
        return [
            triggers
            for triggers in self._of_symbol.get(symbol, ())
            if triggers.queue.is_open or symbol not in self._close_only
        ]

    def _executing_by(self, moved: Collection[str]) -> list[str]:
        """The other symbols whose orders execute at a rate by one of these prices, and whose own market doesn't rest,
        by its latest price."""
        if not moved:
            return []
        rates = self._rates()
        return [
            symbol
            for symbol in self._of_symbol
            if symbol not in moved
            and self._prices.get(symbol) is self._latest.get(symbol)
            and _is_converted_by(moved, symbol, rates)
        ]

    def _convert(self, moved: Collection[str]) -> set[str]:
        """Value anew what is counted in another currency, where its price, a rate on its way, or its orders are others
        now; the symbols whose positions are worth another amount by a price that has moved."""
        if not self._margins.converted:
            return set()
        rates, touched = self._rates(), set()
        for symbol, positions in self._margins.converted.items():
            is_touched = symbol in moved or _is_converted_by(moved, symbol, rates)
            if is_touched:
                touched.add(symbol)
            if is_touched or positions.is_stale:
                self._value(symbol, rates.of(instrument(symbol).counter_asset_id))
        return touched

    def _rates(self) -> Rates:
        return Rates(instruments(), settings.ACCOUNT_CURRENCY, self._latest.get)

    def _value(self, symbol: str, conversion: Conversion | None) -> None:
        """As `Market.floating` does, each order by itself: nothing where a price or a rate was never there."""
        price = self._latest.get(symbol)
        queues = [one for one in self._of_symbol.get(symbol, ()) if one.queue.is_open and len(one)]
        accounts, profits, sizes = np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        if price is not None and conversion is not None and queues:
            records = [(triggers.records(), triggers.queue.side) for triggers in queues]
            gain, loss = (float(rate.multiplier / rate.divisor) for rate in conversion)
            accounts = np.concatenate([held["account"] for held, _ in records])
            made = [
                (held["quantity"] * float(price.exit(side)) - held["value"]) * (1 if side == "buy" else -1)
                for held, side in records
            ]
            profits = np.concatenate(made)
            profits *= np.where(profits < 0, loss, gain)
            sizes = np.abs(profits) + loss * np.concatenate([held["value"] for held, _ in records])
        self._margins.convert(symbol, accounts, profits, sizes)

    def _take(self, order: OrderRow, id_: bytes) -> tuple[Held, float] | None:
        for triggers in self._of_symbol.get(order.instrument_id, ()):
            taken = triggers.take(id_)
            if taken is not None:
                self._count(triggers.queue, taken[0], sign=-1)
                return taken
        return None

    def _count(self, queue: Queue, held: Held, *, sign: int) -> None:
        self._margins.add(
            held.account,
            queue.symbol,
            queue.side,
            held.quantity,
            held.value,
            held.margin,
            sign=sign,
            converts=_converts(queue.symbol),
        )

    def _held(self, order: OrderRow, is_open: bool) -> Held:
        account, code = self._margins.number_of(order.customer_id), order.code.encode()
        if not is_open or order.open_price is None:
            return Held(account, 0.0, 0.0, 0.0, 0, code)
        quantity = float(order.quantity) * 10.0 ** decimals()
        value = quantity * float(order.open_price)
        return Held(account, quantity, value, float(order.margin), loading.microseconds(order.trail_at), code)

    def _triggers(self, queue: Queue) -> Triggers:
        triggers = self._queues.get(queue)
        if triggers is None:
            triggers = self._queues[queue] = Triggers(queue)
            self._of_symbol.setdefault(queue.symbol, []).append(triggers)
            if queue.symbol in self._prices:
                triggers.look_at(self._prices[queue.symbol])
        return triggers

    def _fill(self, partition: int, partitions: int) -> None:
        symbols = sorted(instruments())
        orders = loading.live_orders(partition, partitions, symbols)
        accounts = loading.accounts(partition, partitions)
        extremes = loading.extremes(symbols)
        customers = accounts["customer"].tolist()
        self._margins.fill(customers, accounts["cash"].copy(), accounts["hedged"].copy(), accounts["called"].copy())
        records = self._records(orders, dict(zip(customers, range(len(customers)), strict=True)))
        for number, symbol in enumerate(symbols, 1):
            of_symbol = np.flatnonzero(orders["symbol"] == number)
            if len(of_symbol):
                self._margins.fill_symbol(
                    symbol, records[of_symbol], orders["is_buy"][of_symbol], converts=_converts(symbol)
                )
                self._fill_symbol(symbol, orders[of_symbol], records[of_symbol], extremes[extremes["symbol"] == number])

    def _records(self, orders: Any, numbers: dict[bytes, int]) -> Any:
        records = np.empty(len(orders), RECORD)
        records["account"] = [numbers[customer] for customer in orders["customer"].tolist()]
        records["quantity"] = orders["quantity"] * 10.0 ** decimals()
        records["value"] = records["quantity"] * orders["open_price"]
        records["margin"] = np.where(orders["is_open"], orders["margin"], 0.0)
        records["trail_at"] = np.where(orders["is_open"], orders["trail_at"], 0)
        records["code"] = orders["code"]
        return records

    def _fill_symbol(self, symbol: str, orders: Any, records: Any, extremes: Any) -> None:
        for side, is_open, trails in _KINDS:
            kind = (orders["is_buy"] == (side == "buy")) & (orders["is_open"] == is_open) & (orders["trails"] == trails)
            chosen = orders[kind]
            if len(chosen):
                lower, upper, peak, distance = (chosen[n] for n in ("lower", "upper", "peak", "distance"))
                if trails:
                    peak = loading.peaks_since(extremes, side, peak, chosen["trail_at"])
                triggers = self._triggers(Queue(symbol, side, is_open, trails))
                triggers.fill(chosen["id"].tolist(), records[kind], lower, upper, np.stack([peak, distance]))

    def state(self) -> tuple[dict[UUID, tuple[Any, ...]], dict[UUID, tuple[Any, ...]]]:
        """Everything that decides what fires, by order and by customer, to compare two books by.

        Of orders all is exact. Accounts are numbered as they come, so they are named; their sums are rounded.
        """
        self._convert(())  # what came since the last look
        orders = {
            UUID(bytes=id_): (queue, self._margins.customer(held.account), held.code.rstrip(), held[1:5], *limits)
            for triggers in self._queues.values()
            for id_, (queue, held, *limits) in triggers.state().items()
        }
        return orders, self._margins.state()


_KINDS = [(side, *kind) for side in ("buy", "sell") for kind in ((True, False), (True, True), (False, False))]


def _converts(symbol: str) -> bool:
    """Whether a symbol is counted in another currency than the accounts."""
    return instrument(symbol).counter_asset_id != settings.ACCOUNT_CURRENCY


def _is_converted_by(moved: Collection[str], symbol: str, rates: Rates) -> bool:
    """Whether one of the prices that moved is on the way from what a symbol is counted in to the accounts' currency."""
    return any(leg.symbol in moved for leg in rates.path(instrument(symbol).counter_asset_id) or ())


def _limits(order: OrderRow, is_open: bool) -> Limits:
    if is_open:
        levels = {trigger.bound.value: _float(getattr(order, trigger.column)) for trigger in EXITS}
        return Limits(**levels, peak=_float(order.trail_peak), distance=_float(order.trailing_stop))
    waits = waits_for(order)
    return Limits(**{waits.bound.value: _float(getattr(order, waits.column))})


def _float(value: Any) -> float:
    return NONE if value is None else float(value)
