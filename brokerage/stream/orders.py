"""The live orders of margin accounts, told once to who has come: what the events after them change."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any, Final
from uuid import UUID

import redis
from django.db import Error as DatabaseError

from accounts import events
from brokerage.stream import messages
from brokerage.stream.hub import Hub
from brokerage.stream.threads import Threads
from quotes import prices
from trades.reads.orders import live_orders_of

GATHER_SECONDS: Final = 0.1  # for others that come meanwhile, and before who takes nothing now is tried again
AWAY_SECONDS: Final = 1.0
AT_ONCE: Final = 200
MOST: Final = 100  # orders of an account; who has more reads the list

Found = tuple[events.Place, dict[UUID, tuple[list[dict[str, Any]], bool]]]


class Orders:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def tell(self) -> None:
        """For ever: one query for AT_ONCE customers of those that have come."""
        threads = Threads("orders")
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            ready = iter([*self._ready()])
            while some := [*islice(ready, AT_ONCE)]:
                try:
                    place, found = await threads.ask(lambda some=some: _orders(some))  # type: ignore[misc]
                except (DatabaseError, redis.RedisError):
                    await asyncio.sleep(AWAY_SECONDS)
                    break
                for customer_id in some:
                    rows, has_more = found.get(customer_id, ([], False))
                    self._tell(customer_id, place, rows, has_more=has_more)

    def _ready(self) -> list[UUID]:
        """The customers that somebody waits for who takes it now."""
        waiting = self._hub.without_orders.items()
        return [customer_id for customer_id, those in waiting if any(one.held_since is None for one in those)]

    def _tell(self, customer_id: UUID, place: events.Place, rows: list[dict[str, Any]], *, has_more: bool) -> None:
        """To those whose events go on from there or before. Who came while it was read may be told of none that
        happened between the two: it waits for the next."""
        waiting = self._hub.without_orders.get(customer_id, {}).items()
        message = messages.orders(customer_id, place, rows, has_more=has_more)
        for one in [one for one, since in waiting if since <= place and one.held_since is None]:
            self._hub.has_orders(one)
            one.send(message)


def _orders(customers: list[UUID]) -> Found:
    place = events.horizon()  # before the orders are read: all that happened up to there is in them
    return place, live_orders_of(customers, prices.latest(), MOST)
