"""People who trade over HTTP while something breaks, and what must be true of all they were told afterwards.

Each opens orders and closes them again, whole, in parts or all at once, and writes down every answer. A request
without a clear answer must have settled by then: what the database says at that moment is what it says at the end.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import httpx
import redis
from django.db import connection

from accounts import streams
from accounts.models import Customer
from tests.given import a_customer, btc_at, token_of, what_the_audit_finds
from tests.live import Live
from trades.margin.commands import GROUP, stream_name
from trades.models import Deal, Order

BUY = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.01", "leverage": "10"}
UNCLEAR = {408, 500, 502, 503, 504}
NO_PRICE = "Price data not found for symbol: BTC-USD"  # may be told at any time: prices live in Redis
LATEST_ANSWER = 5.5  # seconds: the contract's five, and the way over a busy machine's loopback


@dataclass(frozen=True)
class RecordedAnswer:
    """An answer, and what the database said right after it: the order's status ("" for no such order)."""

    what: str  # create or close
    name: str  # clientOrderId or orderId
    status: int
    body: dict[str, Any]
    took: float
    became: str


@dataclass
class TradingCustomers:
    """Trades in its `with` block. The price stays the same, so money is only ever moved back and forth."""

    live: Live
    people: int = 6
    pause: float = 0.0
    said: list[RecordedAnswer] = field(default_factory=list)
    rows: list[Customer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.rows = [a_customer(f"trader-{n}", with_usd="1_000_000.00") for n in range(self.people)]

    def __enter__(self) -> TradingCustomers:
        btc_at("42_000.00")
        self._threads = [threading.Thread(target=self._trade, args=(one, token_of(one))) for one in self.rows]
        self._threads.append(threading.Thread(target=self._keep_the_price_fresh))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for(self, count: int, status: int = 200, seconds: float = 30) -> float:
        """Wait until there are so many more answers of this status; how long it took."""
        began, before = time.monotonic(), self.count(status)
        while self.count(status) < before + count:
            assert time.monotonic() - began < seconds, Counter(said.status for said in list(self.said))
            time.sleep(0.02)
        return time.monotonic() - began

    def count(self, status: int) -> int:
        return sum(said.status == status for said in list(self.said))

    # --- what they do ------------------------------------------------------------------------------

    def _trade(self, by: Customer, token: str) -> None:
        number = 0
        try:
            with self.live.client(token) as client:
                while not self._stop.wait(self.pause):
                    number += 1
                    self._open_and_close(client, by, f"{by.pk.hex[-6:]}-{number}")
        finally:
            connection.close()

    def _open_and_close(self, client: httpx.Client, by: Customer, name: str) -> None:
        opened = self._ask(client, "create", name, "/api/v1/trade/create", BUY | {"clientOrderId": name}, by)
        if opened.status == 200:
            code = opened.body["orderId"]
            self._ask(client, "close", code, "/api/v1/trade/close", {"orderId": code}, by)

    def _ask(
        self, client: httpx.Client, what: str, name: str, path: str, body: dict[str, Any], by: Customer
    ) -> RecordedAnswer:
        began = time.monotonic()
        try:
            answer = client.post(path, json=body)
            status, text = answer.status_code, answer.json()
        except httpx.TransportError as lost:  # the web process itself died
            status, text = 0, {"error": repr(lost)}
        took = time.monotonic() - began
        found = {"client_order_id": name} if what == "create" else {"code": name}
        became = Order.objects.filter(customer=by, **found).values_list("status", flat=True).first() or ""
        said = RecordedAnswer(what, name, status, text, took, became)
        self.said.append(said)
        return said

    def _keep_the_price_fresh(self) -> None:
        try:
            while not self._stop.wait(0.5):
                with contextlib.suppress(redis.RedisError):
                    btc_at("42_000.00")
        finally:
            connection.close()

    # --- what must be true -------------------------------------------------------------------------

    def were_told_the_truth(self, allowed: Collection[int] = UNCLEAR) -> None:
        """Call after the block, with the statuses that this fault excuses besides 200."""
        assert [said for said in self.said if not _is_excused(said, allowed)][:5] == []
        for said in self.said:
            if said.status == 200:
                assert said.became == ("OPEN" if said.what == "create" else "CLOSED"), said
            if said.status:
                assert said.took < LATEST_ANSWER, said
        unclear = [said for said in self.said if said.status not in (0, 200)]
        assert [(said, now) for said in unclear if (now := self._now(said)) != said.became] == []
        for order in Order.objects.all():
            deals = list(Deal.objects.filter(order=order).order_by("id").values_list("kind", flat=True))
            assert deals == (["open", "close"] if order.status == "CLOSED" else ["open"]), (order.code, deals)
        assert what_the_audit_finds() == []

    def _now(self, said: RecordedAnswer) -> str:
        """What became of an order in the end; one that was open may have been closed by a later request."""
        found = {"client_order_id": said.name} if said.what == "create" else {"code": said.name}
        status = Order.objects.filter(customer__in=self.rows, **found).values_list("status", flat=True).first()
        return status or ""


def _is_excused(said: RecordedAnswer, allowed: Collection[int]) -> bool:
    return said.status in (200, *allowed) or (said.status == 400 and said.body["error"] == NO_PRICE)


def nothing_waits(partition: int = 0, seconds: float = 60) -> None:
    """The stream is empty, nothing is read and not acknowledged, and no reply is left, soon."""
    name, client, give_up = stream_name(partition), streams.client(), time.monotonic() + seconds
    while time.monotonic() < give_up:
        with contextlib.suppress(redis.RedisError):
            if not client.xlen(name) and not _pending(client, name):
                return
        time.sleep(0.05)
    raise AssertionError(f"{client.xlen(name)} entries, {_pending(client, name)} of them pending")


def _pending(client: redis.Redis, name: str) -> int:
    try:
        summary: Any = client.xpending(name, GROUP)
    except redis.ResponseError as gone:
        if "NOGROUP" in str(gone):
            return 0
        raise
    return int(summary["pending"])
