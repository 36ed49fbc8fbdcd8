"""A customer's statement: every movement of the margin account, or of another asset, with the running balance.

The margin account is what the customer has in the account currency, free (`available`) and reserved (`margin`). Of
another asset what is settling or leaving is reserved. A movement changes the balance by `amount`, and what is set aside
of it by `reserved`.

Movements come in the order they were booked, which is the order of their ids, and `time` is the time in the id. So
pages, running balances and the limits of a period can't contradict each other, and an index serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import connection

from accounts.errors import Malformed
from accounts.ledger import AVAILABLE, LEAVING, MARGIN, SETTLING
from accounts.models import LedgerAccount
from trades.currency import in_asset

CHUNK = 2000  # rows a CSV holds in memory at a time

TEXTS: Final = {
    "deposit": "Deposit",
    "withdrawal": "Withdrawal",
    "payment_held": "Held to be paid out",
    "payment_given_back": "Not paid out: given back",
    "payment_fee": "Fee of a payment",
    "payment_sent": "Sent to another customer",
    "payment_received": "Received from another customer",
    "payment_returned": "A payment that came back",
    "payment_return_borne": "Of a payment that came back: borne by the firm",
    "adjustment": "Adjustment by the firm",
    "reversal": "Reversal of a trade",
    "order_margin": "Margin reserved",
    "order_margin_release": "Margin released",
    "order_margin_drawn": "Margin used for a loss",
    "order_margin_restored": "Margin made up again",
    "order_margin_hedged": "Margin not needed beside a position against it",
    "order_margin_unhedged": "Margin needed again without that position",
    "order_profit": "Profit of an order",
    "order_loss": "Loss of an order",
    "order_advance": "Advanced by the firm for a loss",
    "order_advance_repaid": "Advance repaid to the firm",
    "order_protection": "Loss borne by the firm (negative balance protection)",
    "order_swap": "Held overnight (swap)",
    "trade_deliver": "Paid for a trade",
    "trade_receive": "Received by a trade, settling",
    "trade_fee": "Fee of a trade",
    "trade_settled": "Received from settled trades",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MILLISECOND = 2**48 - 1
_NOBODY = UUID(int=0)

_CHANGES = """
    CASE %(available)s WHEN t.credit_account_id THEN t.amount WHEN t.debit_account_id THEN -t.amount ELSE 0 END AS free,
    CASE WHEN t.credit_account_id = ANY(%(reserved)s) THEN t.amount ELSE 0 END
    - CASE WHEN t.debit_account_id = ANY(%(reserved)s) THEN t.amount ELSE 0 END AS reserved
FROM accounts_transfer t
WHERE t.customer_id = %(customer)s AND t.asset_id = %(asset)s AND t.id > %(after)s AND t.id < %(before)s
    AND (t.debit_account_id = ANY(%(own)s) OR t.credit_account_id = ANY(%(own)s))
"""
_ROWS = f"""
SELECT m.id, m.kind, m.key, o.code, m.free, m.reserved
FROM (SELECT t.id, t.kind, t.key, t.subject, {_CHANGES} ORDER BY t.id LIMIT %(limit)s) m
LEFT JOIN trades_order o ON o.id = m.subject AND o.customer_id = %(customer)s
ORDER BY m.id
"""  # noqa: S608 - our own text
_BY_DAY = f"""
SELECT (SELECT sum(a.credits - a.debits) FROM accounts_ledgeraccount a WHERE a.id = ANY(%(own)s)),
    d.day, sum(d.free + d.reserved)
FROM (
    SELECT ('x' || substr(replace(t.id::text, '-', ''), 1, 12))::bit(48)::bigint / 86400000 AS day, {_CHANGES}
    ORDER BY t.id DESC LIMIT %(limit)s
) d
GROUP BY d.day ORDER BY d.day DESC
"""  # noqa: S608 - our own text
_SUM = f"SELECT coalesce(sum(c.free), 0), coalesce(sum(c.reserved), 0) FROM (SELECT {_CHANGES}) c"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Place:
    """Between two movements: the id of the last one, and what the account holds after it, base units."""

    id: UUID
    balance: int
    free: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement. `amount` and `reserved` are signed changes; `balance` and `free` are as of after it."""

    id: UUID
    kind: str
    reference: str
    order_code: str | None
    amount: int
    reserved: int
    balance: int
    free: int

    @property
    def time(self) -> datetime:
        return _EPOCH + timedelta(milliseconds=self.id.int >> 80)

    @property
    def text(self) -> str:
        return TEXTS.get(self.kind) or self.kind.replace("_", " ").capitalize()

    @property
    def place(self) -> Place:
        return Place(self.id, self.balance, self.free)


