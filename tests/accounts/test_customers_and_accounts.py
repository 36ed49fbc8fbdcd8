"""Customers, accounts and assets as the published Python client reads them; lists, filters, and whose is whose."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest
from cybrid_api_bank.api_client import ApiClient
from cybrid_api_bank.model.account import Account
from cybrid_api_bank.model.account_list import AccountList
from cybrid_api_bank.model.asset_list import AssetList
from cybrid_api_bank.model.customer import Customer as SDKCustomer
from cybrid_api_bank.model.customer_list import CustomerList
from cybrid_api_bank.model.error_response import ErrorResponse
from django.conf import settings
from django.utils import timezone

from accounts import ledger, services
from accounts.ledger import Movement
from accounts.models import Customer
from accounts.services import NewCustomer
from accounts.timestamps import parse_timestamp
from tests.accounts.calls import Answer, Api, the_firm
from tests.given import a_customer, deposit, token_of

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def read_by_the_sdk(answer: Answer, kind: type):
    """What the published client makes of an answer, with its type checks on."""
    return ApiClient().deserialize(SimpleNamespace(data=answer.raw.decode()), (kind,), True)


def partners_customers(count: int) -> list[Customer]:
    return services.open_customers([NewCustomer(name=f"customer {n}") for n in range(count)], NOW)


def guids_of(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [found["guid"] for found in answer.body["objects"]]


# --- customers -------------------------------------------------------------------------------------


def test_a_partner_makes_a_customer_and_reads_it_back():
    firm = the_firm()

    made = firm.post(
        "/api/customers", {"type": "individual", "name": {"first": "Ada", "last": "Lovelace"}, "labels": ["vip"]}
    )
    read = firm.get(f"/api/customers/{made.body['guid']}")

    assert made.status == 201
    assert (made.body["type"], made.body["state"]) == ("individual", "storing")
    assert (made.body["name"]["full"], made.body["labels"]) == ("Ada Lovelace", ["vip"])
    assert (read.status, read.body["guid"]) == (200, made.body["guid"])
    assert read_by_the_sdk(read, SDKCustomer).bank_guid == settings.BANK_GUID
    assert read_by_the_sdk(firm.get("/api/customers"), CustomerList).total == 1


def test_a_customer_without_a_name_leaves_it_out():
    made = the_firm().post("/api/customers", {"type": "business"})

    assert made.status == 201
    assert "name" not in made.body
    assert read_by_the_sdk(made, SDKCustomer).type == "business"


@pytest.mark.parametrize(
    "body",
    [{}, [], "x", 7, None, {"type": "robot"}, {"type": 1}, {"type": ["individual"]},
     {"type": "individual", "name": "Ada"}, {"type": "individual", "name": {"first": 7}},
     {"type": "individual", "name": {"full": "x" * 201}}, {"type": "individual", "labels": "vip"},
     {"type": "individual", "labels": [""]}, {"type": "individual", "labels": ["x" * 65]},
     {"type": "individual", "labels": ["x"] * 9}, {"type": "individual", "labels": [True]}],
)  # fmt: skip
def test_an_invalid_customer_is_400_and_none_is_made(body):
    answer = the_firm().post("/api/customers", body)

    assert (answer.status, answer.body["message_code"]) == (400, "invalid_parameter")
    assert read_by_the_sdk(answer, ErrorResponse).status == 400
    assert not Customer.objects.exists()


def test_state_and_owner_are_not_the_callers_to_set():
    made = the_firm().post("/api/customers", {"type": "individual", "state": "frozen", "guid": "0" * 32, "user": 1})

    assert made.body["state"] == "storing"
    assert made.body["guid"] != "0" * 32


def test_a_balance_is_not_the_callers_to_set():
    firm, [customer] = the_firm(), partners_customers(1)
    wanted = {"type": "trading", "asset": "BTC", "customer_guid": customer.pk.hex, "name": "coins"}
    own = {"platform_balance": 10**9, "platform_available": 10**9, "state": "x", "guid": "0" * 32}

    made = firm.post("/api/accounts", wanted | own)

    assert (made.status, made.body["platform_balance"], made.body["platform_available"]) == (201, 0, 0)
    assert (made.body["state"], made.body["guid"] == "0" * 32) == ("created", False)


def test_a_trader_sees_themselves_alone():
    alice = a_customer("alice")
    partners_customers(3)

    assert guids_of(Api(token_of(alice)).get("/api/customers")) == [alice.pk.hex]


# --- accounts --------------------------------------------------------------------------------------


def test_a_partner_opens_accounts_for_a_customer():
    firm, [customer] = the_firm(), partners_customers(1)
    wanted = {"type": "trading", "asset": "BTC", "customer_guid": customer.pk.hex, "name": "coins"}

    made = firm.post("/api/accounts", wanted)

    assert made.status == 201
    account = read_by_the_sdk(made, Account)
    assert (account.type, account.asset, account.name, account.state) == ("trading", "BTC", "coins", "created")
    assert (account.platform_balance, account.platform_available) == (0, 0)
    assert guids_of(firm.get("/api/accounts", customer_guid=customer.pk.hex)) == [made.body["guid"]]
    again = firm.post("/api/accounts", wanted)
    assert (again.status, again.body["message_code"]) == (409, "data_exists")


def test_an_account_that_money_opened_by_itself_is_given_its_name():
    firm, [customer] = the_firm(), partners_customers(1)
    deposit(customer, "USD", "12.34")
    assert firm.get("/api/accounts").body["objects"][0]["name"] == "US dollar"

    made = firm.post(
        "/api/accounts", {"type": "fiat", "asset": "USD", "customer_guid": customer.pk.hex, "name": "savings"}
    )

    assert (made.status, made.body["name"], made.body["platform_available"]) == (201, "savings", 1234)


def test_the_balance_is_what_is_available_and_what_is_settling_but_not_margin():
    alice = a_customer("alice", with_usd="100.00")
    cash = ledger.customers(alice.pk, "USD", ledger.AVAILABLE)
    for type_, amount in ((ledger.SETTLING, 30_00), (ledger.MARGIN, 20_00)):
        there = ledger.customers(alice.pk, "USD", type_)
        ledger.post([Movement(cash, there, amount, "order_margin", type_, alice.pk, None, NOW)])

    [account] = read_by_the_sdk(Api(token_of(alice)).get("/api/accounts"), AccountList).objects

    assert (account.platform_balance, account.platform_available) == (80_00, 50_00)


def test_amounts_beyond_64_bits_are_integers_to_the_client():
    alice = a_customer("alice")
    deposit(alice, "ETH", "12345678901234.000000000000000001")

    answer = Api(token_of(alice)).get("/api/accounts", asset="ETH")

    assert b'"platform_available":12345678901234000000000000000001,' in answer.raw
    assert read_by_the_sdk(answer, AccountList).objects[0].platform_available == 12345678901234000000000000000001


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"type": "fiat", "asset": "BTC"}, 422, "account_type_mismatch"),
        ({"type": "trading", "asset": "USD"}, 422, "account_type_mismatch"),
        ({"asset": "DOGE"}, 400, "invalid_parameter"),
        ({"asset": "B" * 50}, 400, "invalid_parameter"),
        ({"asset": None}, 400, "invalid_parameter"),
        ({"asset": 7}, 400, "invalid_parameter"),
        ({"name": ""}, 400, "invalid_parameter"),
        ({"name": "n" * 129}, 400, "invalid_parameter"),
        ({"type": "fee"}, 400, "invalid_parameter"),
        ({"customer_guid": None}, 400, "invalid_parameter"),
        ({"customer_guid": "no guid"}, 400, "invalid_parameter"),
        ({"customer_guid": 5}, 400, "invalid_parameter"),
        ({"customer_guid": "0" * 32}, 404, "not_found"),
    ],
)
def test_an_account_that_cannot_be_opened_says_why(change, status, code):
    [customer] = partners_customers(1)
    wanted = {"type": "trading", "asset": "BTC", "customer_guid": customer.pk.hex, "name": "coins"}

    answer = the_firm().post("/api/accounts", wanted | change)

    assert (answer.status, answer.body["message_code"]) == (status, code)


def test_a_trader_opens_an_account_for_themselves_and_for_nobody_else():
    alice, bob = a_customer("alice"), a_customer("bob")
    api = Api(token_of(alice))

    own = api.post("/api/accounts", {"type": "trading", "asset": "ETH", "name": "mine"})
    other = api.post("/api/accounts", {"type": "trading", "asset": "ETH", "name": "x", "customer_guid": bob.pk.hex})

    assert (own.status, own.body["customer_guid"]) == (201, alice.pk.hex)
    assert other.status == 404


# --- whose is whose --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["customers", "accounts"])
def test_somebody_elses_guid_is_answered_with_the_bytes_of_an_unknown_one(kind):
    alice, bob = a_customer("alice"), a_customer("bob")
    bobs = bob.pk.hex if kind == "customers" else bob.ledger_accounts.get(type="available").pk.hex
    api = Api(token_of(alice))

    answers = [api.get(f"/api/{kind}/{guid}") for guid in (bobs, uuid.uuid4().hex)]

    assert {answer.status for answer in answers} == {404}
    assert len({answer.raw for answer in answers}) == 1
    assert guids_of(api.get(f"/api/{kind}", guid=bobs)) == []
    assert the_firm().get(f"/api/{kind}/{bobs}").status == 200


def test_an_account_that_is_not_for_show_is_unknown():
    alice = a_customer("alice", with_usd="1.00")
    margin = alice.ledger_accounts.get(type="margin").pk.hex

    assert the_firm().get(f"/api/accounts/{margin}").status == 404


@pytest.mark.parametrize("guid", ["x", "0" * 31, "A" * 32, "%ED%A0%80", "..", "0" * 33, "é" * 32])
def test_what_is_not_a_guid_names_nothing(guid):
    for kind in ("customers", "accounts"):
        assert the_firm().get(f"/api/{kind}/{guid}").status == 404


# --- lists -----------------------------------------------------------------------------------------


def test_a_list_is_newest_first_and_its_pages_make_the_whole():
    made = [customer.pk.hex for customer in partners_customers(25)]
    firm = the_firm()

    first = firm.get("/api/customers")
    pages = [firm.get("/api/customers", page=str(n), per_page="10") for n in range(4)]

    assert {name: first.body[name] for name in ("total", "page", "per_page")} == {
        "total": 25,
        "page": 0,
        "per_page": 10,
    }
    assert [guid for page in pages for guid in guids_of(page)] == made[::-1]
    assert [len(page.body["objects"]) for page in pages] == [10, 10, 5, 0]


@pytest.mark.parametrize("kind", ["customers", "accounts"])
def test_a_longer_page_asks_no_further_questions(kind, django_assert_num_queries):
    for _ in range(12):
        a_customer()
    firm = the_firm()

    for per_page in ("2", "100"):
        with django_assert_num_queries(4):  # whose token; the ids, the rows, the total
            answer = firm.get(f"/api/{kind}", per_page=per_page)
    assert answer.body["total"] == 12


def test_filters_take_several_values_and_narrow_together():
    first, second, third = partners_customers(3)
    Customer.objects.filter(pk=third.pk).update(labels=["vip", "eu"], type="business")
    firm = the_firm()

    assert guids_of(firm.get("/api/customers", guid=f"{first.pk.hex},{third.pk.hex}")) == [third.pk.hex, first.pk.hex]
    assert guids_of(firm.get("/api/customers", label="us,eu")) == [third.pk.hex]
    assert guids_of(firm.get("/api/customers", type="business", guid=second.pk.hex)) == []
    assert guids_of(firm.get("/api/customers", bank_guid=settings.BANK_GUID, type="business")) == [third.pk.hex]
    assert guids_of(firm.get("/api/customers", bank_guid="0" * 32)) == []
    assert firm.get("/api/customers", guid="").body["error_message"] == "guid is blank."  # it would be everybody


def test_accounts_are_filtered_by_what_they_hold_and_whose_they_are():
    alice, bob = a_customer("alice", with_usd="1.00"), a_customer("bob")
    deposit(alice, "BTC", "1")
    firm = the_firm()

    assert firm.get("/api/accounts", type="trading").body["objects"][0]["asset"] == "BTC"
    assert firm.get("/api/accounts", type="fiat").body["total"] == 2
    assert firm.get("/api/accounts", type="fiat,trading", owner="customer").body["total"] == 3
    assert firm.get("/api/accounts", owner="bank").body["total"] == 0
    assert firm.get("/api/accounts", customer_guid=bob.pk.hex).body["total"] == 1


@pytest.mark.parametrize(
    "query",
    [{"page": "-1"}, {"page": "x"}, {"page": "1.0"}, {"page": "1" * 12}, {"page": "²"}, {"per_page": "0"},
     {"per_page": "101"}, {"guid": "x"}, {"guid": "0" * 32 + ","}, {"guid": ",".join(["0" * 32] * 101)},
     {"type": "robot"}, {"label": "x" * 65}, {"label": "a\x00"}, {"bank_guid": "mine"},
     {"state": "verified,gone"}],
)  # fmt: skip
def test_an_invalid_parameter_is_400(query):
    answer = the_firm().get("/api/customers", **query)

    assert (answer.status, answer.body["message_code"]) == (400, "invalid_parameter")


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00.1234567Z", "2026-01-31T12:00:00.123456+00:00"),
        ("2026-01-31T12:00:00.5+02:00", "2026-01-31T10:00:00.500000+00:00"),
        ("2026-01-31T12:00:00-0530", "2026-01-31T17:30:00+00:00"),
        ("2026-01-31T12:00:00 02:00", None),
        ("2026-01-31T12:00", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-02-30", None),
        ("0001-01-01T00:00:00+05:00", None),
        ("9999-12-31T23:59:59-05:00", None),
        ("yesterday", None),
        ("1769860800", None),
        ("2026-01-31T25:00:00Z", None),
        ("٢٠٢٦-01-31", None),
    ],
)
def test_a_time_is_read_with_seven_digits_and_any_offset(text, means):
    moment = parse_timestamp(text)

    assert (moment and moment.isoformat()) == means


def test_assets_are_public_and_say_their_decimals():
    answer = Api().get("/api/assets", per_page="100")

    assets = {asset.code: asset.decimals for asset in read_by_the_sdk(answer, AssetList).objects}
    assert {"USD": 2, "BTC": 8, "ETH": 18}.items() <= assets.items()
    assert [a["code"] for a in Api().get("/api/assets", code="BTC,USD").body["objects"]] == ["BTC", "USD"]
