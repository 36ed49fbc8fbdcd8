"""Every answer of /api/quotes and /api/trades that isn't the happy one, and the shape of the happy ones."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from accounts import services, streams, tokens
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES
from accounts.models import Customer
from quotes import prices, symbols
from quotes.models import Instrument, Quote
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.given import (
    a_customer,
    a_cut,
    a_quote,
    a_settling_buy,
    a_trade,
    btc,
    btc_at,
    executes,
    exits,
    price_at,
    stores,
    token_of,
    usd,
)
from trades.models import Trade

pytestmark = pytest.mark.django_db

SEED_QUOTE_KEYS = {
    "created_at",
    "updated_at",
    "guid",
    "product_type",
    "customer_guid",
    "symbol",
    "side",
    "receive_amount",
    "deliver_amount",
    "fee",
    "issued_at",
    "expires_at",
}
SEED_TRADE_KEYS = {
    "created_at",
    "updated_at",
    "guid",
    "trade_type",
    "customer_guid",
    "quote_guid",
    "symbol",
    "side",
    "state",
    "failure_code",
    "receive_amount",
    "deliver_amount",
    "fee",
    "reference_trade_guid",
    "labels",
}


@pytest.fixture
def firm() -> Api:
    return a_firm()


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00", "40_010.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def mine(alice: Customer) -> Api:
    """Alice's own token."""
    return Api(token_of(alice))


def a_wish(customer: Customer, **changed: Any) -> dict[str, Any]:
    wish = {"customer_guid": customer.pk.hex, "symbol": "BTC-USD", "side": "buy", "receive_amount": 100_000}
    return {name: value for name, value in {**wish, **changed}.items() if value is not ...}


# --- the shapes of the page ------------------------------------------------------------------------


def test_an_exit_quote_and_an_exit_trade_have_the_keys_of_the_page(firm, alice):
    bought = a_settling_buy(alice, btc("0.1"))
    asked = {"product_type": "trading_exit", "customer_guid": alice.pk.hex, "reference_trade_guid": bought.pk.hex}

    status, quote = firm.post("/api/quotes", asked)
    assert status == 201
    assert set(quote) - SEED_QUOTE_KEYS == {"asset", "reference_trade_guid"}
    assert set(quote) >= SEED_QUOTE_KEYS
    assert (quote["side"], quote["deliver_amount"], quote["receive_amount"]) == ("sell", btc("0.1"), usd("3990.00"))
    assert quote["issued_at"].endswith("Z")
    assert len(quote["expires_at"]) == len("2026-01-01T00:00:00.000Z")

    status, trade = firm.post("/api/trades", {"trade_type": "exit", "quote_guid": quote["guid"]})
    assert status == 201
    assert set(trade) == SEED_TRADE_KEYS
    assert (trade["state"], trade["failure_code"], trade["labels"]) == ("storing", None, None)
    assert trade["reference_trade_guid"] == bought.pk.hex


def test_both_slash_forms_answer(firm, alice):
    assert firm.post("/api/quotes/", a_wish(alice))[0] == 201
    guid = a_trade(alice, receive=1000).pk.hex
    assert firm.get(f"/api/trades/{guid}/")[1] == firm.get(f"/api/trades/{guid}")[1]


def test_a_trader_needs_no_customer_guid_for_themselves(mine, alice):
    status, quote = mine.post("/api/quotes", a_wish(alice, customer_guid=...))

    assert (status, quote["customer_guid"]) == (201, alice.pk.hex)


def test_a_used_quote_says_which_trade_used_it(mine, alice):
    quote = a_quote(alice, receive=1000)
    assert "trade_guid" not in mine.get(f"/api/quotes/{quote.pk.hex}")[1]

    trade = executes(quote)

    assert mine.get(f"/api/quotes/{quote.pk.hex}")[1]["trade_guid"] == trade.pk.hex


FEES = [[], [{"type": "spread", "spread_fee": 0}], [{"type": "fixed", "fixed_fee": 1}], "none", {}, 0, False]


def a_customers_own(customer: Customer) -> Api:
    """What an API client gives to the customer's own device."""
    client, _ = services.create_api_client("partner", FIRM_SCOPES, timezone.now())
    return Api(tokens.customer_token(client.pk, customer.pk, CUSTOMER_SCOPES))


