"""The open orders that a price may close, kept in memory beside the engine that trades them.

PostgreSQL is the truth: the book is rebuilt from it at the start and kept up by the engine's own commits.
It only says what may fire; the tick looks at the locked row again before it closes anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from quotes.prices import Price
from trades.orders.money import stop_loss_fires, take_profit_fires
from trades.orders.rows import OrderRow


@dataclass(frozen=True, slots=True)
class Watched:
    customer_id: UUID
    code: str
    side: str
    stop_loss: Decimal | None
    take_profit: Decimal | None

    def fires_at(self, price: Price) -> bool:
        exit_price = price.exit(self.side)
        return stop_loss_fires(self.side, self.stop_loss, exit_price) or take_profit_fires(
            self.side, self.take_profit, exit_price
        )


class Book:
    """Watched orders by symbol and id."""

    def __init__(self, orders: Iterable[OrderRow] = ()) -> None:
        self._by_symbol: dict[str, dict[UUID, Watched]] = defaultdict(dict)
        self.take_up(orders)

    def __len__(self) -> int:
        return sum(len(orders) for orders in self._by_symbol.values())

    def take_up(self, orders: Iterable[OrderRow]) -> None:
        for order in orders:
            if order.stop_loss is not None or order.take_profit is not None:
                self._by_symbol[order.instrument_id][order.id] = Watched(
                    order.customer_id, order.code, order.side, order.stop_loss, order.take_profit
                )

    def let_go(self, orders: Iterable[OrderRow]) -> None:
        for order in orders:
            self._by_symbol[order.instrument_id].pop(order.id, None)

    def fired(self, prices: Iterable[Price]) -> list[Watched]:
        """What these prices fire, oldest order first."""
        return [
            watched
            for price in prices
            for _, watched in sorted(self._by_symbol.get(price.symbol, {}).items())
            if watched.fires_at(price)
        ]