class Statement:
    """Of one customer, from a moment (inclusive) to another (exclusive); None means from the beginning, until now.

    `asset`: the account currency, unless another one is named that there is.
    """

    def __init__(self, customer_id: UUID, since: datetime | None, until: datetime | None, asset: str = "") -> None:
        if since is not None and until is not None and since > until:
            raise Malformed("from must not be after to")
        self._since = _first_id(since) if since else 0
        self._customer_id = customer_id
        self.asset = asset or settings.ACCOUNT_CURRENCY
        reserved = (MARGIN,) if self.asset == settings.ACCOUNT_CURRENCY else (SETTLING, LEAVING)
        own = LedgerAccount.objects.filter(
            customer_id=customer_id, asset_id=self.asset, type__in=[AVAILABLE, *reserved]
        )
        accounts = dict(own.values_list("type", "id"))
        available = accounts.pop(AVAILABLE, _NOBODY)
        self._parameters: dict[str, Any] = {
            "customer": customer_id,
            "asset": self.asset,
            "available": available,
            "reserved": [*accounts.values()],
            "own": [available, *accounts.values()],
            "before": UUID(int=_first_id(until) if until else 2**128 - 1),
        }

    def opening(self) -> Place:
        """What the account held when the period began: the sum of everything before."""
        if self._since == 0:
            return Place(_NOBODY, 0, 0)
        first = UUID(int=self._since)
        with connection.cursor() as cursor:
            cursor.execute(_SUM, self._parameters | {"after": _NOBODY, "before": first})
            free, reserved = map(int, cursor.fetchone())
        return Place(UUID(int=self._since - 1), free + reserved, free)

    def after(self, place: Place, limit: int) -> list[Entry]:
        """The next movements, in one query."""
        with connection.cursor() as cursor:
            cursor.execute(_ROWS, self._parameters | {"after": place.id, "limit": limit})
            rows = cursor.fetchall()
        entries = []
        balance, free = place.balance, place.free
        for id_, kind, key, order_code, freed, reserved in rows:
            balance, free = balance + int(freed + reserved), free + int(freed)
            entries.append(Entry(id_, kind, key, order_code, int(freed + reserved), int(reserved), balance, free))
        return entries

    def by_day(self, limit: int) -> list[tuple[date, int]]:
        """The balance at the end of each UTC day that has one of the newest `limit` movements, the newest day first.

        Of the oldest of these days not each movement need be among them: its end depends on later days only. One
        statement, so that balance and movements agree.
        """
        with connection.cursor() as cursor:
            cursor.execute(_BY_DAY, self._parameters | {"after": UUID(int=self._since), "limit": limit})
            rows = cursor.fetchall()
        days, later = [], 0
        for balance, day, change in rows:
            days.append(((_EPOCH + timedelta(days=int(day))).date(), int(balance) - later))
            later += int(change)
        return days

    def chunks(self, place: Place) -> Iterator[list[Entry]]:
        """Every movement after a place, some thousand in memory at a time.

        Between two chunks the connection is back in the pool, unless a transaction of the caller's holds it: a reader
        may be slow.
        """
        while True:
            entries = self.after(place, CHUNK)
            if not connection.in_atomic_block:
                connection.close()
            if not entries:
                return
            yield entries
            place = entries[-1].place

    # --- pages -------------------------------------------------------------------------------------

    def page(self, limit: int, cursor: str) -> dict[str, Any]:
        """A page as the API shows it: what was brought forward, the movements, what is carried on.

        Raises Malformed for a bad cursor.
        """
        start = self._read(cursor) if cursor else self.opening()
        entries = self.after(start, limit + 1)
        has_more, entries = len(entries) > limit, entries[:limit]
        end = entries[-1].place if entries else start
        return {
            "currency": self.asset,
            "openingBalance": in_asset(start.balance, self.asset),
            "closingBalance": in_asset(end.balance, self.asset),
            "message": [self.shown(entry) for entry in entries],
            "nextCursor": self._cursor(end) if has_more else None,
        }

    def shown(self, entry: Entry) -> dict[str, Any]:
        """A movement as the API shows it; `reference` is its name in the ledger, unique for the customer."""
        return {
            "time": entry.time,
            "kind": entry.kind,
            "text": entry.text,
            "orderId": entry.order_code,
            "reference": entry.reference,
            "amount": in_asset(entry.amount, self.asset),
            "reserved": in_asset(entry.reserved, self.asset),
            "balance": in_asset(entry.balance, self.asset),
            "free": in_asset(entry.free, self.asset),
        }

    def _signer(self) -> Signer:
        return Signer(salt=f"statement:{self._customer_id.hex}:{self.asset}")

    def _cursor(self, place: Place) -> str:
        """It carries the balance, so that a late page costs what the first did; signed, so that it can't be made up."""
        return self._signer().sign(f"{place.id.hex}:{place.balance}:{place.free}")

    def _read(self, cursor: str) -> Place:
        try:
            id_, balance, free = self._signer().unsign(cursor).split(":")
        except BadSignature:
            raise Malformed("cursor is not one that this list gave") from None
        return Place(UUID(hex=id_), int(balance), int(free))


def _first_id(at: datetime) -> int:
    """The smallest id that may have been made at a moment or after it; ids tell the time in whole milliseconds."""
    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    milliseconds = -(-microseconds // 1000)
    return min(max(milliseconds, 0), _LAST_MILLISECOND) << 80
