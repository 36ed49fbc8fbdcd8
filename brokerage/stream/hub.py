"""Who is connected, and who is told what.

A connection either follows the hub, or is behind it: one that resumes, or that was told more than it could take at
once. Those behind are read to from the database, a page at a time and no faster than they take it
(`Reading.catch_up`), until they have reached the hub's place. So nothing is lost and nothing doubled, and who is slow
costs no memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Final
from uuid import UUID

from accounts import clock, events, tokens
from accounts.events import Place
from accounts.identity import Caller
from accounts.models import Event
from brokerage.errors import Told
from brokerage.stream import messages, reasons
from brokerage.stream.asking import Asked, Wanted
from brokerage.stream.connected import Connection, Phase
from brokerage.stream.messages import Message

log = logging.getLogger("stream")

MOST_PENDING: Final = 1_000  # that haven't shown a token and keep their places when there are no others
AT_ONCE: Final = 200  # connections told in a row, before others have their turn
MINUTE_SECONDS: Final = 60.0  # counts begin anew, and the log says why connections ended
ATTEMPTS_A_MINUTE: Final = 10  # to connect, for each connection that a caller may have

CallerKey = tuple[UUID | None, UUID | None, UUID | None]
Symbols = frozenset[str]


class Hub:
    """Single-threaded: everything in here runs in the loop.

    `patience`: seconds to send the head and the token, and for which a reader's buffer may be full.
    """

    def __init__(self, most: int, most_of_caller: int, patience: float) -> None:
        self.place: Place = events.FIRST
        self.open: dict[Connection, None] = {}
        self.behind: deque[Connection] = deque()
        self.is_behind = asyncio.Event()
        self.asking: list[tuple[Connection, Asked]] = []
        self.is_asked = asyncio.Event()
        self.with_figures: dict[UUID, dict[Connection, None]] = {}
        self.without_orders: dict[UUID, dict[Connection, Place]] = {}  # who has yet to be told them, since which place
        self.changed: dict[UUID, None] = {}  # customers whose figures are to be told anew
        self._pending: dict[Connection, None] = {}  # without a token whose signature is good
        self._asked: dict[Connection, None] = {}  # with one that PostgreSQL is asked about
        self._total = self._number = 0
        self._most, self._most_of_caller, self._patience = most, most_of_caller, patience
        self._of_caller: Counter[CallerKey] = Counter()
        self._by_customer: dict[UUID, dict[Connection, None]] = {}
        self._of_the_firm: dict[Connection, None] = {}
        self._by_symbols: dict[Symbols, dict[Connection, None]] = {}
        self._prices: Mapping[str, bytes] | None = None  # None until they are read
        self._came: Counter[CallerKey] = Counter()
        self._ended: Counter[str] = Counter()
        self._minute_began = clock.uptime()
        self._is_stopping = False

    def __len__(self) -> int:
        return self._total

    # --- coming and going --------------------------------------------------------------------------

    def arrived(self, one: Connection) -> None:
        self._total += 1
        self._number += 1
        one.number = self._number
        if self._is_stopping:
            one.end(reasons.STOPS)
            return
        if self._total > self._most:
            if len(self._pending) < MOST_PENDING:
                one.end(reasons.FULL)
                return
            next(iter(self._pending)).cut_off()
        self._pending[one] = None

    def asks(self, one: Connection, asked: Asked) -> None:
        """Its token's signature is good: have it looked at with all the others that came meanwhile."""
        if one.phase is Phase.ASKED:
            self._pending.pop(one, None)
            self._asked[one] = None
            key = _key(one.claims)
            self._came[key] += 1
            if self._came[key] > ATTEMPTS_A_MINUTE * self._most_of_caller:
                one.end(reasons.TOO_OFTEN, reasons.LATER)
                return
        self.asking.append((one, asked))
        self.is_asked.set()

    def admit(self, one: Connection, caller: Caller, wanted: Wanted, *, is_new: bool) -> None:
        """What a connection asked for is granted."""
        if one.phase is Phase.ENDED:
            return
        if is_new:
            key = _key(one.claims)
            if self._of_caller[key] >= self._most_of_caller:
                one.end(reasons.TOO_MANY, reasons.LATER)
                return
            self._of_caller[key] += 1
            self._asked.pop(one, None)
            self.open[one] = None
            one.caller = caller
            one.place = self.place if one.asked.after is None else one.asked.after
            one.welcome()
        else:
            self._forget_wishes(one)
        one.wanted = wanted
        place = max(one.place, self.place) if one.follows else one.place
        one.send(messages.ready(place, wanted.kinds, wanted.symbols))
        if wanted.symbols:
            self._by_symbols.setdefault(wanted.symbols, {})[one] = None
            one.needs_prices = True
            self._tell_prices_to(one)
        if wanted.orders and caller.customer_id is not None:
            self.without_orders.setdefault(caller.customer_id, {})[one] = min(place, self.place)
        if wanted.figures and caller.customer_id is not None:
            self.with_figures.setdefault(caller.customer_id, {})[one] = None
            self.changed[caller.customer_id] = None
            one.needs_figures = True
        if is_new:
            if one.asked.after is None:
                self.follow(one)
            else:
                self.fall_behind(one, one.place)

    def ended(self, one: Connection, told: Told) -> None:
        """For the log: which reasons there were, and how often."""
        self._ended[str(told.body(messages.PATH)["message_code"])] += 1

    def left(self, one: Connection) -> None:
        """It is told nothing more."""
        self._pending.pop(one, None)
        self._asked.pop(one, None)
        if one in self.open:
            del self.open[one]
            key = _key(one.claims)
            self._of_caller[key] -= 1
            if not self._of_caller[key]:
                del self._of_caller[key]
        self._unfollow(one)
        self._forget_wishes(one)

    def gone(self, one: Connection) -> None:
        self._total -= 1

    def stop(self) -> None:
        self._is_stopping = True
        for one in [*self._pending, *self._asked, *self.open]:
            one.end(reasons.STOPS, reasons.RESTARTS)

    def _forget_wishes(self, one: Connection) -> None:
        if one.wanted is not None and one.wanted.symbols is not None:
            _take_out(self._by_symbols, one.wanted.symbols, one)
        if one.caller is not None and one.caller.customer_id is not None:
            _take_out(self.with_figures, one.caller.customer_id, one)
            self.has_orders(one)

    def has_orders(self, one: Connection) -> None:
        """It is told the live orders now, or need not be any more."""
        if one.caller is not None and one.caller.customer_id is not None:
            _take_out(self.without_orders, one.caller.customer_id, one)

    # --- events ------------------------------------------------------------------------------------

    def follow(self, one: Connection) -> None:
        """From now on it is told what the hub is. Its place has reached the hub's."""
        assert one.caller is not None
        one.follows = True
        if one.caller.customer_id is None:
            self._of_the_firm[one] = None
        else:
            self._by_customer.setdefault(one.caller.customer_id, {})[one] = None

    def fall_behind(self, one: Connection, place: Place) -> None:
        """It is told the rest from the database, once it takes more."""
        self._unfollow(one)
        one.place = place
        self.reads_again(one)

    def reads_again(self, one: Connection) -> None:
        """Queue it, once, to be read to: two that read to it at the same time would tell it the same."""
        if one.phase is Phase.OPEN and not (one.follows or one.is_queued) and one.held_since is None:
            one.is_queued = True
            self.behind.append(one)
            self.is_behind.set()

    def next_behind(self, most: int) -> list[Connection]:
        """The next of them that are read to."""
        some = [self.behind.popleft() for _ in range(min(most, len(self.behind)))]
        if not self.behind:
            self.is_behind.clear()
        return some

    def _unfollow(self, one: Connection) -> None:
        if one.follows and one.caller is not None:
            one.follows = False
            self._of_the_firm.pop(one, None)
            if one.caller.customer_id is not None:
                _take_out(self._by_customer, one.caller.customer_id, one)

    async def tell(self, page: events.Page) -> None:
        """A page that begins at the hub's place. Who comes while it is told begins behind it."""
        self.place = page.following
        for event in page.events:
            if event.customer_id in self.with_figures:
                self.changed[event.customer_id] = None
            message: Message | None = None
            for number, one in enumerate(self._readers(event)):
                if number % AT_ONCE == AT_ONCE - 1:
                    await asyncio.sleep(0)
                if one.follows and one.wanted is not None and event.kind in one.wanted.kinds:
                    message = message or messages.event(event)
                    self._tell_one(one, message, (event.transaction, event.number))

    def _readers(self, event: Event) -> tuple[Connection, ...]:
        """As `events.after` has it: the firm sees all, a customer's token that customer's and what is everybody's."""
        if event.customer_id is not None:
            return (*self._by_customer.get(event.customer_id, ()), *self._of_the_firm)
        if event.kind in events.OF_EVERYBODY:
            return tuple(one for one in self.open if one.follows)
        return tuple(self._of_the_firm)

    def _tell_one(self, one: Connection, message: Message, place: Place) -> None:
        if place <= one.place:
            return
        if one.held_since is not None:
            self.fall_behind(one, (place[0], place[1] - 1))
            return
        one.send(message)
        one.place = place

    # --- prices ------------------------------------------------------------------------------------

    async def tell_prices(self, rows: Mapping[str, bytes]) -> None:
        """The newest prices: what has changed to who had the last ones, all of theirs to who hadn't."""
        before, self._prices = self._prices or {}, rows
        changed = {symbol for symbol, row in rows.items() if before.get(symbol) != row}
        gone = before.keys() - rows.keys()
        told = 0
        for wanted, group in [*self._by_symbols.items()]:
            news = sorted(changed & wanted)
            message = messages.prices([rows[symbol] for symbol in news], gone & wanted) if news or gone else None
            for one in tuple(group):
                if one.held_since is not None:
                    one.needs_prices = True
                elif one.needs_prices:
                    self._tell_prices_to(one)
                elif message is not None:
                    one.send(message)
                told += 1
                if told % AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _tell_prices_to(self, one: Connection) -> None:
        """All of its prices, and which it has none of: it may have had one before."""
        wanted, prices = one.wanted, self._prices
        if wanted is not None and wanted.symbols and prices is not None and one.held_since is None:
            one.needs_prices = False
            known = sorted(wanted.symbols & prices.keys())
            one.send(messages.prices([prices[symbol] for symbol in known], wanted.symbols - prices.keys()))

    # --- time --------------------------------------------------------------------------------------

    def every_second(self) -> None:
        """What has taken too long is ended."""
        now, by_the_clock = clock.uptime(), clock.about_now_seconds()
        late = now - self._patience
        for one in [one for one in self._pending if one.arrived_at < late]:
            one.end(reasons.TOO_LATE)
        for one in [*self.open]:
            one.a_second_passed()
            if one.held_since is not None and one.held_since < late:
                one.end(reasons.SLOW, reasons.LATER)
            elif one.expires_at <= by_the_clock:
                one.end(reasons.BAD_TOKEN)
        if now - self._minute_began > MINUTE_SECONDS:
            if self._ended:
                said = ", ".join(f"{code} {count}" for code, count in sorted(self._ended.items()))
                log.info("%s connections; ended: %s", self._total, said)
            self._ended.clear()
            self._came.clear()
            self._minute_began = now

    def beat(self, turn: int, *, events: bool, prices: bool) -> None:
        """A heartbeat to those whose turn it is. Who has left the two before it unread is dropped."""
        known: dict[Place, Message] = {}
        for one in [one for one in self.open if one.number % messages.HEARTBEAT_SECONDS == turn]:
            one.unread_heartbeats = one.unread_heartbeats + 1 if one.has_unsent else 0
            if one.unread_heartbeats > 2:
                one.end(reasons.SLOW, reasons.LATER)
            elif one.held_since is None:
                place = max(one.place, self.place) if one.follows else one.place
                if place not in known:
                    known[place] = messages.heartbeat(place, events=events, prices=prices)
                one.send(known[place])

    def claimed(self) -> Iterator[tuple[tokens.Claims, list[Connection]]]:
        """The connections by what their tokens say."""
        found: dict[tokens.Claims, list[Connection]] = {}
        for one in self.open:
            if one.claims is not None:
                found.setdefault(one.claims, []).append(one)
        return iter(found.items())


def _key(claims: tokens.Claims | None) -> CallerKey:
    """Whose connections are counted together: a user's, a client's, a client's for one customer."""
    if claims is None:
        return None, None, None
    return claims.user_id, claims.client_id, None if claims.user_id else claims.customer_id


def _take_out(index: dict, key: object, one: Connection) -> None:  # type: ignore[type-arg]  # of whatever keys
    held = index.get(key)
    if held is not None:
        held.pop(one, None)
        if not held:
            del index[key]
