"""The margin accounts of a partition as arrays: whose margin level may have crossed a mark?

The floating profit of an account's positions in one symbol is linear in the price: bought x bid - sold x ask + paid,
with bought and sold the sums of quantities, and paid what the sells brought less what the buys cost. So a price moves
a hundred thousand accounts by a few operations on arrays.

Of a symbol that is counted in another currency that isn't so: its profits are converted at another rate than its
losses. There each order's own profit is summed up anew (`Converted`) when its price or a rate on its way has moved.

All is in base units of the account currency, as floats. They only say whom to look at; the tick reckons exactly. So
every mark is widened by what rounding could hide: here (see `_slack`), and in the exact figures, which round each
position's profit to whole base units, together with what its closed parts have brought.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from quotes.prices import Price

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ROUNDING = 1e-8  # of all that an account's sums were ever made of: a hundred million roundings
_RECKON_AFRESH = 1024  # prices, after which floating profits are summed up anew, lest roundings gather
_FIRST_ROOM = 8


class Positions:
    """The open positions in one symbol, summed up by account. A row stays, with zeros, when an account has none."""

    COLUMNS = ("account", "count", "bought", "sold", "paid")

    def __init__(self) -> None:
        self.price: tuple[float, float] | None = None  # bid and ask
        self._rows: dict[int, int] = {}
        self.account, self.count = np.zeros((2, _FIRST_ROOM), np.int64)
        self.bought, self.sold, self.paid = np.zeros((3, _FIRST_ROOM))

    def add(self, account: int, side: str, sign: int, quantity: float, value: float) -> float:
        """Add an order (sign 1) or take it away (-1); the change of the account's floating profit."""
        row = self._rows.get(account)
        if row is None:
            row = self._new_row(account)
        self.count[row] += sign
        quantity, value = sign * quantity, sign * value
        profit = 0.0
        if side == "buy":
            self.bought[row] += quantity
            self.paid[row] -= value
            if self.price is not None:
                profit = quantity * self.price[0] - value
        else:
            self.sold[row] += quantity
            self.paid[row] += value
            if self.price is not None:
                profit = value - quantity * self.price[1]
        if self.count[row] == 0:  # whatever roundings have left
            self.bought[row] = self.sold[row] = self.paid[row] = 0.0
        return profit

    def fill(self, accounts: Ints, is_buy: npt.NDArray[np.bool_], quantity: Floats, value: Floats) -> None:
        """Add many orders at once, where there were none."""
        size = int(accounts.max(initial=-1)) + 1

        def summed(weights: Any) -> Any:
            return np.bincount(accounts, weights, size).astype(float)  # of nothing, it gives whole numbers

        count = np.bincount(accounts, minlength=size)
        self.account = np.flatnonzero(count)
        self.count = count[self.account]
        self.bought = summed(np.where(is_buy, quantity, 0.0))[self.account]
        self.sold = summed(np.where(is_buy, 0.0, quantity))[self.account]
        self.paid = summed(np.where(is_buy, -value, value))[self.account]
        self._rows = dict(zip(self.account.tolist(), range(len(self.account)), strict=True))

    def move(self, price: Price, floating: Floats) -> None:
        """Bring a new price into the accounts' floating profits."""
        n, (bid, ask) = len(self._rows), (float(price.bid), float(price.ask))
        if self.price is None:
            change = self.bought[:n] * bid - self.sold[:n] * ask + self.paid[:n]
        else:
            change = self.bought[:n] * (bid - self.price[0]) - self.sold[:n] * (ask - self.price[1])
        self.price = (bid, ask)
        floating[self.account[:n]] += change  # no account has two rows

    def add_to(self, floating: Floats) -> None:
        """Add the floating profits at the latest price, which are zero where there never was one."""
        if self.price is not None:
            n, (bid, ask) = len(self._rows), self.price
            floating[self.account[:n]] += self.bought[:n] * bid - self.sold[:n] * ask + self.paid[:n]

    def mark(self, held: npt.NDArray[np.bool_]) -> None:
        """Mark the accounts that have a position here."""
        n = len(self._rows)
        held[self.account[:n]] |= self.count[:n] > 0

    def _new_row(self, account: int) -> int:
        row = self._rows[account] = len(self._rows)
        if row == len(self.account):
            for name in self.COLUMNS:
                setattr(self, name, widened(getattr(self, name), 2 * max(row, _FIRST_ROOM)))
        self.account[row] = account
        return row