@pytest.mark.parametrize("fees", FEES)
def test_the_fee_is_the_firms_to_set(firm, mine, alice, fees):
    """Guard: `_leave_fees_to_the_firm`. An empty list from a trader's own token once made the fee 0."""
    bought = a_settling_buy(alice, btc("0.1"))
    leave = {"product_type": "trading_exit", "reference_trade_guid": bought.pk.hex, "customer_guid": alice.pk.hex}
    for own in (mine, a_customers_own(alice)):
        for wish in (a_wish(alice), leave, {"symbol": "DOGE"}):
            assert code(own.post("/api/quotes", wish | {"fees": fees})) == (403, "invalid_scope")
    assert Quote.objects.count() == 1  # the bought one's


def test_without_fees_a_trader_pays_the_instruments_own_and_the_firm_sets_another(firm, mine, alice):
    Instrument.objects.filter(pk="BTC-USD").update(fee_bps=35)
    symbols.forget()
    wish = a_wish(alice, receive_amount=btc("0.1"))

    fees = [own.post("/api/quotes", wish | {"fees": None})[1]["fee"] for own in (mine, a_customers_own(alice), firm)]
    assert fees == [usd("14.01")] * 3  # 0.35 % of 4,001.00, rounded up
    assert firm.post("/api/quotes", wish | {"fees": []})[1]["fee"] == 0
    symbols.forget()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"receive_amount": 10**38}, f"receive_amount must be a whole number of base units, at most {10**38 - 1}."),
        ({"receive_amount": 0}, "receive_amount must be a whole number of base units, at least 1."),
        (
            {"fees": [{"type": "spread", "spread_fee": 10_000}]},
            "spread_fee must be a whole number of hundredths of a percent, at most 9999.",
        ),
    ],
)
def test_an_amount_is_refused_for_what_is_wrong_with_it(firm, alice, changed, sentence):
    assert firm.post("/api/quotes", a_wish(alice, **changed))[1]["error_message"] == sentence


def test_a_key_that_stands_twice_makes_no_quote(firm, alice):
    body = json.dumps(a_wish(alice))[:-1] + ', "receive_amount": 1}'
    assert code(firm.post("/api/quotes", body)) == (400, "invalid_parameter")
    assert not Quote.objects.exists()


# --- quotes refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"symbol": ...},
        {"symbol": 7},
        {"symbol": "DOGE-USD"},
        {"symbol": "B" * 500},
        {"symbol": "BTC\x00USD"},
        {"side": "hold"},
        {"side": ...},
        {"side": None},
        {"product_type": "lottery"},
        {"product_type": ["trading"]},
        {"deliver_amount": 5},
        {"receive_amount": ...},
        {"receive_amount": 0},
        {"receive_amount": -5},
        {"receive_amount": 1.0},
        {"receive_amount": "1"},
        {"receive_amount": True},
        {"receive_amount": [1]},
        {"receive_amount": 10**38},
        {"customer_guid": ...},
        {"customer_guid": "alice"},
        {"customer_guid": 5},
        {"fees": "none"},
        {"fees": [{"type": "gift"}]},
        {"fees": [{"type": "spread", "spread_fee": 10_000}]},
        {"fees": [{"type": "spread", "spread_fee": 1}, {"type": "spread", "spread_fee": 2}]},
        {"fees": [{"type": "fixed", "fixed_fee": -1}]},
        {"fees": [{"type": "fixed"}]},
        {"fees": [{"type": ["fixed"]}]},
        {"product_type": "trading_exit", "reference_trade_guid": ...},
        {"product_type": "trading_exit", "reference_trade_guid": "x"},
    ],
)
def test_a_quote_that_nobody_could_mean_is_400(firm, alice, changed):
    assert code(firm.post("/api/quotes", a_wish(alice, **changed))) == (400, "invalid_parameter")
    assert not Quote.objects.exists()


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', '{"a": NaN}', '{"receive_amount": 1e400}', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_400(firm, alice, body):
    assert code(firm.post("/api/quotes", body)) == (400, "invalid_parameter")
    assert code(firm.post("/api/trades", body)) == (400, "invalid_parameter")


