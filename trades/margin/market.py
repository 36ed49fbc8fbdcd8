"""What the market says about orders while one tick decides: prices to execute at, and prices to reckon by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from quotes.models import Instrument
from quotes.prices import Price, Prices
from trades.margin import pricing
from trades.margin.errors import PriceNotFound
from trades.margin.rows import OrderRow


class Market:
    """Prices and instruments as of one reading. `until` is when the first price that was used will be too old."""

    def __init__(
        self,
        prices: Prices,
        instruments: Mapping[str, Instrument],
        canonical: Callable[[object], str | None],
        currency: str,
    ) -> None:
        """`canonical` gives the symbol meant by a name from the outside; `currency` is the margin accounts'."""
        self.prices = prices
        self.instruments = instruments
        self.currency = currency
        self.until: datetime | None = None
        self._canonical = canonical
        self._usable: dict[str, Price | None] = {}

    def tradable(self, said: str) -> Instrument:
        """The instrument meant by a name, if margin orders may be opened on it. Raises PriceNotFound."""
        symbol = self._canonical(said)
        instrument = self.instruments.get(symbol) if symbol else None
        if instrument is None or not instrument.is_active or instrument.counter_asset_id != self.currency:
            raise PriceNotFound(said)
        return instrument

    def instrument_of(self, order: OrderRow) -> Instrument:
        return self.instruments[order.instrument_id]

    def decimals_of(self, order: OrderRow) -> int:
        """Of the currency in which the order's money is."""
        return self.instruments[order.instrument_id].counter_asset.decimals

    def price(self, symbol: str, said: str | None = None) -> Price:
        """The price to execute at. Raises PriceNotFound, naming what the caller said."""
        price = self._use(symbol)
        if price is None:
            raise PriceNotFound(said or symbol)
        return price

    def is_priced(self, order: OrderRow) -> bool:
        """Whether there is a price to execute the order at."""
        return self._use(order.instrument_id) is not None

    def current(self, order: OrderRow) -> Price | None:
        """The price to show beside an order, where there is a fresh one; nothing is executed by it."""
        limit = self.instruments[order.instrument_id].price_age_limit_seconds
        return self.prices.usable(order.instrument_id, limit)

    def latest(self, order: OrderRow) -> Price | None:
        """The latest price, however old."""
        return self.prices.by_symbol.get(order.instrument_id)

    def floating(self, order: OrderRow) -> int:
        """What an open order is worth by the latest price, base units; nothing where there never was one."""
        latest = self.latest(order)
        return 0 if latest is None else self.result(order, latest.exit(order.side))

    def result(self, order: OrderRow, price: Decimal, quantity: Decimal | None = None) -> int:
        """What closing an open order, or so much of it, brings at an exit price; base units."""
        return pricing.profit(
            order.side,
            order.opened_price,
            price,
            order.quantity if quantity is None else quantity,
            self.decimals_of(order),
            order.realized,
        )

    def _use(self, symbol: str) -> Price | None:
        if symbol not in self._usable:
            limit = self.instruments[symbol].price_age_limit_seconds
            price = self._usable[symbol] = self.prices.usable(symbol, limit)
            if price is not None:
                until = price.at + timedelta(seconds=limit)
                self.until = until if self.until is None else min(until, self.until)
        return self._usable[symbol]
