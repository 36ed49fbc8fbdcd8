"""An order's answer that is lost on request: the bytes of a real timeout, and what was done can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import FIRM_SCOPES
from accounts.models import Customer
from tests.given import a_customer, btc_at, every_price_at_its_start
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

AN_ORDER = {"symbol": "BTC-USD", "type": "buy", "quantity": 0.01, "leverage": 10}
CREATION = "Request timeout: Order creation took longer than 3 seconds"


@pytest.fixture
def alice() -> Customer:
    every_price_at_its_start()
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def firm(live: Live, alice: Customer) -> Iterator[httpx.Client]:
    """An API client that acts for alice."""
    client, _ = services.create_api_client("firm", FIRM_SCOPES, timezone.now())
    with live.client(tokens.client_token(client, FIRM_SCOPES)) as http:
        http.headers["X-Customer-Guid"] = alice.pk.hex
        yield http


def forces(firm: httpx.Client, **fault: Any) -> None:
    assert firm.post("/api/sandbox/faults", json=fault).status_code == 201


def opens(firm: httpx.Client) -> str:
    btc_at("40_000.00")
    return str(firm.post("/api/v1/trade/create", json=AN_ORDER).json()["orderId"])


def state_of(firm: httpx.Client, order: str) -> str:
    return str(firm.get(f"/api/v1/trade/orders/{order}").json()["status"])


@pytest.mark.parametrize(("when", "became"), [("before", "OPEN"), ("after", "CLOSED")])
def test_a_close_that_times_out_is_told_as_one_and_its_outcome_can_be_read(
    firm: httpx.Client, when: str, became: str
) -> None:
    order = opens(firm)
    forces(firm, status=408, when=when)
    key = {"Idempotency-Key": f"close {order}"}

    lost = firm.post("/api/v1/trade/close", json={"orderId": order}, headers=key)

    assert (lost.status_code, lost.headers["Error-Code"]) == (500, "timeout")
    assert lost.text == (
        '{"error":"Failed to close order","message":"No answer within 5 seconds: outcome unknown. The order is now '
        f'either closed or stays open; read it to see which.","timeout":true,"orderId":"{order}"}}'
    )
    assert state_of(firm, order) == became
    btc_at("40_000.00")
    again = firm.post("/api/v1/trade/close", json={"orderId": order}, headers=key)
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (200, "true" if when == "after" else None)
    assert again.json()["order"]["orderId"] == order


@pytest.mark.parametrize(("when", "open_ones"), [("before", 0), ("after", 1)])
def test_an_order_whose_creation_times_out_is_open_or_was_never_made(
    firm: httpx.Client, when: str, open_ones: int
) -> None:
    forces(firm, status=408, when=when, path="/api/v1/trade/create")

    lost = firm.post("/api/v1/trade/create", json=AN_ORDER)

    assert (lost.status_code, lost.headers["Error-Code"]) == (408, "timeout")
    assert lost.text == f'{{"error":"{CREATION}","message":"{CREATION}","timeout":true}}'
    assert len(firm.get("/api/v1/trade/orders").json()["message"]) == open_ones


def test_a_delay_beyond_the_deadline_is_a_real_timeout(firm: httpx.Client) -> None:
    forces(firm, delay_milliseconds=3_100)

    lost = firm.post("/api/v1/trade/create", json=AN_ORDER)

    assert (lost.status_code, lost.json()["timeout"]) == (408, True)
    assert firm.get("/api/v1/trade/orders").json()["message"] == []


@pytest.mark.parametrize(("status", "said"), [(500, "Internal server error"), (408, "The request took too long")])
def test_what_is_read_is_told_in_the_orders_dialect(firm: httpx.Client, status: int, said: str) -> None:
    forces(firm, status=status)

    lost = firm.get("/api/v1/trade/orders")

    assert (lost.status_code, list(lost.json())) == (status, ["error"])
    assert lost.json()["error"].startswith(said)


def test_a_body_that_cant_be_meant_is_refused_as_ever(firm: httpx.Client) -> None:
    forces(firm, status=408)
    assert firm.post("/api/v1/trade/create", json={}).status_code == 400
    assert firm.get("/api/sandbox/faults").json() == []
