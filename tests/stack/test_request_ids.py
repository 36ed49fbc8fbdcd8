"""`X-Request-ID`: in, out, in every line of the log, and beside what it caused; at the running system."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.utils import timezone

from accounts import request_id, services, tokens
from accounts.identity import FIRM_SCOPES
from accounts.ids import uuid7
from accounts.models import AnsweredRequest, RowVersion
from quotes.models import Quote
from tests.faults.test_web_killed import until
from tests.given import a_customer, a_quote, btc, btc_at, states, token_of, what_the_audit_finds
from tests.live import Live
from trades.models import BatchEvent, Order, OrderEvent, Trade, TradeEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

NAME = "shop.7_of-9"


def named(name: str = NAME) -> dict[str, str]:
    return {"X-Request-ID": name}


def a_token() -> str:
    """Of a client of the firm."""
    client, _ = services.create_api_client("a partner", FIRM_SCOPES, timezone.now())
    return tokens.client_token(client, FIRM_SCOPES)


firm = pytest.fixture(a_token, name="firm")
checker = pytest.fixture(a_token, name="checker")


@pytest.mark.parametrize("path", ["/livez", "/api/quotes", "/api/v1/nowhere", "/admin/", "/api/v1/supportedAssets"])
@pytest.mark.parametrize("name", [NAME, "x", "y" * 128])
def test_a_name_comes_back_whatever_is_answered(live: Live, path: str, name: str) -> None:
    with live.client() as http:
        assert http.get(path, headers=named(name)).headers["X-Request-ID"] == name


@pytest.mark.parametrize("name", [None, "", "y" * 129, "a b", "a/b", "caf\u00e9".encode("latin-1"), "<script>", "a\tb"])
def test_what_is_no_name_is_replaced_by_one_of_ours(live: Live, name: Any) -> None:
    """Guard: `is_request_id`."""
    with live.client() as http:
        made = [
            http.get("/livez", headers={} if name is None else {"X-Request-ID": name}).headers["X-Request-ID"]
            for _ in range(2)
        ]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)
    assert len(set(made)) == 2


def test_each_line_of_the_log_names_its_request_and_only_its_own(live: Live) -> None:
    """Guard: `request` in `logs._described`."""
    with live.client() as http:
        answer = http.get("/api/v1/account", headers={**named("who-is-it"), "Host": "somebody.example"})
        http.get("/livez")
    assert answer.status_code == 400
    until(lambda: "somebody.example" in live.log.read_text())
    records = [line for line in live.log.read_text().splitlines() if re.match("INFO|WARNING|ERROR", line)]
    mine = [line for line in records if "somebody.example" in line]
    assert mine
    assert [line for line in records if " [who-is-it] " in line] == mine


def test_what_a_request_caused_says_so(live: Live, firm: str, checker: str) -> None:
    """Guards: the columns' defaults, in the models and in the database, and `conflicts._named`."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    with live.client(firm) as http:

        def posts(path: str, body: dict[str, Any], name: str, **headers: str) -> Any:
            answer = http.post(path, json=body, headers=named(name) | headers)
            assert answer.status_code in {200, 201}, answer.text
            return answer.json()

        guid = posts("/api/customers", {"type": "individual"}, "opens-a-customer")["guid"]
        wanted = {"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000, "customer_guid": alice.pk.hex}
        quote = posts("/api/quotes", wanted, "asks-for-a-quote")
        trade = posts("/api/trades", {"quote_guid": quote["guid"]}, "trades")
        until(lambda: states(*Trade.objects.all()) == ["settling"])
        batch = posts("/api/settlement_batches", {}, "cuts")
        posts(f"/api/settlement_batches/{batch['guid']}/cancel", {}, "cancels", Authorization=f"Bearer {checker}")
        posts("/api/customers", {"type": "business"}, "keyed", **{"Idempotency-Key": "k"})

    assert AnsweredRequest.objects.get().request_id == "keyed"
    versions = RowVersion.objects.filter(table_name="accounts_customer", row_key=str(UUID(guid)))
    assert [one.request_id for one in versions.order_by("number")][:1] == ["opens-a-customer"]  # then the worker checks
    assert Quote.objects.get(pk=quote["guid"]).request_id == "asks-for-a-quote"
    steps = TradeEvent.objects.filter(trade_id=trade["guid"]).order_by("at").values_list("became", "request_id")
    assert list(steps) == [("storing", "trades"), ("settling", None)]
    said = BatchEvent.objects.filter(batch_id=batch["guid"]).values_list("became", "request_id")
    assert set(said) == {("cut", "cuts"), ("cancelled", "cancels")}
    assert what_the_audit_finds() == []


def test_nothing_is_caused_by_a_request_that_is_over() -> None:
    """Guard: `request_id.end`. In this very process, which has answered requests of Django's test client."""
    from django.test import Client

    assert Client().get("/livez", headers=named()).headers["X-Request-ID"] == NAME
    btc_at("40_000.00")
    assert a_quote(a_customer(), receive=btc("0.1")).request_id is None


def test_a_name_that_was_made_here_is_one_commands_id_and_a_senders_is_none() -> None:
    """Guards: `take_made` gives it away once, and `begin` keeps none where the sender has named the request."""
    made = uuid7()
    assert request_id.begin(None, made) == made.hex
    assert [request_id.take_made(), request_id.take_made()] == [made, None]
    assert request_id.begin(NAME, made) == NAME
    assert request_id.take_made() is None
    request_id.end()


def test_what_happened_to_an_order_names_the_request(live: Live) -> None:
    """Its sender's name stands in the event's detail; without one, the command has the id that the answer shows.

    Guards: `called` in `submit._ask`, `request` in `commands.encode`, and `session.asked` in `Tick.take`.
    """
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    body = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.1", "leverage": 10}
    with live.client(token_of(alice)) as http:

        def closes(code: str, headers: dict[str, str]) -> httpx.Response:
            return http.post("/api/v1/trade/close", json={"orderId": code}, headers=headers)

        opened = http.post("/api/v1/trade/create", json=body, headers=named("opens"))
        code = opened.json()["orderId"]
        closed = closes(code, {})
        again = closes(code, named("closes-again"))

    assert (opened.headers["X-Request-ID"], again.status_code) == ("opens", 400)
    order = Order.objects.get(code=code)
    opening, closing = OrderEvent.objects.filter(order_id=order.pk).order_by("pk")
    assert opening.detail["request"] == "opens"
    assert opening.command_id is not None
    assert opening.command_id.hex != opened.headers["X-Request-ID"]
    assert (closing.kind, closing.detail) == ("closed", None)
    assert closing.command_id.hex == closed.headers["X-Request-ID"]
    assert what_the_audit_finds() == []


def test_one_name_for_many_requests_is_many_requests(live: Live) -> None:
    """Guard: a name that its sender gave is never a command's id. Two opens under one name are two orders."""
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    body = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.1", "leverage": 10}
    name = "0123456789abcdef0123456789abcdef"
    with live.client(token_of(alice)) as http:
        answers = [http.post("/api/v1/trade/create", json=body, headers=named(name)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert Order.objects.count() == 2