def test_a_product_that_is_not_offered_says_so(firm, alice):
    answer = firm.post("/api/quotes", {"product_type": "lightning_transfer", "asset": "BTC"})

    assert code(answer) == (422, "product_not_offered")


def test_there_is_no_quote_without_a_fresh_price(firm, alice):
    prices.forget()
    assert code(firm.post("/api/quotes", a_wish(alice))) == (422, "stale_price")

    price_at("BTC-USD", "40_000.00", at=timezone.now() - timedelta(seconds=60))
    assert code(firm.post("/api/quotes", a_wish(alice))) == (422, "stale_price")


def test_an_amount_that_comes_to_nothing_is_422(firm, alice):
    wish = a_wish(alice, receive_amount=..., deliver_amount=1)

    assert code(firm.post("/api/quotes", wish)) == (422, "amount_too_small")


def test_a_symbol_that_was_switched_off_is_422(firm, alice):
    Instrument.objects.filter(pk="BTC-USD").update(is_active=False)
    symbols.forget()

    assert code(firm.post("/api/quotes", a_wish(alice))) == (422, "symbol_not_traded")


def test_an_exit_quote_is_refused_in_the_same_words_whatever_is_wrong_with_the_reference(firm, alice):
    bob = a_customer("bob", with_usd="10_000.00")
    bought = a_settling_buy(alice, 100_000)
    sold = exits(a_settling_buy(alice, 100_000))
    bobs = a_settling_buy(bob, 100_000)
    stored = executes(a_quote(alice, receive=1000))

    answers = [
        firm.post(
            "/api/quotes",
            {"product_type": "trading_exit", "customer_guid": alice.pk.hex, "reference_trade_guid": reference},
        )
        for reference in (sold.pk.hex, bobs.pk.hex, stored.pk.hex, UNKNOWN)
    ]

    assert {code(answer) for answer in answers} == {(422, "invalid_reference_trade")}
    assert len({json.dumps(body) for _, body in answers}) == 1
    a_cut()
    asked = {"product_type": "trading_exit", "customer_guid": alice.pk.hex, "reference_trade_guid": bought.pk.hex}
    assert firm.post("/api/quotes", asked)[0] == 201  # batched or not


def test_a_frozen_customers_exit_quote_is_refused_as_the_exit_would_be(firm, alice):
    bought = a_settling_buy(alice, 100_000)
    asked = {"product_type": "trading_exit", "customer_guid": alice.pk.hex, "reference_trade_guid": bought.pk.hex}
    kept = firm.post("/api/quotes", asked)[1]
    Customer.objects.filter(pk=alice.pk).update(state="frozen")

    assert code(firm.post("/api/quotes", asked)) == (422, "customer_not_verified")
    _, trade = firm.post("/api/trades", {"trade_type": "exit", "quote_guid": kept["guid"]})
    stores(Trade.objects.get(pk=trade["guid"]))
    assert firm.get(f"/api/trades/{trade['guid']}")[1]["failure_code"] == "unsupported"


# --- trades refused --------------------------------------------------------------------------------


def test_a_quote_is_used_once(firm, alice):
    quote = a_quote(alice, receive=1000)
    assert firm.post("/api/trades", {"quote_guid": quote.pk.hex})[0] == 201

    assert code(firm.post("/api/trades", {"quote_guid": quote.pk.hex})) == (409, "data_exists")
    assert Trade.objects.count() == 1


def test_the_trade_type_must_fit_the_quotes_product(firm, alice):
    bought = a_settling_buy(alice, 100_000)
    plain = a_quote(alice, receive=1000)
    status, offer = firm.post(
        "/api/quotes",
        {"product_type": "trading_exit", "customer_guid": alice.pk.hex, "reference_trade_guid": bought.pk.hex},
    )
    assert status == 201

    assert firm.post("/api/trades", {"quote_guid": plain.pk.hex, "trade_type": "exit"})[0] == 422
    assert firm.post("/api/trades", {"quote_guid": offer["guid"]})[0] == 422
    assert Trade.objects.count() == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"quote_guid": ...},
        {"quote_guid": 5},
        {"quote_guid": "Z" * 32},
        {"trade_type": "gift"},
        {"trade_type": 1},
        {"labels": "one"},
        {"labels": [""]},
        {"labels": ["x" * 65]},
        {"labels": ["x"] * 9},
        {"labels": [1]},
        {"expected_error": "anything"},
        {"expected_error": {}},
    ],
)
def test_a_trade_that_nobody_could_mean_is_400(firm, alice, changed):
    body = {"quote_guid": a_quote(alice, receive=1000).pk.hex} | changed
    body = {name: value for name, value in body.items() if value is not ...}

    assert code(firm.post("/api/trades", body)) == (400, "invalid_parameter")
    assert not Trade.objects.exists()