class Converted:
    """The open positions in one symbol that is counted in another currency, by account.

    `count` is kept up; `floating`, and `size`, which measures how far roundings may reach, are set by `Margins.convert`
    from the orders themselves. `is_stale` says that orders came or went since.
    """

    def __init__(self) -> None:
        self.count = np.zeros(_FIRST_ROOM, np.int64)
        self.floating, self.size = np.zeros((2, _FIRST_ROOM))
        self.is_stale = True

    def note(self, account: int, sign: int) -> None:
        if account >= len(self.count):
            room = 2 * max(account, _FIRST_ROOM)
            self.count, self.floating, self.size = (widened(c, room) for c in (self.count, self.floating, self.size))
        self.count[account] += sign
        self.is_stale = True

    def mark(self, held: npt.NDArray[np.bool_]) -> None:
        """Mark the accounts that have a position here."""
        n = min(len(held), len(self.count))
        held[:n] |= self.count[:n] > 0


class Margins:
    """The accounts, numbered as they came: a customer keeps the number for as long as the engine runs."""

    COLUMNS = ("cash", "margin", "hedged", "floating", "turnover", "orders", "positions", "called")

    def __init__(self, call_percent: int, stop_out_percent: int, release_percent: int) -> None:
        self._call, self._stop_out = call_percent / 100, stop_out_percent / 100
        self._release = max(call_percent, release_percent) / 100
        self._numbers: dict[bytes, int] = {}
        self._customers: list[bytes] = []
        self._fresh: set[int] = set()
        self._all_fresh = False
        self._moves = 0
        self._counted = 0  # the accounts below this number have had their turn in `next_few`
        self._in: dict[str, Positions] = {}
        self.converted: dict[str, Converted] = {}  # by symbol, of those counted in another currency
        self.cash, self.margin, self.hedged, self.floating = np.zeros((4, _FIRST_ROOM))
        self.turnover = np.zeros(_FIRST_ROOM)  # value of all positions since there was none: measures the roundings
        self.orders, self.positions = np.zeros((2, _FIRST_ROOM), np.int64)
        self.called = np.zeros(_FIRST_ROOM, np.bool_)

    # --- accounts ----------------------------------------------------------------------------------

    def number_of(self, customer_id: UUID) -> int:
        """The account's number; a new one where the customer has none."""
        key = customer_id.bytes
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._customers)
            self._customers.append(key)
            if number == len(self.cash):
                for name in self.COLUMNS:
                    setattr(self, name, widened(getattr(self, name), 2 * max(number, _FIRST_ROOM)))
        return number

    def customer(self, number: int) -> UUID:
        return UUID(bytes=self._customers[number])

    def knows(self, customer_id: UUID) -> bool:
        number = self._numbers.get(customer_id.bytes)
        return number is not None and bool(self.orders[number])

    def next_few(self, count: int) -> list[UUID]:
        """Those with live orders among the next so many accounts; after the last it begins again."""
        start = self._counted if self._counted < len(self._customers) else 0
        self._counted = min(start + count, len(self._customers))
        return [self.customer(number) for number in range(start, self._counted) if self.orders[number]]

    def set_cash(self, cash: Mapping[UUID, int]) -> None:
        for customer_id, amount in cash.items():
            number = self.number_of(customer_id)
            self.cash[number] = float(amount)
            self._fresh.add(number)

    def set_hedged(self, hedged: Mapping[UUID, int]) -> None:
        for customer_id, amount in hedged.items():
            number = self.number_of(customer_id)
            self.hedged[number] = float(amount)
            self._fresh.add(number)

    def set_called(self, called: Mapping[UUID, bool]) -> None:
        for customer_id, is_called in called.items():
            number = self.number_of(customer_id)
            self.called[number] = is_called
            self._fresh.add(number)

    # --- orders ------------------------------------------------------------------------------------

    def add(
        self,
        number: int,
        symbol: str,
        side: str,
        quantity: float,
        value: float,
        margin: float,
        *,
        sign: int,
        converts: bool = False,
    ) -> None:
        """An order was taken up (sign 1) or let go (-1); pending ones hold a quantity of zero.

        `converts`: its symbol is counted in another currency.
        """
        self.orders[number] += sign
        self._fresh.add(number)
        if quantity == 0.0:
            return
        self.positions[number] += sign
        if converts:
            self.converted.setdefault(symbol, Converted()).note(number, sign)
            profit = value = 0.0
        else:
            profit = self._of(symbol).add(number, side, sign, quantity, value)
        if self.positions[number] == 0:
            self.margin[number] = self.floating[number] = self.turnover[number] = 0.0
        else:
            self.margin[number] += sign * margin
            self.floating[number] += profit
            self.turnover[number] += value + abs(profit)

    def fill(self, customers: list[bytes], cash: Floats, hedged: Floats, called: npt.NDArray[np.bool_]) -> None:
        """Take up many accounts at once, where there were none."""
        self._customers, self._numbers = customers, dict(zip(customers, range(len(customers)), strict=True))
        self.cash, self.hedged, self.called = cash, hedged, called
        self.margin, self.floating, self.turnover = np.zeros((3, len(customers)))
        self.orders, self.positions = np.zeros((2, len(customers)), np.int64)
        self._all_fresh = True

    def fill_symbol(
        self, symbol: str, orders: npt.NDArray[Any], is_buy: npt.NDArray[np.bool_], *, converts: bool = False
    ) -> None:
        """Add a symbol's live orders to the accounts, as records of `queues.RECORD`."""
        size = len(self._customers)
        self.orders += np.bincount(orders["account"], minlength=size)
        is_open = orders["quantity"] > 0
        orders, is_buy = orders[is_open], is_buy[is_open]
        accounts = orders["account"]
        self.positions += np.bincount(accounts, minlength=size)
        self.margin += np.bincount(accounts, orders["margin"], size)
        if converts:
            converted = self.converted[symbol] = Converted()
            converted.count = np.bincount(accounts, minlength=size)
            converted.floating, converted.size = np.zeros((2, size))
            return
        self.turnover += np.bincount(accounts, orders["value"], size)
        self._of(symbol).fill(accounts, is_buy, orders["quantity"], orders["value"])

    def _of(self, symbol: str) -> Positions:
        found = self._in.get(symbol)
        if found is None:
            found = self._in[symbol] = Positions()
        return found

    # --- prices ------------------------------------------------------------------------------------

    def move(self, price: Price) -> None:
        self._of(price.symbol).move(price, self.floating)
        self._moves += 1
        if self._moves % _RECKON_AFRESH == 0:
            self.floating[:] = 0.0
            for positions in self._in.values():
                positions.add_to(self.floating)

    def convert(self, symbol: str, accounts: Ints, profits: Floats, sizes: Floats) -> None:
        """What each open order in a symbol would bring now, converted, and how large its sums are."""
        found = self.converted[symbol]
        found.floating = np.bincount(accounts, profits, len(found.count)).astype(float)
        found.size = np.bincount(accounts, sizes, len(found.count)).astype(float)
        found.is_stale = False

    def crossing(self, symbols: set[str]) -> Iterator[int]:
        """The accounts whose level may have crossed a mark, of those with positions in `symbols` and the changed."""
        if symbols or self._all_fresh:
            looked_at: Any = slice(len(self._customers))
            affected = np.full(len(self._customers), self._all_fresh)
            affected[list(self._fresh)] = True
            for symbol in symbols:
                if symbol in self._in:
                    self._in[symbol].mark(affected)
                if symbol in self.converted:
                    self.converted[symbol].mark(affected)
            found = np.flatnonzero(self._crossed(looked_at) & affected)
        else:
            looked_at = np.fromiter(self._fresh, np.int64, len(self._fresh))
            found = looked_at[self._crossed(looked_at)]
        self._fresh.clear()
        self._all_fresh = False
        return iter(found.tolist())

    def _crossed(self, which: Any) -> npt.NDArray[np.bool_]:
        """Whether each of these may have to be called, stopped out, or have its call ended."""
        margin, called = self.margin[which] - self.hedged[which], self.called[which]
        slack = self._slack(which)
        equity = self.cash[which] + self.floating[which] + self._converted("floating", which)
        in_use = self.positions[which] > 0
        low = equity - slack
        stopped = low <= self._stop_out * margin
        stopped |= ~called & (low <= self._call * margin)
        stopped &= in_use
        over = called & (~in_use | (equity + slack > self._release * margin))
        crossed: npt.NDArray[np.bool_] = stopped | over
        return crossed

    def _slack(self, which: Any) -> Floats:
        """What rounding could hide: of the sums here, and of whole base units in the exact figures."""
        cash = np.abs(self.cash[which])
        sums = self.turnover[which] + self._converted("size", which) + cash
        slack: Floats = _ROUNDING * sums + self.positions[which]
        return slack

    def _converted(self, column: str, which: Any) -> Any:
        """A column of `Converted`, summed over its symbols, by account."""
        if not self.converted:
            return 0.0
        total = np.zeros(len(self.cash))
        for one in self.converted.values():
            values = getattr(one, column)[: len(total)]
            total[: len(values)] += values
        return total[which]

    def state(self) -> dict[UUID, tuple[int, int, float, float, float, bool, float]]:
        """Orders, positions, cash, margin, floating profit and the call's mark of everybody with live orders."""
        converted = np.zeros(len(self.cash)) + self._converted("floating", slice(None))
        return {
            self.customer(n): (
                int(self.orders[n]),
                int(self.positions[n]),
                float(self.cash[n]),
                float(self.margin[n]),
                float(self.floating[n] + converted[n]),
                bool(self.called[n]),
                float(self.hedged[n]),
            )
            for n in np.flatnonzero(self.orders).tolist()
        }


def widened(column: npt.NDArray[Any], room: int) -> npt.NDArray[Any]:
    """The same column with room for more rows, zeros."""
    wider = np.zeros(room, column.dtype)
    wider[: len(column)] = column
    return wider
