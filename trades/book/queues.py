"""The orders of one symbol and side that wait for the same price, as arrays: which of them does a price reach?

A sell's numbers are turned around, so that either side is the same comparisons: with x the exit price of open orders,
or the entry price of pending ones (times -1 for a sell), an order fires at x <= lower, at x <= level, or at x >= upper.

    open     lower: stop loss     level: best x so far - trailing distance     upper: take profit
    pending  lower: limit price                                                upper: stop price

NaN stands for none: no comparison with it holds. The floats only say what may fire. The nearest float keeps the order
of exact numbers, so x <= lower can't miss; a level is a difference of two roundings, so it is set `_MARGIN` too near.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quotes.prices import Price
from trades.book.accounts import widened

Floats = npt.NDArray[np.float64]

NONE = float("nan")
_MARGIN = 2.0**-45  # of price and distance: 250 times what their difference may be rounded by
_FIRST_ROOM = 8

RECORD = np.dtype(
    [("account", "i8"), ("quantity", "f8"), ("value", "f8"), ("margin", "f8"), ("trail_at", "i8"), ("code", "S20")]
)


class Queue(NamedTuple):
    """What the orders of one set of arrays have in common. Only open orders trail."""

    symbol: str
    side: str
    is_open: bool
    trails: bool = False


class Held(NamedTuple):
    """What the accounts have to know of an order: its customer's account there, and what it holds and reserves.

    `quantity` is scaled so that, times a price, and `value` (quantity x open price), are base units of the account
    currency; of a symbol counted in another currency they have yet to be converted. Zero while pending. `trail_at`:
    microseconds since 1970, 0 for none.
    """

    account: int
    quantity: float
    value: float
    margin: float
    trail_at: int
    code: bytes


class Limits(NamedTuple):
    """Where an order fires, as it stands in its row. `peak` and `distance` are the trailing stop's."""

    lower: float = NONE
    upper: float = NONE
    peak: float = NONE
    distance: float = NONE


class Triggers:
    """The orders of one queue: dense arrays, the last one moves into a gap."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.fresh: set[bytes] = set()  # taken up since all were last judged
        self._sign = 1.0 if queue.side == "buy" else -1.0
        self._x = NONE
        self._ids: list[bytes] = []
        self._slots: dict[bytes, int] = {}
        self._records = np.empty(_FIRST_ROOM, RECORD)
        self._lower, self._upper = np.empty(_FIRST_ROOM), np.empty(_FIRST_ROOM)
        self._level, self._distance = np.empty((2, _FIRST_ROOM if queue.trails else 0))

    def __len__(self) -> int:
        return len(self._ids)

    # --- orders ------------------------------------------------------------------------------------

    def put(self, id_: bytes, held: Held, limits: Limits) -> None:
        """Take up an order that isn't here yet."""
        slot = len(self._ids)
        if slot == len(self._records):
            self._grow()
        self._ids.append(id_)
        self._slots[id_] = slot
        self._records[slot] = held
        # Turned around for a sell, whose upper and lower stay what they are: it fires the other way round, too.
        self._lower[slot] = self._sign * limits.lower
        self._upper[slot] = self._sign * limits.upper
        if self.queue.trails:
            distance = self._distance[slot] = limits.distance * (1 - _MARGIN)
            self._level[slot] = self._nearer(self._sign * limits.peak) - distance
        self.fresh.add(id_)

    def fill(self, ids: list[bytes], records: npt.NDArray[Any], lower: Floats, upper: Floats, trail: Floats) -> None:
        """Take up many at once, where there were none; `trail` are their peaks and distances, in two rows."""
        self._ids, self._slots, self._records = ids, dict(zip(ids, range(len(ids)), strict=True)), records
        self._lower, self._upper = self._sign * lower, self._sign * upper
        if self.queue.trails:
            self._distance = trail[1] * (1 - _MARGIN)
            self._level = self._nearer(self._sign * trail[0]) - self._distance

    def records(self) -> npt.NDArray[Any]:
        """What the accounts have to know of each of these orders (`RECORD`)."""
        return self._records[: len(self)]

    def keep_level(self, id_: bytes, level: float) -> None:
        """A trailing stop that was here before, and set at the same moment, has come this far already."""
        slot = self._slots[id_]
        self._level[slot] = np.fmax(self._level[slot], level)

    def take(self, id_: bytes) -> tuple[Held, float] | None:
        """Let go of an order: what it held, and its trailing stop's level. None where it isn't here."""
        slot = self._slots.pop(id_, None)
        if slot is None:
            return None
        self.fresh.discard(id_)
        held = Held(*self._records[slot].item())
        level = float(self._level[slot]) if self.queue.trails else NONE
        last = len(self._ids) - 1
        moved = self._ids.pop()
        if slot != last:
            self._ids[slot] = moved
            self._slots[moved] = slot
            for column in self._columns():
                column[slot] = column[last]
        return held, level

    def _columns(self) -> Sequence[npt.NDArray[Any]]:
        plain = (self._records, self._lower, self._upper)
        return (*plain, self._level, self._distance) if self.queue.trails else plain

    def _grow(self) -> None:
        room = 2 * max(len(self._records), _FIRST_ROOM)
        self._records, self._lower, self._upper = (widened(c, room) for c in self._columns()[:3])
        if self.queue.trails:
            self._level, self._distance = widened(self._level, room), widened(self._distance, room)

    # --- prices ------------------------------------------------------------------------------------

    def move(self, price: Price) -> None:
        """The price that counts from now on; trailing stops follow it."""
        self.look_at(price)
        if self.queue.trails:
            level = self._level[: len(self)]
            np.fmax(level, self._nearer(self._x) - self._distance[: len(self)], out=level)

    def look_at(self, price: Price) -> None:
        """The price that was judged before these orders came."""
        side = self.queue.side
        self._x = self._sign * float(price.exit(side) if self.queue.is_open else price.entry(side))

    def fired(self) -> Iterator[tuple[bytes, int, bytes]]:
        """(id, account, code) of every order that the price reaches."""
        self.fresh.clear()
        count, x = len(self), self._x
        hit = self._lower[:count] >= x
        hit |= self._upper[:count] <= x
        if self.queue.trails:
            hit |= self._level[:count] >= x
        return self._found(np.flatnonzero(hit).tolist())

    def fired_fresh(self) -> Iterator[tuple[bytes, int, bytes]]:
        """The same of those that were taken up since they were last judged."""
        slots, x = [self._slots[id_] for id_ in self.fresh], self._x
        self.fresh.clear()
        hit = (self._lower[slots] >= x) | (self._upper[slots] <= x)
        if self.queue.trails:
            hit |= self._level[slots] >= x
        return self._found(slot for slot, is_hit in zip(slots, hit.tolist(), strict=True) if is_hit)

    def _found(self, slots: Any) -> Iterator[tuple[bytes, int, bytes]]:
        for slot in slots:
            record = self._records[slot]
            yield self._ids[slot], int(record["account"]), bytes(record["code"])

    def _nearer(self, x: Any) -> Any:
        return x * (1 + self._sign * _MARGIN)

    def state(self) -> dict[bytes, tuple[Any, ...]]:
        """Everything that is known of each order, by id; NaN as None."""
        level = self._level if self.queue.trails else np.full(len(self), NONE)
        return {
            id_: (
                self.queue,
                Held(*self._records[slot].item()),
                *(None if np.isnan(one[slot]) else float(one[slot]) for one in (self._lower, self._upper, level)),
            )
            for id_, slot in self._slots.items()
        }