def test_price_amounts_owner_and_state_are_not_the_callers_to_set(firm, alice):
    """Guard: a body's serializer, which gives a view the fields that it names and no other."""
    own = {"guid": UNKNOWN, "state": "completed", "created_at": "2020-01-01T00:00:00.000Z", "price": 1, "fee": 0}
    usual = firm.post("/api/quotes", a_wish(alice))[1]

    status, quote = firm.post("/api/quotes", a_wish(alice, expires_at="2099-01-01T00:00:00.000Z", **own))

    assert status == 201
    amounts = ("receive_amount", "deliver_amount", "fee")
    assert [quote[name] for name in amounts] == [usual[name] for name in amounts]
    assert (quote["guid"] == UNKNOWN, quote["expires_at"] < "2099", quote["created_at"] > "2021") == (False, True, True)

    owner = {"customer_guid": a_customer("bob").pk.hex, "deliver_amount": 1, "settled_at": own["created_at"]}
    status, trade = firm.post("/api/trades", {"quote_guid": quote["guid"], **owner, **own})

    assert status == 201
    assert (trade["state"], trade["customer_guid"], trade.get("settled_at")) == ("storing", alice.pk.hex, None)
    assert [trade[name] for name in amounts] == [usual[name] for name in amounts]
    assert trade["guid"] != UNKNOWN


def test_expected_error_works_in_the_sandbox_only(firm, alice, settings):
    settings.SANDBOX = False
    body = {"quote_guid": a_quote(alice, receive=1000).pk.hex, "expected_error": "non_sufficient_funds"}

    assert code(firm.post("/api/trades", body)) == (422, "sandbox_only")


# --- whose it is -----------------------------------------------------------------------------------


def test_somebody_elses_is_answered_in_the_bytes_of_unknown(mine, alice):
    bob = a_customer("bob", with_usd="10_000.00")
    quote, trade = a_quote(bob, receive=1000), a_settling_buy(bob, 100_000)

    assert mine.get(f"/api/quotes/{quote.pk.hex}") == mine.get(f"/api/quotes/{UNKNOWN}")
    assert mine.get(f"/api/trades/{trade.pk.hex}") == mine.get(f"/api/trades/{UNKNOWN}")
    assert mine.post("/api/trades", {"quote_guid": quote.pk.hex}) == mine.post("/api/trades", {"quote_guid": UNKNOWN})
    assert mine.post("/api/quotes", a_wish(bob)) == mine.post("/api/quotes", {**a_wish(bob), "customer_guid": UNKNOWN})
    assert code(mine.get(f"/api/trades/{trade.pk.hex}")) == (404, "not_found")
    assert mine.get("/api/trades")[1]["total"] == mine.get("/api/trades", customer_guid=bob.pk.hex)[1]["total"] == 0


@pytest.mark.parametrize("guid", ["x", "Z" * 32, "0" * 33, "%ff%fe", "é"])
def test_a_path_that_is_no_guid_is_404(firm, alice, guid):
    for path in ("quotes", "trades", "settlement_batches"):
        assert code(firm.get(f"/api/{path}/{guid}")) == (404, "not_found")


def test_each_endpoint_asks_for_its_scope(alice):
    nobody = a_firm(frozenset({"customers:read"}))

    for path in ("quotes", "trades", "symbols", "prices", "settlement_batches"):
        assert code(nobody.get(f"/api/{path}")) == (403, "invalid_scope")
    for path in ("quotes", "trades", "settlement_batches", f"settlement_batches/{UNKNOWN}/confirm"):
        assert code(nobody.post(f"/api/{path}")) == (403, "invalid_scope")
    assert code(Api("nonsense").get("/api/trades")) == (401, "unauthorized")


