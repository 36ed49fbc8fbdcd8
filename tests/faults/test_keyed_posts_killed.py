"""For the quotes/trades API: the web process dies between the work and the answer, or before."""

from __future__ import annotations

import json
import socket
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest
from django.db import transaction
from django.utils import timezone

from accounts import services, tokens
from accounts.db import locks
from accounts.identity import FIRM_SCOPES
from accounts.models import AnsweredRequest, Customer
from tests.faults.test_web_killed import until
from tests.given import a_customer, a_settling_buy, btc, btc_at, what_the_audit_finds
from tests.live import Live
from tests.races.together import wait_until_waiting
from trades.models import SettlementBatch, Trade

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

KEY = {"Idempotency-Key": "once and for all"}


@pytest.fixture
def token() -> str:
    """Of a client of the firm."""
    client, _ = services.create_api_client("a partner", FIRM_SCOPES, timezone.now())
    return tokens.client_token(client, FIRM_SCOPES)


def posts(live: Live, token: str, path: str, body: object) -> httpx.Response:
    with live.client(token) as http:
        return http.post(path, json=body, headers=KEY)


def posts_and_hears_nothing(live: Live, token: str, path: str, body: object) -> None:
    """Whoever asks like this has lost the answer, whether or not it was sent."""
    said = json.dumps(body).encode()
    headers = {"Host": "localhost", "Authorization": f"Bearer {token}", "Content-Type": "application/json"} | KEY
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    with socket.create_connection(("127.0.0.1", live.port)) as wire:
        wire.sendall("\r\n".join([*lines, f"Content-Length: {len(said)}", "", ""]).encode() + said)
        until(AnsweredRequest.objects.exists)
        live.kill("web")


def is_not_told(asked: Future[httpx.Response]) -> bool:
    """HAProxy answers 502 for a process that died; where it had used the connection before, it may just close its own,
    as a server does that has gone away."""
    if asked.exception() is not None:
        return isinstance(asked.exception(), httpx.TransportError)
    return (asked.result().status_code, asked.result().json()["message_code"]) == (502, "outcome_unknown")


def starts_again(live: Live) -> None:
    live.start_one("web")
    live.wait_for_web()


def test_a_retry_gets_the_answer_that_the_dead_process_did_not_pass_on(live: Live, token: str) -> None:
    """Guard: the answer's row, written in the transaction of the work. Without it there is a second customer."""
    somebody = {"type": "individual", "name": {"full": "Ada"}}

    posts_and_hears_nothing(live, token, "/api/customers", somebody)
    starts_again(live)
    again = posts(live, token, "/api/customers", somebody)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json()["guid"] == Customer.objects.get().pk.hex


def test_a_process_that_dies_at_work_leaves_neither_the_work_nor_an_answer(live: Live, token: str) -> None:
    """Guard: one transaction of both. A row that was committed beforehand would answer for what was never done, or
    hold the key for good."""
    btc_at("40_000.00")
    trade = a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"))

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            locks.hold(locks.MEMBERSHIP)
            cut = pool.submit(posts, live, token, "/api/settlement_batches", {})
            wait_until_waiting()
            live.kill("web")
        assert is_not_told(cut)
    starts_again(live)
    assert (SettlementBatch.objects.count(), AnsweredRequest.objects.count()) == (0, 0)
    again = posts(live, token, "/api/settlement_batches", {})

    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (201, None)
    assert Trade.objects.get(pk=trade.pk).batch_id == SettlementBatch.objects.get().pk
    assert what_the_audit_finds() == []
