"""The figures of margin accounts, told to their traders when something of theirs has changed."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any, Final
from uuid import UUID

import redis
from django.db import Error as DatabaseError

from brokerage.stream import messages
from brokerage.stream.hub import Hub
from brokerage.stream.messages import Message
from brokerage.stream.threads import Threads
from quotes import prices
from trades.reads.figures import figures_of, shown_figures

SECONDS: Final = 1.0  # so an account's figures are told once a second at most
AT_ONCE: Final = 500
ANYWAY_ROUNDS: Final = 10  # every so many rounds all are looked at, for prices move them as well


class Figures:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._told: dict[UUID, dict[str, Any]] = {}

    async def tell(self) -> None:
        """For ever: those of customers with an event since, one query for AT_ONCE of them."""
        threads, turn = Threads("figures"), 0
        while True:
            await asyncio.sleep(SECONDS)
            turn = (turn + 1) % ANYWAY_ROUNDS
            if not turn:
                self._told = {one: told for one, told in self._told.items() if one in self._hub.with_figures}
                self._hub.changed |= dict.fromkeys(self._hub.with_figures)
            while some := [*islice(self._hub.changed, AT_ONCE)]:
                for one in some:  # before the question: what changes meanwhile is asked again
                    del self._hub.changed[one]
                try:
                    found = await threads.ask(lambda some=some: _figures(some))  # type: ignore[misc]
                except (DatabaseError, redis.RedisError):
                    self._hub.changed |= dict.fromkeys(some)
                    break
                for customer_id in some:
                    self._tell(customer_id, found[customer_id])

    def _tell(self, customer_id: UUID, said: dict[str, Any]) -> None:
        """To those who haven't been told the same; who takes nothing now is told with the next round."""
        message: Message | None = None
        is_news = self._told.get(customer_id) != said
        self._told[customer_id] = said
        for one in [*self._hub.with_figures.get(customer_id, ())]:
            if not (is_news or one.needs_figures):
                continue
            one.needs_figures = one.held_since is not None
            if not one.needs_figures:
                message = message or messages.figures(customer_id, said)
                one.send(message)


def _figures(customers: list[UUID]) -> dict[UUID, dict[str, Any]]:
    found = figures_of(customers, prices.latest())
    return {customer_id: shown_figures(one) for customer_id, one in found.items()}
