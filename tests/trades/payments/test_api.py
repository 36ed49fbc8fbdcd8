"""/api/transfers and the quotes for them: shapes, refusals, filters, and whose money it is."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from accounts.models import Customer, LedgerAccount
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.given import a_customer, a_payment, balance, btc_at, token_of, usd
from trades.models import Payment
from trades.payments.carry import carry

pytestmark = pytest.mark.django_db


@pytest.fixture
def firm() -> Api:
    return a_firm()


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


@pytest.fixture
def mine(alice: Customer) -> Api:
    return Api(token_of(alice))


def a_wish(customer: Customer, **changed: Any) -> dict[str, Any]:
    wish = {"product_type": "funding", "customer_guid": customer.pk.hex, "asset": "USD", "side": "deposit"}
    return {name: value for name, value in {**wish, "deliver_amount": 25_000, **changed}.items() if value is not ...}


def quoted(api: Api, customer: Customer, **changed: Any) -> str:
    status, quote = api.post("/api/quotes", a_wish(customer, **changed))
    assert status == 201, quote
    return str(quote["guid"])


def test_a_funding_quote_has_what_it_comes_to_and_no_symbol(firm: Api, alice: Customer) -> None:
    fees = [{"type": "spread", "spread_fee": 50}, {"type": "fixed", "fixed_fee": 25}]
    status, quote = firm.post("/api/quotes", a_wish(alice, fees=fees))

    assert status == 201
    assert set(quote) == {
        *("created_at", "updated_at", "guid", "product_type", "customer_guid", "side", "asset"),
        *("receive_amount", "deliver_amount", "fee", "issued_at", "expires_at"),
    }
    assert (quote["deliver_amount"], quote["receive_amount"], quote["fee"]) == (25_000, 24_850, 150)
    given = firm.post("/api/quotes", a_wish(alice, fees=fees, deliver_amount=..., receive_amount=24_850))[1]
    assert (given["deliver_amount"], given["receive_amount"], given["fee"]) == (25_000, 24_850, 150)


def test_a_deposit_from_quote_to_balance(firm: Api, alice: Customer) -> None:
    quote = quoted(firm, alice)

    status, made = firm.post(
        "/api/transfers", {"quote_guid": quote, "transfer_type": "funding", "labels": ["a"], "external_id": "mine-1"}
    )

    account = LedgerAccount.objects.get(customer=alice, type="available", asset="USD").pk.hex
    assert status == 201
    assert (made["state"], made["amount"], made["estimated_amount"], made["side"]) == (
        "storing",
        None,
        25_000,
        "deposit",
    )
    assert made["source_account"] == {"type": "external_bank_account", "customer_guid": alice.pk.hex}
    assert made["destination_account"] == {"guid": account, "type": "fiat", "customer_guid": alice.pk.hex}
    assert (made["bank_guid"], made["labels"], made["external_id"]) == (settings.BANK_GUID, ["a"], "mine-1")

    carry([Payment.objects.get().pk])
    done = firm.get(f"/api/transfers/{made['guid']}")[1]
    assert (done["state"], done["amount"], done["reference"]) == ("completed", 25_000, f"sandbox-{made['guid']}")
    assert firm.get(f"/api/quotes/{quote}")[1]["transfer_guid"] == made["guid"]
    assert balance(alice) == usd("1_250.00")


def test_the_balance_shows_what_is_leaving_until_it_has_left(firm: Api, alice: Customer) -> None:
    made = firm.post(
        "/api/transfers", {"quote_guid": quoted(firm, alice, side="withdrawal"), "transfer_type": "funding"}
    )[1]
    assert made["destination_account"]["type"] == "external_bank_account"

    def shown() -> tuple[int, int]:
        (row,) = firm.get("/api/accounts", customer_guid=alice.pk.hex)[1]["objects"]
        return row["platform_balance"], row["platform_available"]

    assert shown() == (100_000, 75_000)
    carry([Payment.objects.get().pk])
    assert shown() == (75_000, 75_000)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"asset": "XXX"}, (400, "invalid_parameter")),
        ({"asset": ...}, (400, "invalid_parameter")),
        ({"side": "buy"}, (400, "invalid_parameter")),
        ({"side": ...}, (400, "invalid_parameter")),
        ({"receive_amount": 1}, (400, "invalid_parameter")),
        ({"deliver_amount": ...}, (400, "invalid_parameter")),
        ({"deliver_amount": 0}, (400, "invalid_parameter")),
        ({"deliver_amount": "1"}, (400, "invalid_parameter")),
        ({"deliver_amount": 1, "fees": [{"type": "fixed", "fixed_fee": 1}]}, (422, "amount_too_small")),
        ({"deliver_amount": ..., "receive_amount": 10**38 - 1, "fees": [{"type": "fixed", "fixed_fee": 1}]},
         (422, "amount_out_of_range")),
        ({"customer_guid": UNKNOWN}, (404, "not_found")),
        ({"product_type": "crypto_transfer"}, (422, "product_not_offered")),
        ({"product_type": "inter_account"}, (422, "product_not_offered")),
        ({"product_type": "lightning_transfer"}, (422, "product_not_offered")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_quote_is_said(firm: Api, alice: Customer, changed: Any, said: tuple[int, str]) -> None:
    assert code(firm.post("/api/quotes", a_wish(alice, **changed))) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"quote_guid": UNKNOWN}, (404, "not_found")),
        ({"quote_guid": ...}, (400, "invalid_parameter")),
        ({"transfer_type": ...}, (400, "invalid_parameter")),
        ({"transfer_type": "gift"}, (400, "invalid_parameter")),
        ({"transfer_type": "crypto"}, (422, "transfer_not_offered")),
        ({"labels": ["x"] * 9}, (400, "invalid_parameter")),
        ({"expected_error": "nothing"}, (400, "invalid_parameter")),
    ],
)
def test_what_is_wrong_with_a_transfer_is_said(firm: Api, alice: Customer, changed: Any, said: tuple[int, str]) -> None:
    body = {"quote_guid": quoted(firm, alice), "transfer_type": "funding", **changed}

    assert code(firm.post("/api/transfers", {name: value for name, value in body.items() if value is not ...})) == said
    assert Payment.objects.count() == 0


def test_what_stands_in_the_way_is_said(firm: Api, alice: Customer) -> None:
    quote, out = quoted(firm, alice), quoted(firm, alice, side="withdrawal")
    body = {"quote_guid": quote, "transfer_type": "funding"}
    firm.post("/api/transfers", body)
    assert code(firm.post("/api/transfers", body)) == (409, "data_exists")
    assert code(firm.post("/api/trades", {"quote_guid": out})) == (422, "trade_type_mismatch")
    trading = {"customer_guid": alice.pk.hex, "symbol": "BTC-USD", "side": "buy", "receive_amount": 1000}
    btc_at("40_000.00")
    bought = firm.post("/api/quotes", trading)[1]["guid"]
    answer = firm.post("/api/transfers", {"quote_guid": bought, "transfer_type": "funding"})
    assert code(answer) == (422, "transfer_type_mismatch")

    Customer.objects.filter(pk=alice.pk).update(state="frozen")
    answer = firm.post("/api/transfers", {"quote_guid": out, "transfer_type": "funding"})
    assert code(answer) == (422, "customer_frozen")


def test_a_customers_token_moves_its_own_money_alone(firm: Api, alice: Customer, mine: Api) -> None:
    """Guards: `owner` of the viewset, `quote_of`."""
    bob = a_customer("bob", with_usd="1_000.00")
    theirs = quoted(firm, bob, side="withdrawal")
    done = a_payment(bob, "withdrawal", usd("1.00"))

    assert code(mine.post("/api/quotes", a_wish(bob))) == (404, "not_found")
    assert code(mine.post("/api/quotes", a_wish(alice, fees=[]))) == (403, "invalid_scope")
    answer = mine.post("/api/transfers", {"quote_guid": theirs, "transfer_type": "funding"})
    assert code(answer) == (404, "not_found")
    assert code(mine.get(f"/api/transfers/{done.pk.hex}")) == (404, "not_found")
    assert mine.get("/api/transfers", customer_guid=bob.pk.hex)[1]["total"] == 0

    own = {"quote_guid": quoted(mine, alice, customer_guid=...), "transfer_type": "funding"}
    assert mine.post("/api/transfers", own)[1]["customer_guid"] == alice.pk.hex
    assert mine.get("/api/transfers")[1]["total"] == 1


def test_each_scope_opens_its_own_calls(alice: Customer) -> None:
    reader, mover = a_firm(frozenset({"transfers:read"})), a_firm(frozenset({"transfers:execute"}))

    assert reader.get("/api/transfers")[0] == 200
    assert code(reader.post("/api/transfers", {})) == (403, "invalid_scope")
    assert code(mover.get("/api/transfers")) == (403, "invalid_scope")
    assert code(mover.post("/api/transfers", {})) == (400, "invalid_parameter")


def test_a_repeated_post_makes_one_payment(firm: Api, alice: Customer) -> None:
    body = {"quote_guid": quoted(firm, alice, side="withdrawal"), "transfer_type": "funding"}
    firm.http.defaults["HTTP_IDEMPOTENCY_KEY"] = "payout-1"

    first, again = firm.post("/api/transfers", body), firm.post("/api/transfers", body)

    assert first == again
    assert (Payment.objects.count(), balance(alice)) == (1, usd("750.00"))


def test_a_list_is_narrowed_by_each_filter(firm: Api, alice: Customer) -> None:
    bob = a_customer("bob")
    done = a_payment(alice, "deposit", usd("1.00"), labels=["first"], external_id="one")
    failed = a_payment(alice, "withdrawal", usd("1.00"), expected_error="reversed")
    theirs = a_payment(bob, "deposit", 7, asset="BTC")
    account = LedgerAccount.objects.get(customer=bob, type="available", asset="BTC").pk.hex

    def found(**query: str) -> list[str]:
        return [one["guid"] for one in firm.get("/api/transfers", **query)[1]["objects"]]

    assert found() == [theirs.pk.hex, failed.pk.hex, done.pk.hex]
    assert found(guid=f"{done.pk.hex},{theirs.pk.hex}") == [theirs.pk.hex, done.pk.hex]
    assert found(bank_guid=settings.BANK_GUID, customer_guid=bob.pk.hex) == [theirs.pk.hex]
    assert found(account_guid=account) == [theirs.pk.hex]
    assert found(quote_guid=done.quote_id.hex) == found(label="first") == found(external_id="one") == [done.pk.hex]
    assert found(asset="BTC") == [theirs.pk.hex]
    assert found(side="withdrawal") == found(state="failed") == found(failure_code="reversed") == [failed.pk.hex]
    assert found(transfer_type="book,crypto") == found(txn_hash="0xabc") == []
    assert len(found(transfer_type="funding", created_at_gte="2020-01-01T00:00:00Z")) == 3
    assert found(updated_at_lt="2020-01-01T00:00:00Z") == []
    assert code(firm.get("/api/transfers", colour="red")) == (400, "invalid_parameter")
