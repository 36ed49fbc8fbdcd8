"""Faults that a client forces on itself: what its call is answered, what was done, who meets them, how often."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts import clock, services, streams, tokens
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES, SANDBOX
from accounts.ids import uuid7
from accounts.models import ApiClient, Customer
from brokerage.sandbox import faults, forcing
from quotes.models import Quote
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.given import a_customer, token_of

pytestmark = pytest.mark.django_db

HEADER = "Sandbox-Fault"


def client_of(api: Api) -> uuid.UUID:
    claims = tokens.verify(api.http.defaults["HTTP_AUTHORIZATION"])
    assert claims.client_id is not None
    return claims.client_id


def forces(firm: Api, **fault: Any) -> dict[str, Any]:
    status, body = firm.post("/api/sandbox/faults", fault)
    assert status == 201, body
    return dict(body)


def asks(firm: Api, customer: Customer, key: str = "") -> Any:
    """For a quote of BTC-USD."""
    wanted = {"customer_guid": customer.pk.hex, "symbol": "BTC-USD", "side": "buy", "deliver_amount": 1000}
    headers = {"Idempotency-Key": key} if key else {}
    return firm.http.post("/api/quotes", json.dumps(wanted), content_type="application/json", headers=headers)


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


# --- before and after ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (408, ("The request took too long to arrive.", "request_timeout")),
        (500, ("Internal server error", "internal_server_error")),
        (503, ("The service is temporarily unavailable; try again.", "unavailable")),
    ],
)
def test_what_is_forced_before_a_call_is_answered_and_nothing_is_done(
    firm: Api, alice: Customer, status: int, said: tuple[str, str]
) -> None:
    fault = forces(firm, status=status)

    answer = asks(firm, alice)

    assert (answer.status_code, answer.headers[HEADER]) == (status, fault["guid"])
    assert answer.json() == {"status": status, "error_message": said[0], "message_code": said[1]}
    assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)
    assert not Quote.objects.exists()
    assert asks(firm, alice).status_code == 201  # it was for one call


@pytest.mark.parametrize("status", [408, 500, 503])
def test_what_is_forced_after_a_call_loses_its_answer_and_the_keyed_retry_brings_it(
    firm: Api, alice: Customer, status: int
) -> None:
    forces(firm, status=status, when="after")

    assert asks(firm, alice, "once").status_code == status
    made = Quote.objects.get()
    again = asks(firm, alice, "once")

    assert (again.status_code, again.json()["guid"], again.headers["Idempotent-Replayed"]) == (201, made.pk.hex, "true")
    assert Quote.objects.count() == 1
    assert HEADER not in again.headers


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay_delays_and_changes_nothing(firm: Api, alice: Customer, when: str) -> None:
    forces(firm, delay_milliseconds=200, when=when)
    began = time.monotonic()

    answer = asks(firm, alice)

    assert (answer.status_code, HEADER in answer.headers) == (201, True)
    assert time.monotonic() - began >= 0.2
    assert Quote.objects.count() == 1


def test_no_more_calls_are_delayed_at_once_than_leave_threads_to_others(firm: Api, alice: Customer) -> None:
    """Guard: `_room` in `brokerage/sandbox/forcing.py`: a client's delays would hold every thread of the process."""
    forces(firm, delay_milliseconds=10_000)
    taken = [forcing._room.acquire(blocking=False) for _ in range(forcing.WAITING_AT_ONCE)]
    try:
        began = time.monotonic()
        assert asks(firm, alice).status_code == 503
        assert time.monotonic() - began < 5
    finally:
        for _ in taken:
            forcing._room.release()
    assert all(taken)
    assert not Quote.objects.exists()


# --- of which calls --------------------------------------------------------------------------------


