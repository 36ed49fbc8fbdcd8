"""The whole system over a weekend and a halt: what is refused, what waits, and at which price it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from accounts import clock, services, streams, tokens
from accounts.identity import FIRM_SCOPES, SYSTEM
from quotes.hours import Switch
from quotes.models import Instrument
from quotes.switching import switch_market
from tests.given import a_customer, what_the_audit_finds
from tests.hours import keeps
from tests.live import Live
from trades.models import Order, SwapRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

SECONDS = 60
EUR = {"symbol": "EUR-USD", "type": "buy", "quantity": "10000", "leverage": 100}
BTC = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.01", "leverage": 10}


@pytest.fixture(scope="module")
def whole(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Live]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        streams.client().flushdb()
    running = Live(("proxy", "web", "engine", "feed"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def _euro_keeps_hours() -> Iterator[None]:
    keeps("EUR-USD", "fx")
    yield
    keeps("EUR-USD", "always")


@pytest.fixture
def firm(whole: Live, _euro_keeps_hours: None) -> Iterator[httpx.Client]:
    """The firm's client, acting for a customer with money."""
    alice = a_customer()
    client, _ = services.create_api_client("firm", FIRM_SCOPES, clock.now())
    with whole.client(tokens.client_token(client, FIRM_SCOPES)) as firm:
        firm.headers["X-Customer-Guid"] = alice.pk.hex
        posts(firm, "/api/sandbox/deposits", customer_guid=alice.pk.hex, asset="USD", amount=2_000_000)
        yield firm


def until(is_so: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < give_up, what
        time.sleep(0.1)


def posts(firm: httpx.Client, path: str, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = firm.post(path, json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def creates(firm: httpx.Client, status: int = 200, **wanted: Any) -> str:
    """Asks for an order: its orderId, or the sentence it was refused with."""
    told = posts(firm, "/api/v1/trade/create", status, **wanted)
    return str(told.get("orderId") or told["error"])


def opens_in_time(firm: httpx.Client, **wanted: Any) -> str:
    """Once the market's first price after an opening or a switch is there."""
    answers: list[httpx.Response] = []

    def is_open() -> bool:
        answers.append(firm.post("/api/v1/trade/create", json=wanted))
        return answers[-1].status_code == 200

    until(is_open, "the market's first price")
    return str(answers[-1].json()["orderId"])


def moves_to(firm: httpx.Client, moment: datetime) -> None:
    posts(firm, "/api/sandbox/clock", until=moment.isoformat().replace("+00:00", "Z"))


def of(code: str) -> Order:
    return Order.objects.get(code=code)


def midday(weekday: int, after: datetime) -> datetime:
    """The next one, UTC; 0 is Monday."""
    days = (weekday - after.weekday() - 1) % 7 + 1
    return (after + timedelta(days=days)).replace(hour=12, minute=0, second=0, microsecond=0)


def euro(firm: httpx.Client) -> dict[str, Any]:
    (found,) = [one for one in firm.get("/api/v1/supportedAssets").json() if one["symbol"] == "EUR-USD"]
    return dict(found)


def test_a_weekend_a_halt_and_closing_only(firm: httpx.Client) -> None:
    wednesday = midday(2, clock.firm_now())
    friday, saturday = wednesday + timedelta(days=2), wednesday + timedelta(days=3)
    moves_to(firm, wednesday)
    posts(firm, "/api/sandbox/prices", symbol="EUR-USD", bid="1.0875", ask="1.0876")
    posts(firm, "/api/sandbox/prices", symbol="BTC-USD", bid="40000", ask="40001")
    until(lambda: SwapRun.objects.filter(done_at__isnull=False, night__lt=wednesday.date()).count() >= 16, "a look")
    stopped = opens_in_time(firm, **EUR, stopLoss="1.08")
    pending = creates(firm, **EUR, orderType="limit", price="1.07")

    moves_to(firm, saturday)
    nights = SwapRun.objects.filter(done_at__isnull=False, night__range=(wednesday.date(), friday.date()))
    until(lambda: nights.count() == 48, "the nights until the weekend")
    posts(firm, "/api/sandbox/prices", symbol="EUR-USD", bid="1.0500", ask="1.0501")
    opening = euro(firm)["nextOpening"]
    assert euro(firm)["marketState"] == "closed"
    sunday = datetime.fromisoformat(opening)
    assert sunday.astimezone(UTC).weekday() == 6
    closed = f"Market closed for symbol: EUR-USD. Next opening: {opening}"
    refused = firm.post("/api/v1/trade/create", json=EUR)
    assert (refused.status_code, refused.headers["Error-Code"]) == (400, "market_closed")
    assert refused.json() == {"error": closed, "message": closed}
    assert posts(firm, "/api/v1/trade/close", 400, orderId=stopped)["error"] == closed
    assert creates(firm, 400, **EUR, orderType="limit", price="1.04") == closed
    bitcoin = creates(firm, **BTC)  # another market's goes on, the euro's loss counted by its last price
    posts(firm, "/api/v1/trade/close", 200, orderId=bitcoin)
    assert (of(stopped).status, of(pending).status) == ("OPEN", "PENDING")
    quoted = {"customer_guid": firm.headers["X-Customer-Guid"], "symbol": "EUR-USD", "side": "buy"}
    told = posts(firm, "/api/quotes", 422, **quoted, receive_amount=100_00)
    assert (told["error_message"], told["message_code"]) == (closed, "market_closed")

    moves_to(firm, sunday + timedelta(seconds=1))
    until(lambda: (of(stopped).status, of(pending).status) == ("CLOSED", "OPEN"), "what waited")
    order = of(stopped)
    assert (order.close_reason, order.close_price) == ("stop_loss", Decimal("1.05"))
    assert of(pending).open_price == Decimal("1.0501")
    assert min(order.closed_at, of(pending).opened_at) >= sunday  # type: ignore[type-var]
    row = Instrument.objects.get(pk="EUR-USD")
    value = Decimal(10_000) * Decimal("1.08755") * row.swap_long_bps / 10_000 * 100
    assert order.swap_accrued == value * 5  # Wednesday three times, Thursday and Friday once

    switch_market("EUR-USD", Switch.HALTED, by=SYSTEM, reason="a test", at=clock.firm_now())
    until(lambda: euro(firm)["marketState"] == "halted", "the halt")
    until(lambda: "halted" in creates_or_not(firm), "the engine's halt")
    halted = "Market halted for symbol: EUR-USD"
    assert posts(firm, "/api/v1/trade/close", 400, orderId=pending)["error"] == halted
    switch_market("EUR-USD", Switch.CLOSE_ONLY, by=SYSTEM, reason="a test", at=clock.firm_now())
    until(lambda: "takes closing orders only" in creates_or_not(firm), "for closing only")
    posts(firm, "/api/v1/trade/close", 200, orderId=pending)
    switch_market("EUR-USD", Switch.NONE, by=SYSTEM, reason="a test", at=clock.firm_now())
    again = opens_in_time(firm, **EUR)
    posts(firm, "/api/v1/trade/close", 200, orderId=again)
    assert what_the_audit_finds() == []


def creates_or_not(firm: httpx.Client) -> str:
    answer = firm.post("/api/v1/trade/create", json=EUR)
    if answer.status_code == 200:
        firm.post("/api/v1/trade/close", json={"orderId": answer.json()["orderId"]})
    return str(answer.json().get("error", ""))
