"""The web process dies after the commit and before the reply."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from accounts import streams
from tests.faults.trading_customers import nothing_waits
from tests.given import a_customer, balance, btc_at, token_of, usd, what_the_audit_finds
from tests.live import Live
from tests.trades.engine_steps import opens
from trades.margin.commands import stream_name
from trades.models import Deal, IdempotentAnswer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

KEY = {"Idempotency-Key": "once and for all"}


def test_a_keyed_retry_gets_the_answer_that_the_dead_process_did_not_pass_on(live: Live) -> None:
    """Guard: the answer's row, written in the close's own transaction (`store.insert_answers`). Without it, the retry
    is told that the order is "not found or already closed"."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    btc_at("42_100.00")
    token = token_of(alice)

    def close() -> httpx.Response:
        with live.client(token) as client:
            return client.post("/api/v1/trade/close", json={"orderId": order.code}, headers=KEY)

    # The engine rests until the command stands in the stream, and the web process before the reply can reach it.
    live.signal("engine", signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(close)
        until(lambda: streams.client().xlen(stream_name(0)) == 1)
        live.signal("web", signal.SIGSTOP)
        live.signal("engine", signal.SIGCONT)
        until(lambda: Deal.objects.filter(order=order, kind="close").exists())
        live.kill("web")
        unknown = asked.result()
    assert (unknown.status_code, unknown.headers["Error-Code"]) == (502, "outcome_unknown")

    live.start_one("web")
    live.wait_for_web()
    give_up = time.monotonic() + 10
    while (again := close()).status_code == 409 and time.monotonic() < give_up:
        time.sleep(0.2)  # the dead request still holds the key, for the rest of its five seconds

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.content.decode() == IdempotentAnswer.objects.get(key=KEY["Idempotency-Key"]).body
    assert again.json()["order"]["profit"] == 10.0
    assert Deal.objects.filter(kind="close").count() == 1
    assert balance(alice) == usd("10_010.00")
    nothing_waits()
    assert what_the_audit_finds() == []


def until(is_so: object, seconds: float = 10) -> None:
    give_up = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < give_up
        time.sleep(0.01)
