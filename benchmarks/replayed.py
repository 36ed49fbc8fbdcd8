"""What `benchmarks.replay` compares: answers and rows, without what each run makes anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]

SHOWN_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z")
MADE_ANEW = re.compile(
    r'(?<="nextCursor":")[^"]+|(?<="created_at":)\d{10}(?=})'
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]+|ord_(?!f{16})[0-9a-f]{16}"
    r"|(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])"
    r"|(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{32})(?![0-9a-f])"
    rf"|{SHOWN_TIME.pattern}|127\.0\.0\.1:\d+"
)
OWNER = "(SELECT concat(customer_id, ' ', asset_id, ' ', type) FROM accounts_ledgeraccount WHERE id = t.{}_account_id)"
TABLES = {
    "order": "SELECT * FROM trades_order ORDER BY id",
    "deal": "SELECT * FROM trades_deal ORDER BY id",
    "event": "SELECT * FROM trades_orderevent ORDER BY id",
    "stored answer": "SELECT * FROM trades_idempotentanswer ORDER BY id",
    "margin account": "SELECT * FROM trades_marginaccount ORDER BY customer_id",
    # What a batch brings a customer comes in no order.
    "transfer": f"SELECT *, {OWNER.format('debit')} AS debited, {OWNER.format('credit')} AS credited"
    " FROM accounts_transfer t ORDER BY at, CASE kind WHEN 'trade_settled' THEN asset_id END, id",
    "balance": "SELECT customer_id, asset_id, type, sum(debits) AS debits, sum(credits) AS credits"
    " FROM accounts_ledgeraccount GROUP BY 1, 2, 3 HAVING sum(debits) + sum(credits) > 0 ORDER BY 1, 2, 3",
    "quote": "SELECT * FROM quotes_quote ORDER BY id",
    "trade": "SELECT * FROM trades_trade ORDER BY id",
    "trade event": "SELECT * FROM trades_tradeevent ORDER BY trade_id, id",
    "batch": "SELECT * FROM trades_settlementbatch ORDER BY id",
    "leg": "SELECT * FROM trades_settlementleg ORDER BY batch_id, asset_id",
}
BY_CHANCE = {"bucket", "partition", "debit_account_id", "credit_account_id"}  # a house account is one of sixteen


class Names:
    """Ids, codes, tokens and times by the place where they came first."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._place, self._new = "", 0

    def at(self, place: str) -> None:
        self._place, self._new = place, 0

    def plain(self, text: str) -> str:
        return MADE_ANEW.sub(lambda match: self._name(match[0]), text)

    def row(self, row: Row) -> Row:
        return {column: self._value(column, value) for column, value in row.items() if column not in BY_CHANCE}

    def _value(self, column: str, value: Any) -> Any:
        if value is None or column == "request_sha256":
            return value
        return self._name(value.isoformat()) if isinstance(value, datetime) else self.plain(str(value))

    def _name(self, found: str) -> str:
        if SHOWN_TIME.fullmatch(found):
            return "<time>"
        found = found.replace("-", "")
        if found not in self._known:
            self._new += 1
            self._known[found] = f"<{self._place}.{self._new}>"
        return self._known[found]


class Times:
    """The times of orders in answers, cut off to the millisecond: each has to be its row's."""

    def __init__(self) -> None:
        self._shown: list[tuple[str, str, str]] = []

    def note(self, body: str) -> None:
        for order in re.findall(r'\{"orderId":"ord_[^{}]+\}', body):
            for name, column in (("openTime", "opened_at"), ("closeTime", "closed_at")):
                if match := re.search(rf'"{name}":"([^"]+)"', order):
                    self._shown.append((order[12:32], column, match[1]))

    def wrong(self, orders: list[Row]) -> Iterator[tuple[str, str, str]]:
        rows = {order["code"]: order for order in orders}
        for code, column, shown in self._shown:
            at = rows[code][column]
            if at is None or at.astimezone(UTC).isoformat(timespec="milliseconds") != shown.replace("Z", "+00:00"):
                yield code, column, shown
