"""GET /api/transactions: what came to and left each of a customer's accounts adds up to what the accounts show."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from django.test import Client

from accounts.ledger import AVAILABLE, LEAVING, MARGIN, SETTLING
from quotes.quoting import FeeTerms
from tests.caller import Api, a_firm, code
from tests.given import a_customer, a_cut, a_payment, a_settling_buy, a_trade, balance, btc, btc_at, token_of
from tests.trades.corrections.staff import a_completed_batch
from tests.trades.engine_steps import opens

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/transactions"
TYPES = (AVAILABLE, SETTLING, LEAVING, MARGIN)


def test_the_movements_add_up_to_the_balances_in_every_asset() -> None:
    btc_at("60000")
    alice, bob = a_customer("alice", with_usd="100000"), a_customer("bob", with_usd="100000")
    a_settling_buy(alice, btc("0.1"))
    a_completed_batch()
    a_settling_buy(alice, btc("0.2"))
    a_trade(alice, "sell", deliver=btc("0.05"), fees=FeeTerms(Decimal(10)))  # whose fee never was the customer's
    a_payment(alice, "withdrawal", 100)
    opens(alice)
    a_settling_buy(bob, btc("0.1"))

    answer = a_firm().get(PATH, customer_guid=alice.pk.hex, per_page="100")[1]

    assert answer["total"] == len(answer["objects"]) > 8
    assert all(any(moved[type_] for type_ in TYPES) for moved in answer["objects"])
    sums: Counter[tuple[str, str]] = Counter()
    for moved in answer["objects"]:
        assert moved["customer_guid"] == alice.pk.hex
        for type_ in TYPES:
            sums[moved["asset"], type_] += moved[type_]
    assert {at: sum_ for at, sum_ in sums.items() if sum_} == {
        (asset, type_): held
        for asset in ("USD", "BTC")
        for type_ in TYPES
        if (held := int(balance(alice, type_, asset)))
    }
    assert [one["guid"] for one in answer["objects"]] == sorted(
        (one["guid"] for one in answer["objects"]), reverse=True
    )


def test_filters_pages_and_one_movement() -> None:
    btc_at("60000")
    alice = a_customer("alice", with_usd="100000")
    trade = a_settling_buy(alice, btc("0.1"))
    a_cut()
    api = Api(token_of(alice))

    (deposit,) = api.get(PATH, kind="deposit")[1]["objects"]
    assert (deposit["available"], deposit["settling"], deposit["asset"]) == (10_000_000, 0, "USD")
    assert api.get(f"{PATH}/{deposit['guid']}")[1] == deposit
    (received,) = api.get(PATH, asset="BTC")[1]["objects"]
    assert (received["kind"], received["settling"], received["available"]) == ("trade_receive", 10_000_000, 0)
    assert received["subject_guid"] == trade.pk.hex
    assert api.get(PATH, subject_guid=trade.pk.hex, per_page="1")[1]["total"] > 1
    assert api.get(PATH, created_at_lt="2020-01-01T00:00:00Z")[1]["total"] == 0
    first, second = (api.get(PATH, per_page="1", page=page)[1]["objects"] for page in "01")
    assert first[0]["guid"] > second[0]["guid"]


def test_a_firms_client_names_a_customer_and_nobody_sees_somebody_elses() -> None:
    alice, mallory = a_customer("alice", with_usd="10"), a_customer("mallory")
    firm, thief = a_firm(), Api(token_of(mallory))
    (deposit,) = firm.get(PATH, customer_guid=alice.pk.hex)[1]["objects"]

    assert code(firm.get(PATH)) == (400, "invalid_parameter")
    assert code(firm.get(PATH, asset="USD")) == (400, "invalid_parameter")
    assert thief.get(PATH, customer_guid=alice.pk.hex)[1]["total"] == 0
    assert thief.get(f"{PATH}/{deposit['guid']}") == thief.get(f"{PATH}/{'0' * 32}")
    assert code(a_firm(frozenset({"trades:read"})).get(PATH, customer_guid=alice.pk.hex)) == (403, "invalid_scope")


def test_a_page_costs_the_same_queries_however_many_rows(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    alice = a_customer("alice", with_usd="10")
    for _ in range(5):
        a_payment(alice, "withdrawal", 10)
    http: Client = Api(token_of(alice)).http
    http.get(PATH)
    with django_assert_max_num_queries(6):
        assert http.get(PATH).status_code == 200
