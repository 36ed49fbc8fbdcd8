"""What the market says about orders while one tick decides: prices to execute at, and prices to reckon by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from accounts.errors import Refusal
from quotes.conversion import Conversion, Rate, Rates
from quotes.hours import OPEN_ALWAYS, MarketHours, MarketState, is_after_gap
from quotes.models import Instrument
from quotes.models.instrument import HedgedMargin
from quotes.prices import Price, Prices
from trades.margin import pricing
from trades.margin.errors import AgainstTheRules, PriceNotFound, market_rests
from trades.margin.rows import OrderRow

_MILLISECOND: Final = timedelta(milliseconds=1)


class Executed(NamedTuple):
    """The price that something was executed at, as its deal keeps it: `age_ms` as of the reading of prices."""

    bid: Decimal
    ask: Decimal
    at: datetime
    age_ms: int
    hold: int | None
    sources: str


class Market:
    """Prices and instruments as of one reading. `until` is when the first price that was used will be too old.

    Orders in instruments that are counted in another currency than `currency`, the accounts', need the prices on the
    way there as much as their own: without one of them they have no price.
    """

    def __init__(
        self,
        prices: Prices,
        instruments: Mapping[str, Instrument],
        canonical: Callable[[object], str | None],
        currency: str,
        decimals: int,
        hours: Mapping[str, MarketHours] | None = None,
    ) -> None:
        """`canonical` gives the symbol meant by a name from the outside; `decimals` are the account currency's. Without
        `hours` no market ever closes."""
        self._hours = hours or {}
        self._at = self._clock = prices.now
        self.prices = prices
        self.instruments = instruments
        self.currency = currency
        self.decimals = decimals
        self.until: datetime | None = None
        self._usable_rates = Rates(instruments, currency, self._use)
        self._latest_rates = Rates(instruments, currency, prices.by_symbol.get)
        self._canonical = canonical
        self._usable: dict[str, Price | None] = {}
        self._executed: dict[str, Executed] = {}

    def decide_at(self, at: datetime, clock: datetime) -> None:
        """By which time (the firm's) markets are open or not, and what Redis' clock said then."""
        self._at, self._clock = at, clock

    def state_of(self, symbol: str) -> MarketState:
        """Whether a market is open now."""
        hours = self._hours.get(symbol)
        return OPEN_ALWAYS if hours is None else hours.state_at(self._at)

    def refuse_opening(self, symbol: str, said: str, *, waits: bool) -> None:
        """Raises MarketClosed, MarketHalted, MarketCloseOnly, where no position opens now or, of an order that `waits`,
        none is placed."""
        state = self.state_of(symbol)
        if not (state.takes_pending if waits else state.opens):
            raise market_rests(said, state)

    def tradable(self, said: str) -> Instrument:
        """The instrument meant by a name, if it may be traded. Raises PriceNotFound, and AgainstTheRules where nothing
        leads from the currency that it is counted in to the accounts'."""
        symbol = self._canonical(said)
        instrument = self.instruments.get(symbol) if symbol else None
        if instrument is None or not instrument.is_active:
            raise PriceNotFound(said)
        if self._latest_rates.path(instrument.counter_asset_id) is None:
            raise AgainstTheRules(
                f"{instrument.symbol} is counted in {instrument.counter_asset_id},"
                f" which no instrument converts to {self.currency}"
            )
        return instrument

    def tiered(self, said: object) -> str | None:
        """The symbol meant by a name, where its leverage goes by a customer's exposure."""
        instrument = self.instruments.get(self._canonical(said) or "")
        return instrument.symbol if instrument is not None and instrument.leverage_tiers else None

    def nets(self, said: object) -> bool:
        """Whether what opens now in the symbol meant by a name is hedged by positions against it."""
        instrument = self.instruments.get(self._canonical(said) or "")
        return instrument is not None and instrument.hedged_margin == HedgedMargin.LARGER_SIDE

    def instrument_of(self, order: OrderRow) -> Instrument:
        return self.instruments[order.instrument_id]

    def conversion(self, symbol: str) -> Conversion:
        """The rates to execute at, of what an instrument is counted in. Raises PriceNotFound, and where a market on the
        way rests why; both name that one."""
        found = self._usable_rates.of(self._counted_in(symbol))
        if found is None:
            raise self.why_none(self._usable_rates.lacking(self._counted_in(symbol)) or symbol)
        return found

    def latest_conversion(self, order: OrderRow) -> Conversion | None:
        """The rates by the latest prices, however old."""
        return self._latest_rates.of(self._counted_in(order.instrument_id))

    def price(self, symbol: str, said: str | None = None) -> Price:
        """The price to execute at. Raises PriceNotFound, and where the market rests why; both name what was said."""
        price = self._use(symbol)
        if price is None:
            raise self.why_none(symbol, said)
        return price

    def why_none(self, symbol: str, said: str | None = None) -> Refusal:
        """Why nothing executes in this market now, where nothing does."""
        state = self.state_of(symbol)
        return PriceNotFound(said or symbol) if state.closes else market_rests(said or symbol, state)

    def price_to_judge_by(self, symbol: str, said: str | None = None) -> Price:
        """A fresh price, to compare with what was said, also where nothing executes. Raises as `price` does."""
        price = self.prices.usable(symbol, self.instruments[symbol].price_age_limit_seconds)
        if price is None or not self.state_of(symbol).has_prices:
            raise self.why_none(symbol, said)
        self._is_used(symbol, price)
        return price

    def executed(self, symbol: str) -> Executed:
        """Which price that is, for the deal. Raises PriceNotFound."""
        if symbol not in self._executed:
            price = self.price(symbol)
            age = (self.prices.now - price.at) // _MILLISECOND
            self._executed[symbol] = Executed(price.bid, price.ask, price.at, age, price.hold, price.made_of)
        return self._executed[symbol]

    def is_priced(self, order: OrderRow) -> bool:
        """Whether there are a price to execute the order at, in a market that lets positions be closed, and a rate to
        convert what it brings."""
        return self._use(order.instrument_id) is not None and (
            self._usable_rates.of(self._counted_in(order.instrument_id)) is not None
        )

    def why_not_priced(self, order: OrderRow) -> Refusal:
        """Of an order that isn't priced: what is with the market whose price lacks, its own or one of its rate's."""
        symbol = order.instrument_id
        if self._use(symbol) is not None:
            symbol = self._usable_rates.lacking(self._counted_in(symbol)) or symbol
        return self.why_none(symbol)

    def never_priced(self, order: OrderRow) -> str | None:
        """The symbol without which an order can't be valued, however old its price might be; None where it can be."""
        if self.latest(order) is None:
            return order.instrument_id
        return self._latest_rates.lacking(self._counted_in(order.instrument_id))

    def current(self, order: OrderRow) -> Price | None:
        """The price to show beside an order, where there is a fresh one; nothing is executed by it."""
        limit = self.instruments[order.instrument_id].price_age_limit_seconds
        return self.prices.usable(order.instrument_id, limit)

    def latest(self, order: OrderRow) -> Price | None:
        """The latest price, however old."""
        return self.prices.by_symbol.get(order.instrument_id)

    def floating(self, order: OrderRow) -> int:
        """What an open order is worth by the latest prices, base units; nothing where there never was one."""
        latest = self.latest(order)
        if latest is None or self.latest_conversion(order) is None:
            return 0
        return self.result(order, latest.exit(order.side))

    def result(self, order: OrderRow, price: Decimal, quantity: Decimal | None = None) -> int:
        """What closing an open order, or so much of it, brings at an exit price, at the latest rate; base units."""
        return pricing.profit(
            order.side,
            order.opened_price,
            price,
            order.quantity if quantity is None else quantity,
            self.decimals,
            order.realized,
            self._valued(order),
        )

    def rate(self, order: OrderRow, price: Decimal) -> Rate:
        """At which rate that result is converted."""
        return pricing.rate_of(order.side, order.opened_price, price, self._valued(order))

    def _valued(self, order: OrderRow) -> Conversion:
        found = self.latest_conversion(order)
        assert found is not None, "who values an order has looked whether there is a rate"
        return found

    def _counted_in(self, symbol: str) -> str:
        return self.instruments[symbol].counter_asset_id

    def _use(self, symbol: str) -> Price | None:
        if symbol not in self._usable:
            price = self.prices.usable(symbol, self.instruments[symbol].price_age_limit_seconds)
            if price is not None and not is_after_gap(price.at, self.state_of(symbol), self._at, self._clock):
                price = None
            self._usable[symbol] = price
            if price is not None:
                self._is_used(symbol, price)
        return self._usable[symbol]

    def _is_used(self, symbol: str, price: Price) -> None:
        until = price.at + timedelta(seconds=self.instruments[symbol].price_age_limit_seconds)
        self.until = until if self.until is None else min(until, self.until)