def test_a_fault_is_for_the_method_and_the_path_that_it_names(firm: Api, alice: Customer) -> None:
    forces(firm, status=500, method="POST", path="/api/trades")
    forces(firm, status=503, path="/api/quotes/*/")

    made = asks(firm, alice)
    assert made.status_code == 201
    assert firm.get("/api/trades")[0] == 200
    assert firm.get(f"/api/quotes/{made.json()['guid']}")[0] == 503
    assert firm.get(f"/api/quotes/{made.json()['guid']}/")[0] == 200
    assert firm.post("/api/trades", {"quote_guid": made.json()["guid"]})[0] == 500
    assert firm.get("/api/sandbox/faults") == (200, [])


def test_the_oldest_fault_that_fits_comes_first_and_as_often_as_it_says(firm: Api) -> None:
    first, second = forces(firm, status=500, count=2), forces(firm, status=503)
    assert [one["left"] for one in firm.get("/api/sandbox/faults")[1]] == [2, 1]

    said = [firm.get("/api/quotes")[0] for _ in range(4)]

    assert said == [500, 500, 503, 200]
    assert (first["count"], first["left"], second["count"]) == (2, 2, 1)


def test_nobody_else_meets_it_nor_sees_it_nor_takes_it_away(firm: Api, alice: Customer) -> None:
    """Guard: `client_id` in `_fault_of`, and in the faults' key."""
    fault = forces(firm, status=500, count=100)
    other, trader = a_firm(), Api(token_of(alice))

    assert other.get("/api/quotes")[0] == 200
    assert trader.get("/api/quotes")[0] == 200
    assert Client().get("/api/assets").status_code == 200
    assert Client().get("/api/quotes").status_code == 401
    assert other.get("/api/sandbox/faults") == (200, [])
    assert other.http.delete(f"/api/sandbox/faults/{fault['guid']}").status_code == 404

    assert firm.get("/api/sandbox/faults")[1][0]["left"] == 100
    assert firm.get("/api/quotes")[0] == 500


def test_a_customers_token_of_the_client_meets_it_too(firm: Api, alice: Customer) -> None:
    forces(firm, status=500)
    theirs = Api(tokens.customer_token(client_of(firm), alice.pk, CUSTOMER_SCOPES))

    assert theirs.get("/api/quotes")[0] == 500
    assert theirs.get("/api/quotes")[0] == 200


def test_a_fault_is_never_forced_on_the_sandbox_itself(firm: Api) -> None:
    """Guard: PREFIX in `_fault_of`: else nobody could take away what they have forced."""
    fault = forces(firm, status=500, count=100)

    assert firm.get("/api/sandbox/faults")[0] == 200
    assert firm.http.delete(f"/api/sandbox/faults/{fault['guid']}").status_code == 204
    assert firm.get("/api/quotes")[0] == 200
    assert firm.http.delete(f"/api/sandbox/faults/{fault['guid']}").status_code == 404


# --- what may be asked for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"status": 404},
        {"status": "500"},
        {"status": True},
        {"status": 500.0},
        {"delay_milliseconds": 0},
        {"delay_milliseconds": 10_001},
        {"status": 500, "when": "now"},
        {"status": 500, "method": "get"},
        {"status": 500, "path": "api/quotes"},
        {"status": 500, "path": "/" + "a" * 200},
        {"status": 500, "count": 0},
        {"status": 500, "count": 101},
        [],
    ],
)
def test_what_is_no_fault_is_refused(firm: Api, wrong: Any) -> None:
    assert code(firm.post("/api/sandbox/faults", wrong)) == (400, "invalid_parameter")
    assert firm.get("/api/sandbox/faults") == (200, [])


def test_only_so_many_wait_at_once(firm: Api) -> None:
    """Guard: MOST_FAULTS in the script that adds one."""
    for _ in range(faults.MOST_FAULTS):
        forces(firm, status=500)
    assert code(firm.post("/api/sandbox/faults", {"status": 500})) == (422, "too_many_faults")

    fault = faults.Fault(uuid7(), 500, 0, faults.BEFORE, "", "", 1, clock.now() + timedelta(hours=1))
    assert not faults.add(client_of(firm), fault)
    assert len(faults.waiting(client_of(firm))) == faults.MOST_FAULTS


