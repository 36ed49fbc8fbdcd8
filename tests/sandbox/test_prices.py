"""Prices that an API client holds in a sandbox: the rows of `set_price`, with who did it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts import clock, json_codec, tokens
from accounts.models import ApiClient, User
from quotes import prices
from quotes.models import PriceHold
from quotes.selectors import who
from tests.caller import Api, a_firm, code
from tests.given import a_customer, btc_at, every_price_at_its_start, token_of, what_the_audit_finds

pytestmark = pytest.mark.django_db

PATH = "/api/sandbox/prices"
BTC = "BTC-USD"


@pytest.fixture
def firm() -> Api:
    every_price_at_its_start()
    return a_firm()


def client_of(firm: Api) -> ApiClient:
    return ApiClient.objects.get(pk=tokens.verify(firm.http.defaults["HTTP_AUTHORIZATION"]).client_id)


def holds(firm: Api, bid: Any, ask: Any, **more: Any) -> dict[str, Any]:
    status, body = firm.post(PATH, json_codec.dumps({"symbol": "btc", "bid": bid, "ask": ask, **more}))
    assert status == 201, body
    return dict(body)


def test_a_symbol_is_held_moved_and_released_and_each_says_who_did_it(firm: Api) -> None:
    client = client_of(firm)
    told = holds(firm, Decimal("41090.75"), Decimal("41095.75"), reason="a story")
    assert told == {
        "symbol": BTC,
        "held": True,
        "bid": 41090.75,
        "ask": 41095.75,
        "at": told["at"],
        "by_user_guid": None,
        "by_client_guid": client.pk.hex,
        "reason": "a story",
    }
    holds(firm, "42350.75", "42355.75")
    assert prices.latest().by_symbol[BTC].bid == Decimal("42350.75")
    (price,) = firm.get("/api/prices", symbol=BTC)[1]
    assert (price["sell_price"], price["held"]) == (4235075, True)
    (held,) = firm.get(PATH)[1]
    assert (held["symbol"], held["bid"]) == (BTC, 42350.75)

    answer = firm.http.delete(f"{PATH}/{BTC}")

    assert (answer.status_code, answer.json()["held"], answer.json()["bid"]) == (200, False, None)
    assert firm.get(PATH) == (200, [])
    first, second, third = PriceHold.objects.order_by("number")
    assert {hold.by_client_id for hold in (first, second, third)} == {client.pk}
    assert (first.by, first.reason, third.is_held) == (None, "a story", False)
    assert len({hold.request_id for hold in (first, second, third)}) == 3
    assert who(first) == f"API client {client.name}"
    assert what_the_audit_finds() == []


def test_the_staff_see_which_client_held_a_price(firm: Api, client: Any) -> None:
    holds(firm, "41090.75", "41095.75")
    client.force_login(User.objects.create_superuser("ann@firm.example", "a long enough word"))

    desk = client.get(reverse("admin:quotes_pricehold_changelist")).content.decode()

    assert f"API client {client_of(firm).name}" in desk


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"symbol": "NO-SUCH"}, 400),
        ({"bid": "0"}, 400),
        ({"bid": "x"}, 400),
        ({"bid": True}, 400),
        ({"bid": None}, 400),
        ({"bid": "1e400"}, 400),
        ({"bid": "41096"}, 400),
        ({"bid": "41090.755"}, 400),
        ({"ask": "90000"}, 422),
        ({"reason": "r" * 201}, 400),
    ],
)
def test_what_is_no_price_is_refused_and_holds_nothing(firm: Api, change: dict[str, Any], status: int) -> None:
    wanted = {"symbol": BTC, "bid": "41090.75", "ask": "41095.75"} | change

    assert firm.post(PATH, wanted)[0] == status
    assert not PriceHold.objects.exists()


def test_what_is_not_held_is_not_released(firm: Api) -> None:
    released = firm.http.delete(f"{PATH}/{BTC}")
    assert (released.status_code, released.json()["message_code"]) == (422, "price_not_held")
    assert firm.http.delete(f"{PATH}/NO-SUCH").status_code == 404


def test_a_trader_holds_nothing(firm: Api) -> None:
    trader = Api(token_of(a_customer()))
    assert code(trader.post(PATH, {"symbol": BTC, "bid": 1, "ask": 1})) == (403, "invalid_scope")
    assert trader.http.delete(f"{PATH}/{BTC}").status_code == 403


def test_the_same_key_holds_it_once(firm: Api) -> None:
    btc_at("40000")
    body = '{"symbol":"BTC-USD","bid":41090.75,"ask":41095.75}'
    for replayed in (None, "true"):
        answer = firm.http.post(PATH, body, content_type="application/json", headers={"Idempotency-Key": "held"})
        assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (201, replayed)
    assert PriceHold.objects.count() == 1
    assert prices.latest().by_symbol[BTC].bid == Decimal("41090.75")


def test_a_hold_is_a_persons_or_a_clients(firm: Api) -> None:
    """Guard: the constraint `hold_by_one_at_most`."""
    ann = User.objects.create_superuser("ann@firm.example", "a long enough word")
    with pytest.raises(IntegrityError, match="hold_by_one_at_most"), transaction.atomic():
        PriceHold.objects.create(
            instrument_id=BTC, number=1, by=ann, by_client=client_of(firm), at=clock.now(), bid=1, ask=1
        )
