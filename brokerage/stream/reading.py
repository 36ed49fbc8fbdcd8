"""The loops that read the servers for all connections together, and those of them that are behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import redis
from django.db import Error as DatabaseError

from accounts import clock, events
from accounts.events import Page, Place
from accounts.identity import FIRM_SCOPES, Caller
from brokerage.stream import messages
from brokerage.stream.connected import Connection, Phase
from brokerage.stream.hub import Hub
from brokerage.stream.messages import Message
from brokerage.stream.threads import Threads
from quotes import prices
from quotes.api.prices import shown
from quotes.feeds.outage import Outage

EVENTS_SECONDS: Final = 0.1
PRICES_SECONDS: Final = 0.5  # so at most two messages of prices a second, each with the newest
LATE_SECONDS: Final = 5.0  # a server that wasn't read for so long is said to be away
PAGE: Final = 500
CATCHING_UP: Final = 2  # groups of connections that are read to at once
TOGETHER: Final = 200  # connections of a group
CATCHING_UP_PAGE: Final = 300  # events for one of them
CATCHING_UP_EVENTS: Final = 6_000  # and for all of them
AT_ONCE: Final = 50  # connections told in a row, before others have their turn

EVERYBODY: Final = Caller(FIRM_SCOPES)


class Reading:
    def __init__(self, hub: Hub, telling: asyncio.Lock) -> None:
        self._hub = hub
        self._telling = telling  # held while a page is told: nobody's place is said meanwhile
        self._events_at = self._prices_at = float("-inf")

    async def start(self) -> None:
        """The place from which this process tells: the horizon of now. Waits for PostgreSQL."""
        threads, outage = Threads("horizon"), Outage("PostgreSQL", of="stream")
        while True:
            try:
                self._hub.place = await threads.ask(events.horizon)
                return
            except DatabaseError as error:
                outage.failed(error)
                await asyncio.sleep(outage.pause_seconds)

    async def events(self) -> None:
        """For ever: one poll of the outbox for all."""
        threads, outage = Threads("events"), Outage("PostgreSQL", of="stream")
        while True:
            place = self._hub.place
            try:
                page = await threads.ask(lambda place=place: _page(place))  # type: ignore[misc]
            except DatabaseError as error:
                outage.failed(error)
                await asyncio.sleep(outage.pause_seconds)
                continue
            outage.worked()
            self._events_at = clock.uptime()
            async with self._telling:
                await self._hub.tell(page)
            if not page.has_more:
                await asyncio.sleep(EVENTS_SECONDS)

    async def prices(self) -> None:
        """For ever: the prices, for all."""
        threads, outage = Threads("prices"), Outage("Redis", of="stream")
        while True:
            try:
                rows = await threads.ask(_prices)
            except (DatabaseError, redis.RedisError) as error:
                outage.failed(error)
                await asyncio.sleep(outage.pause_seconds)
                continue
            outage.worked()
            self._prices_at = clock.uptime()
            await self._hub.tell_prices(rows)
            await asyncio.sleep(PRICES_SECONDS)

    async def time(self) -> None:
        """For ever: what is due by the clock."""
        turn = 0
        while True:
            await asyncio.sleep(1)
            self._hub.every_second()
            late = clock.uptime() - LATE_SECONDS
            async with self._telling:
                self._hub.beat(turn, events=self._events_at > late, prices=self._prices_at > late)
            turn = (turn + 1) % messages.HEARTBEAT_SECONDS

    async def catch_up(self) -> None:
        """For ever, CATCHING_UP times at once: read to those who are behind, a page each in turn."""
        threads = Threads("behind")
        while True:
            await self._hub.is_behind.wait()
            some = self._hub.next_behind(TOGETHER)
            await self._catch_up(some, threads)
            for one in some:
                one.is_queued = False
                self._hub.reads_again(one)

    async def _catch_up(self, some: Sequence[Connection], threads: Threads) -> None:
        """Tell each the page after its place, or as much of it as it takes; one question for customers' tokens."""
        readers = [
            one for one in some if one.phase is Phase.OPEN and not one.follows and one.held_since is None and one.caller
        ]
        if not readers:
            return
        asked = [(one.place, one.caller) for one in readers if one.caller is not None]
        # All kinds are read, and chosen from here: to look for rare ones would take as long as the outbox is.
        try:
            pages = await threads.ask(lambda: _pages(asked))
        except DatabaseError:
            await asyncio.sleep(1)
            return
        told: dict[Place, Message] = {}
        for number, (one, page) in enumerate(zip(readers, pages, strict=True)):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            self._tell(one, page, told)

    def _tell(self, one: Connection, page: Page, told: dict[Place, Message]) -> None:
        if one.phase is not Phase.OPEN or one.wanted is None:
            return
        for event in page.events:
            if one.held_since is not None:
                return  # it comes again when it takes more
            place = one.place = (event.transaction, event.number)
            if event.kind in one.wanted.kinds:
                message = told.get(place)
                if message is None:
                    message = told[place] = messages.event(event)
                one.send(message)
        if one.held_since is not None and page.has_more:
            return
        one.place = page.following
        if not page.has_more and page.following >= self._hub.place:
            self._hub.follow(one)


def _pages(asked: Sequence[tuple[Place, Caller]]) -> list[Page]:
    """In as many questions as there are readers of the whole firm, and one for all customers'."""
    of_customers = [(place, caller.customer_id) for place, caller in asked if caller.customer_id is not None]
    limit = max(1, min(CATCHING_UP_PAGE, CATCHING_UP_EVENTS // len(asked)))
    found = iter(events.after_for_each(of_customers, limit) if of_customers else ())
    return [
        next(found) if caller.customer_id is not None else events.after(place, caller, events.EVERY_KIND, (), limit)
        for place, caller in asked
    ]


def _page(place: events.Place) -> events.Page:
    return events.after(place, EVERYBODY, events.EVERY_KIND, (), PAGE)


def _prices() -> Mapping[str, bytes]:
    return {row["symbol"]: messages.price(row) for row in shown(prices.latest())}