def test_a_traders_token_reaches_no_settlement(mine, alice):
    assert code(mine.get("/api/settlement_batches")) == (403, "invalid_scope")
    assert code(mine.post("/api/settlement_batches")) == (403, "invalid_scope")


# --- lists -----------------------------------------------------------------------------------------


def test_lists_filter_by_everything_the_contract_names(firm, alice):
    bought = a_settling_buy(alice, 100_000)
    sold = exits(bought)
    poor = a_trade(alice, receive=btc("900"))
    Trade.objects.filter(pk=bought.pk).update(labels=["gift", "first"])
    between = (sold.created_at + (poor.created_at - sold.created_at) / 2).isoformat()

    def found(**query: str) -> list[str]:
        status, page = firm.get("/api/trades", **query)
        assert status == 200, page
        assert page["total"] == len(page["objects"])
        return [one["guid"] for one in page["objects"]]

    everything = [poor.pk.hex, sold.pk.hex, bought.pk.hex]
    assert found() == everything
    assert found(guid=f"{bought.pk.hex},{sold.pk.hex}") == everything[1:]
    assert found(state="failed") == [poor.pk.hex]
    assert found(state="settling,storing") == everything[1:]
    assert found(side="sell") == [sold.pk.hex]
    assert found(trade_type="exit") == [sold.pk.hex]
    assert found(label="gift,other") == [bought.pk.hex]
    assert found(symbol="BTC-USD") == everything
    assert found(symbol="ETH-USD") == []
    assert found(customer_guid=alice.pk.hex) == everything
    assert found(created_at_gte=between) == [poor.pk.hex]
    assert found(created_at_lt=between) == everything[1:]
    assert found(updated_at_gte="2026-01-01T00:00:00.0000000Z") == everything
    assert found(account_guid=alice.ledger_accounts.get(asset="USD", type="available").pk.hex) == everything
    assert found(account_guid=UNKNOWN) == []


@pytest.mark.parametrize(
    "query",
    [
        {"state": "gone"},
        {"guid": "x"},
        {"created_at_gte": "yesterday"},
        {"page": "-1"},
        {"per_page": "0"},
        {"per_page": "101"},
        {"label": "\x00"},
        {"symbol": "\x00"},
        {"account_guid": "y"},
    ],
)
def test_a_filter_that_nobody_could_mean_is_400(firm, alice, query):
    assert code(firm.get("/api/trades", **query)) == (400, "invalid_parameter")


def test_trades_are_found_by_quote_by_original_and_by_what_they_failed_of(firm, alice):
    bought = a_settling_buy(alice, btc("0.1"))
    sold = exits(bought)
    poor = a_trade(alice, receive=btc("900"))

    def found(**query: str) -> list[str]:
        return [one["guid"] for one in firm.get("/api/trades", **query)[1]["objects"]]

    assert found(quote_guid=bought.quote_id.hex) == [bought.pk.hex]
    assert found(reference_trade_guid=bought.pk.hex) == [sold.pk.hex]
    assert found(failure_code="non_sufficient_funds") == [poor.pk.hex]
    assert found(bank_guid=settings.BANK_GUID) == found()
    assert found(bank_guid=UNKNOWN) == []


@pytest.mark.parametrize("path", ["quotes", "trades", "customers", "accounts", "assets", "settlement_batches"])
@pytest.mark.parametrize("unknown", ["status", "State", "limit", "customer"])
def test_a_filter_that_does_not_exist_is_400_and_names_those_that_do(firm, path, unknown):
    answer = firm.get(f"/api/{path}", **{unknown: "x"})

    assert code(answer) == (400, "invalid_parameter")
    assert answer[1]["error_message"].startswith(f"Unknown parameter {unknown}; there are page, per_page, ")


SENT_BY_THE_SDK = {
    "quotes": "page per_page guid product_type bank_guid customer_guid side",
    "trades": "page per_page guid bank_guid customer_guid account_guid state side label created_at_gte created_at_lt"
    " updated_at_gte updated_at_lt",
    "customers": "page per_page type bank_guid guid label",
    "accounts": "page per_page owner guid type bank_guid customer_guid label",
    "assets": "page per_page code",
}