def test_a_fault_expires_and_makes_room(firm: Api) -> None:
    me = client_of(firm)
    past = clock.now() - timedelta(seconds=1)
    for _ in range(faults.MOST_FAULTS):
        assert faults.add(me, faults.Fault(uuid7(), 500, 0, faults.BEFORE, "", "", 1, past))

    assert firm.get("/api/quotes")[0] == 200
    forces(firm, status=500)
    assert firm.get("/api/quotes")[0] == 500


def test_the_same_key_forces_it_once(firm: Api) -> None:
    for _ in range(2):
        answer = firm.http.post(
            "/api/sandbox/faults",
            '{"status":500}',
            content_type="application/json",
            headers={"Idempotency-Key": "one fault"},
        )
        assert answer.status_code == 201
    assert len(firm.get("/api/sandbox/faults")[1]) == 1


@pytest.mark.parametrize("rubbish", ["a text", "of another time", "no JSON", "another list"])
def test_rubbish_in_redis_forces_nothing_and_stops_nobody(firm: Api, rubbish: str) -> None:
    key, redis = f"sandbox:faults:{client_of(firm).hex}", streams.client()
    if rubbish == "a text":
        redis.set(key, "x")
    elif rubbish == "another list":
        redis.rpush(key, "x")
    else:
        redis.hset(key, mapping={"x": "{}" if rubbish == "of another time" else "{", "x:left": "1"})

    assert firm.get("/api/quotes")[0] == 200
    forces(firm, status=500)
    assert [firm.get("/api/quotes")[0] for _ in range(2)] == [500, 200]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), ("DELETE", f"/{UNKNOWN}")])
def test_only_the_scope_of_the_sandbox_opens_it(method: str, path: str, alice: Customer) -> None:
    for api in (a_firm(FIRM_SCOPES - {SANDBOX}), Api(token_of(alice))):
        answer = api.http.generic(method, f"/api/sandbox/faults{path}", b"{}", content_type="application/json")
        assert (answer.status_code, answer.json()["message_code"]) == (403, "invalid_scope")
    assert Client().generic(method, f"/api/sandbox/faults{path}").status_code == 401


def test_no_customer_and_no_trader_can_have_that_scope(alice: Customer) -> None:
    client, _ = services.create_api_client("firm", FIRM_SCOPES, clock.now())
    firm = Api(tokens.client_token(client, FIRM_SCOPES))
    assert SANDBOX in ApiClient.objects.get(pk=client.pk).scopes
    wanted = {"customer_guid": alice.pk.hex, "scopes": [SANDBOX]}
    assert code(firm.post("/api/customer_tokens", wanted)) == (403, "invalid_scope")


# --- at once ---------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [1, 7])
def test_of_twenty_calls_at_once_as_many_meet_a_fault_as_it_has_uses(firm: Api, count: int) -> None:
    """Guard: the count in the script `_USE`, which the server alone counts down."""
    forces(firm, status=503, count=count)
    me, ready = client_of(firm), Barrier(20)
    authorization = firm.http.defaults["HTTP_AUTHORIZATION"]
    seen = faults.waiting(me)

    def call(_: int) -> int:
        ready.wait(20)
        try:
            return int(Client(headers={"Authorization": authorization}).get("/api/quotes").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(call, range(20)))

    assert len(seen) == 1
    assert sorted(said) == [200] * (20 - count) + [503] * count


def test_a_call_that_saw_a_fault_which_another_used_goes_on_without_it(firm: Api, monkeypatch: Any) -> None:
    """The race of the test before, made to happen: between the look and the use somebody else comes."""
    forces(firm, status=503)
    me, looks = client_of(firm), faults.waiting

    def looks_and_is_late(client_id: uuid.UUID) -> Any:
        seen = looks(client_id)
        monkeypatch.setattr(faults, "waiting", looks)
        assert faults.use(me, "GET", "/api/quotes") is not None
        return seen

    monkeypatch.setattr(faults, "waiting", looks_and_is_late)
    assert faults.use(me, "GET", "/api/quotes") is None
