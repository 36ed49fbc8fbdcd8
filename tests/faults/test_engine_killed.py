"""quality.md, fault 12 at a small size: the engine dies by kill -9, again and again, while people trade."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.utils import timezone

from accounts import audit
from tests.given import a_customer, btc_at, token_of
from tests.live import Live
from tests.trades.orders.engine_room import closing, opening, tick
from trades.models import Deal, Order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]


def test_an_engine_killed_under_load_loses_nothing_and_doubles_nothing(live: Live) -> None:
    """The whole of it, end to end. Its guards have tests of their own, where they can't be missed by luck:

    acknowledged after the commit (test_engine_interrupted.py), pending entries first and replays that answer what
    happened (tests/trades/orders/test_engine.py, test_apply.py).
    """
    alice = a_customer(with_usd="1_000_000.00")
    btc_at("42_000.00")
    codes = [one.body["orderId"] for one in tick(*(opening(alice, quantity="0.01") for _ in range(240)))]
    stop = threading.Event()

    def keep_the_price_fresh() -> None:
        while not stop.wait(0.5):
            btc_at("42_100.00")

    def killer() -> None:
        for _ in range(5):
            time.sleep(0.35)
            live.kill("engine")
            live.start_one("engine")

    def close(code: str) -> tuple[str, int, dict]:
        answer: httpx.Response = client.post("/api/v1/trade/close", json={"orderId": code})
        return code, answer.status_code, answer.json()

    threading.Thread(target=keep_the_price_fresh, daemon=True).start()
    assassin = threading.Thread(target=killer)
    with live.client(token_of(alice)) as client, ThreadPoolExecutor(12) as pool:
        assassin.start()
        answers = list(pool.map(close, codes))
        assassin.join()
        restarted = time.monotonic()
        unknown = [code for code, status, body in answers if status == 500 and body.get("timeout")]
        settled = {code: Order.objects.get(code=code).status for code in unknown}
        again = [close(code) for code in codes[:5]]
    stop.set()

    # Every 200 that was seen is committed; whatever timed out is closed or open, and stays so.
    assert {status for _, status, _ in answers} <= {200, 500}
    for code, status, _ in answers:
        if status == 200:
            assert Order.objects.get(code=code).status == "CLOSED"
    assert set(settled.values()) <= {"OPEN", "CLOSED"}
    assert {code: Order.objects.get(code=code).status for code in unknown if code not in codes[:5]} == {
        code: status for code, status in settled.items() if code not in codes[:5]
    }
    assert time.monotonic() - restarted < 10
    assert {status for _, status, _ in again} <= {200, 400}
    still_open = [order.code for order in Order.objects.filter(status="OPEN")]
    btc_at("42_100.00")
    live_again = tick(*(closing(alice, code) for code in still_open)) if still_open else []
    assert all(told.status == 200 for told in live_again)
    assert Deal.objects.filter(kind="close").count() == 240
    assert audit.run(timezone.now()).ok
