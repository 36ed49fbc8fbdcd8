"""The whole system while its clock is moved over days: each night of swap is booked once, a window is cut once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from accounts import clock, services, streams, tokens
from accounts.identity import FIRM_SCOPES
from accounts.models import Transfer
from quotes.models import Instrument
from quotes.swap_calendar import times_counted
from tests.given import a_customer, what_the_audit_finds
from tests.live import Live
from trades.models import Order, SettlementBatch, SwapRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

NIGHTS = 9
MID = Decimal("40000.5")
SECONDS = 60


@pytest.fixture(scope="module")
def whole(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Live]:
    """With two schedulers."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        streams.client().flushdb()
    running = Live(("proxy", "web", "engine", "worker", "feed", "beat"))
    running.start()
    running.start_one("beat", called="another beat")
    yield running
    running.stop()


def until(is_so: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < give_up, what
        time.sleep(0.1)


def the_plain_rule(order: Order, nights: list[Any]) -> Decimal:
    """Swap in cents: the position's value at the price held, times the rate, times how often each night counts."""
    row = Instrument.objects.get(pk=order.instrument_id)
    counted = sum(times_counted(night, row.swap_triple_weekday) for night in nights)
    return order.quantity * MID * row.swap_long_bps / 10_000 * 100 * counted


def test_days_go_by_in_seconds_and_every_night_is_booked_once(whole: Live) -> None:
    alice = a_customer()
    client, _ = services.create_api_client("firm", FIRM_SCOPES, clock.now())
    with whole.client(tokens.client_token(client, FIRM_SCOPES)) as firm:
        firm.headers["X-Customer-Guid"] = alice.pk.hex
        posts(firm, "/api/sandbox/deposits", customer_guid=alice.pk.hex, asset="USD", amount=2_000_000)
        posts(firm, "/api/sandbox/prices", symbol="BTC-USD", bid="40000", ask="40001")
        until(lambda: SwapRun.objects.count() == 16, "the engine's first look")
        known = SwapRun.objects.latest("night").night
        opened = posts(firm, "/api/v1/trade/create", 200, symbol="BTC-USD", type="buy", quantity="0.1", leverage=10)
        wanted = {"customer_guid": alice.pk.hex, "symbol": "BTC-USD", "side": "buy", "receive_amount": 1_000_000}
        quote = posts(firm, "/api/quotes", **wanted)["guid"]
        trade = posts(firm, "/api/trades", quote_guid=quote)["guid"]
        until(lambda: firm.get(f"/api/trades/{trade}").json()["state"] == "settling", "settling")

        posts(firm, "/api/sandbox/clock", by_seconds=NIGHTS * 86_400)

        wanted_nights = [known + timedelta(days=number) for number in range(1, NIGHTS + 1)]
        done = SwapRun.objects.filter(done_at__isnull=False, night__in=wanted_nights)
        until(lambda: done.count() == 16 * NIGHTS, "every night")
        until(lambda: firm.get(f"/api/trades/{trade}").json()["state"] == "completed", "the window's cut")
        closed = posts(firm, "/api/v1/trade/close", 200, orderId=opened["orderId"])

    order = Order.objects.get(code=opened["orderId"])
    booked = [-int(one.amount) for one in Transfer.objects.filter(kind="order_swap", subject=order.pk)]
    triple = Instrument.objects.get(pk="BTC-USD").swap_triple_weekday
    counting = [night for night in wanted_nights if times_counted(night, triple)]
    assert order.swap_accrued == the_plain_rule(order, wanted_nights) != 0
    assert len(booked) == len(counting)
    assert abs(sum(booked) - order.swap_accrued) < 1
    assert SwapRun.objects.filter(night__gt=known).count() == 16 * NIGHTS
    assert [run for run in SwapRun.objects.all() if run.started_at < run.cutoff] == []
    assert order.closed_at is not None
    assert order.opened_at is not None
    assert order.closed_at - order.opened_at > timedelta(days=NIGHTS)
    assert closed["order"]["swap"] < 0
    (batch,) = SettlementBatch.objects.all()
    assert (batch.state, batch.trades_count, batch.window is not None) == ("completed", 1, True)
    assert what_the_audit_finds() == []


def posts(firm: httpx.Client, path: str, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = firm.post(path, json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())