@pytest.mark.parametrize("path", SENT_BY_THE_SDK)
def test_every_filter_that_the_published_client_can_send_exists(firm, path):
    names = SENT_BY_THE_SDK[path].split()
    message = firm.get(f"/api/{path}", nothing="x")[1]["error_message"]
    assert set(names) <= set(re.findall(r"\w+", message))


def test_a_page_of_trades_costs_the_same_queries_however_long_it_is(firm, alice, django_assert_max_num_queries):
    for _ in range(5):
        a_settling_buy(alice, 1000)

    with django_assert_max_num_queries(5):
        assert len(firm.get("/api/trades")[1]["objects"]) == 5
    with django_assert_max_num_queries(5):
        assert len(firm.get("/api/quotes")[1]["objects"]) == 5


# --- symbols and prices ----------------------------------------------------------------------------


def test_prices_are_a_bare_array_in_counter_base_units_and_leave_out_what_is_stale(firm, alice):
    price_at("EUR-USD", "1.08745", "1.08755")
    price_at("SOL-USD", "98.00", at=timezone.now() - timedelta(seconds=60))

    status, listed = firm.get("/api/prices")
    assert status == 200
    assert {one["symbol"]: (one["buy_price"], one["sell_price"]) for one in listed} == {
        "BTC-USD": (usd("40_010.00"), usd("40_000.00")),
        "EUR-USD": (109, 108),
    }
    assert [one["symbol"] for one in firm.get("/api/prices", symbol="EUR-USD,SOL-USD")[1]] == ["EUR-USD"]
    assert code(firm.get("/api/prices", symbol="\x00")) == (400, "invalid_parameter")
    in_dollars = ["BTC-USD", "ETH-USD", "EUR-USD", "GBP-USD", "SOL-USD", "XAU-USD"]
    assert firm.get("/api/symbols")[1] == sorted([*in_dollars, "ETH-BTC", "EUR-GBP", "USD-JPY"])


# --- settlement batches ----------------------------------------------------------------------------


def test_a_batch_is_cut_shown_confirmed_and_can_not_be_cancelled_after(firm, alice):
    assert code(firm.post("/api/settlement_batches")) == (422, "nothing_to_cut")
    bought = a_settling_buy(alice, btc("0.1"))

    status, batch = firm.post("/api/settlement_batches")
    assert (status, batch["state"], batch["trades_count"], batch["window"]) == (201, "cut", 1, None)
    path = f"/api/settlement_batches/{batch['guid']}"
    assert firm.get(path)[1] == batch
    assert firm.get("/api/settlement_batches", state="cut")[1]["objects"] == [batch]
    assert [one["guid"] for one in firm.get(f"{path}/trades")[1]["objects"]] == [bought.pk.hex]
    legs = {one["asset"]: (one["direction"], one["expected"]) for one in firm.get(f"{path}/legs")[1]["objects"]}
    assert legs == {"BTC": ("incoming", btc("0.1")), "USD": ("outgoing", usd("4_001.00"))}

    assert code(firm.post(f"{path}/confirm")) == (422, "maker_is_checker")
    another = a_firm()
    assert another.post(f"{path}/confirm")[1]["state"] == "confirmed"
    assert code(another.post(f"{path}/confirm")) == (422, "batch_state")
    assert code(firm.post(f"{path}/cancel")) == (422, "maker_is_checker")
    assert another.post(f"{path}/cancel")[1]["state"] == "cancelled"
    assert code(firm.post(f"{path}/confirm")) == (422, "batch_state")
    assert firm.get(f"{path}/trades")[1]["objects"] == []
    for action in ("confirm", "cancel", "legs", "left_out", "trades"):
        call = firm.post if action in ("confirm", "cancel") else firm.get
        assert code(call(f"/api/settlement_batches/{UNKNOWN}/{action}")) == (404, "not_found")


def test_without_redis_a_quote_is_503(firm, alice, monkeypatch):
    away = streams.redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    with monkeypatch.context() as patch:
        patch.setattr(streams, "client", lambda: away)
        answer = firm.post("/api/quotes", a_wish(alice))

    assert code(answer) == (503, "unavailable")
