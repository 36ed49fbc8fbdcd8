"""Book transfers: money from one customer to another, at once or not at all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Customer, Transfer
from quotes.models import Quote
from quotes.quoting import FeeTerms
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.given import (
    a_customer,
    a_funding_quote,
    account_of,
    acting_for,
    balance,
    btc_at,
    moves_to,
    sends,
    token_of,
    usd,
    uses,
    what_the_audit_finds,
)
from tests.trades.engine_steps import opens
from tests.trades.payments.test_sandbox import steps_of
from trades.errors import AccountNotFound, AccountsDoNotFit, TransferTypeDoesNotFit
from trades.models import Payment
from trades.payments.carry import sweep

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


@pytest.fixture
def bob() -> Customer:
    return a_customer("bob", with_usd="1.00")


@pytest.fixture
def firm() -> Api:
    return a_firm()


def asks(api: Api, source: Customer, destination: Customer, **changed: Any) -> tuple[int, Any]:
    """A quote of 250.00 USD and its transfer, by API."""
    wish = {"product_type": "book_transfer", "customer_guid": source.pk.hex, "asset": "USD", "receive_amount": 25_000}
    status, quote = api.post("/api/quotes", wish)
    assert status == 201, quote
    body = {
        "quote_guid": quote["guid"],
        "transfer_type": "book",
        "source_account_guid": account_of(source).hex,
        "destination_account_guid": account_of(destination).hex,
        **changed,
    }
    return api.post("/api/transfers", {name: value for name, value in body.items() if value is not ...})


def moved(payment: Payment) -> list[tuple[str, int, str]]:
    rows = Transfer.objects.filter(subject=payment.pk).order_by("pk")
    return [(row.kind, int(row.amount), row.customer.name if row.customer else "") for row in rows]


def test_money_moves_at_once_and_both_see_it(firm: Api, alice: Customer, bob: Customer) -> None:
    """Guard: `payments_of` in `TransferViewSet.owned`."""
    status, made = asks(firm, alice, bob)

    assert status == 201
    assert (made["state"], made["side"], made["amount"], made["failure_code"]) == ("completed", "deposit", 25_000, None)
    assert made["source_account"] == {"guid": account_of(alice).hex, "type": "fiat", "customer_guid": alice.pk.hex}
    assert made["destination_account"] == {"guid": account_of(bob).hex, "type": "fiat", "customer_guid": bob.pk.hex}
    assert "reference" not in made
    assert (balance(alice), balance(bob)) == (usd("750.00"), usd("251.00"))
    payment = Payment.objects.get()
    assert steps_of(payment) == [("storing", ""), ("completed", "")]
    for customer in (alice, bob):
        theirs = Api(token_of(customer))
        assert theirs.get(f"/api/transfers/{made['guid']}") == (200, made)
        assert theirs.get("/api/transfers")[1]["total"] == 1
        for query in ({"customer_guid": customer.pk.hex}, {"account_guid": account_of(customer).hex}):
            assert firm.get("/api/transfers", **query)[1]["total"] == 1
        last = theirs.get("/api/v1/statement", limit="10")[1]["message"][-1]
        assert (last["kind"], last["amount"]) == (
            ("payment_sent", -250) if customer == alice else ("payment_received", 250)
        )
    assert Api(token_of(a_customer("eve"))).get("/api/transfers")[1]["total"] == 0
    assert sweep() == 0
    assert what_the_audit_finds() == []


def test_the_sender_pays_the_fee(alice: Customer, bob: Customer) -> None:
    payment = sends(alice, bob, usd("100.00"), fees=FeeTerms(Decimal(0), 75))

    assert moved(payment) == [
        ("payment_sent", usd("99.25"), alice.name),
        ("payment_received", usd("99.25"), bob.name),
        ("payment_fee", 75, alice.name),
    ]
    assert (balance(alice), balance(bob)) == (usd("900.00"), usd("100.25"))
    assert what_the_audit_finds() == []


def test_more_than_can_be_spent_fails_and_the_other_is_told_nothing(firm: Api, alice: Customer, bob: Customer) -> None:
    """Guards: `_covers` in `money.book`, the state in `payments_of`."""
    payment = sends(alice, bob, usd("1_000.01"))

    assert (payment.state, payment.failure_code, moved(payment)) == ("failed", "non_sufficient_funds", [])
    assert (balance(alice), balance(bob)) == (usd("1_000.00"), usd("1.00"))
    assert Api(token_of(alice)).get("/api/transfers")[1]["total"] == 1
    theirs = Api(token_of(bob))
    assert theirs.get("/api/transfers")[1]["total"] == 0
    assert code(theirs.get(f"/api/transfers/{payment.pk.hex}")) == (404, "not_found")
    for query in ({"customer_guid": bob.pk.hex}, {"account_guid": account_of(bob).hex}):
        assert firm.get("/api/transfers", **query)[1]["total"] == 0
    assert what_the_audit_finds() == []


def test_what_positions_have_lost_is_not_sent(alice: Customer, bob: Customer) -> None:
    """Guard: `beyond` in `money._covers`. 1,000.00 less 840.00 of margin less 100.00 lost leave 60.00."""
    btc_at("42_000.00")
    opens(alice, quantity="0.2", leverage=10)
    btc_at("41_500.00")

    assert sends(alice, bob, usd("60.01")).failure_code == "non_sufficient_funds"
    assert sends(alice, bob, usd("60.00")).state == "completed"


def test_it_fails_on_request_and_after_its_time(alice: Customer, bob: Customer) -> None:
    assert sends(alice, bob, usd("1.00"), expected_error="refused").failure_code == "refused"
    quote = a_funding_quote(alice, "deposit", usd("1.00"), product=Quote.Product.BOOK_TRANSFER)
    assert moves_to(bob, quote, at=quote.expires_at + timedelta(seconds=1)).failure_code == "expired"
    assert sends(alice, bob, 10**32 + 1).failure_code == "limit_exceeded"
    assert (balance(alice), what_the_audit_finds()) == (usd("1_000.00"), [])


@pytest.mark.parametrize("which", ["source", "destination"])
@pytest.mark.parametrize(("state", "said"), [("frozen", "customer_frozen"), ("unverified", "customer_not_verified")])
def test_nothing_moves_from_or_to_who_is_frozen_or_not_verified(
    firm: Api, alice: Customer, bob: Customer, which: str, state: str, said: str
) -> None:
    """Guards: both `refuse_to_pay_out` in `execute`."""
    quote = a_funding_quote(alice, "deposit", usd("1.00"), product=Quote.Product.BOOK_TRANSFER)
    who = alice if which == "source" else bob
    Customer.objects.filter(pk=who.pk).update(state=state)

    answer = firm.post(
        "/api/transfers",
        {
            "quote_guid": quote.pk.hex,
            "transfer_type": "book",
            "source_account_guid": account_of(alice).hex,
            "destination_account_guid": account_of(bob).hex,
        },
    )

    assert code(answer) == (422, said)
    assert (Payment.objects.count(), balance(alice)) == (0, usd("1_000.00"))


def test_both_customers_must_be_the_callers(alice: Customer, bob: Customer) -> None:
    """Guard: the caller's customer in `_destination`. A trader finds out nothing of whose an account is."""
    mine = Api(token_of(alice))
    assert code(asks(mine, alice, bob)) == (404, "not_found")
    assert code(asks(mine, alice, bob, destination_account_guid=UNKNOWN)) == (404, "not_found")
    quote = a_funding_quote(bob, "deposit", 1, product=Quote.Product.BOOK_TRANSFER)
    with pytest.raises(AccountNotFound):  # who acts for the receiver alone takes nothing either
        moves_to(alice, quote, by=acting_for(bob))
    assert Payment.objects.count() == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"source_account_guid": ...}, (400, "invalid_parameter")),
        ({"destination_account_guid": ...}, (400, "invalid_parameter")),
        ({"destination_account_guid": "x"}, (400, "invalid_parameter")),
        ({"destination_account_guid": UNKNOWN}, (404, "not_found")),
        ({"source_account_guid": UNKNOWN}, (404, "not_found")),
        ({"transfer_type": "funding"}, (400, "invalid_parameter")),
    ],
)
def test_what_is_wrong_with_a_book_transfer_is_said(
    firm: Api, alice: Customer, bob: Customer, changed: Any, said: tuple[int, str]
) -> None:
    assert code(asks(firm, alice, bob, **changed)) == said
    assert Payment.objects.count() == 0


def test_only_the_quotes_own_account_pays_and_only_into_anothers_of_the_same_asset(
    firm: Api, alice: Customer, bob: Customer
) -> None:
    """Guard: the comparisons in `_destination`."""
    for changed in (
        {"source_account_guid": account_of(bob).hex, "destination_account_guid": account_of(alice).hex},
        {"destination_account_guid": account_of(alice).hex},
        {"destination_account_guid": account_of(bob, "EUR").hex},
        {"source_account_guid": account_of(alice, "EUR").hex},
    ):
        assert code(asks(firm, alice, bob, **changed)) == (422, "account_mismatch")
    quote = a_funding_quote(alice, "deposit", 1, product=Quote.Product.BOOK_TRANSFER)
    with pytest.raises(AccountsDoNotFit):
        uses(quote, transfer_type="book")
    with pytest.raises(TransferTypeDoesNotFit):
        uses(quote)
    with pytest.raises(TransferTypeDoesNotFit):
        moves_to(bob, a_funding_quote(alice, "deposit", 1))
    assert (Payment.objects.count(), balance(alice)) == (0, usd("1_000.00"))


def test_a_side_may_be_said_and_is_deposit(firm: Api, alice: Customer) -> None:
    wish = {"product_type": "book_transfer", "customer_guid": alice.pk.hex, "asset": "USD", "receive_amount": 1}
    assert firm.post("/api/quotes", wish | {"side": "deposit"})[1]["side"] == "deposit"
    assert code(firm.post("/api/quotes", wish | {"side": "withdrawal"})) == (400, "invalid_parameter")


@pytest.mark.parametrize(
    "forged",
    [
        {"destination": None},
        {"destination_is_own": True},
        {"rail": "manual"},
        {"side": "withdrawal"},
        {"reference": "wire-1"},
        {"type": "funding"},
    ],
)
def test_the_database_knows_what_a_book_transfer_is(alice: Customer, bob: Customer, forged: dict[str, Any]) -> None:
    """Guards: the constraint `payment_between_customers_says_to_whom`, the trigger `of_its_quote`."""
    quote = a_funding_quote(alice, "deposit", 1, product=Quote.Product.BOOK_TRANSFER)
    says: dict[str, Any] = {
        "customer": alice,
        "quote": quote,
        "type": "book",
        "side": "deposit",
        "asset_id": "USD",
        "deliver_amount": 1,
        "receive_amount": 1,
        "fee": 0,
        "rail": "book",
        "destination": bob,
        "created_at": timezone.now(),
        "updated_at": timezone.now(),
    }
    if forged.pop("destination_is_own", False):
        forged = {"destination": alice}
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.create(**{**says, **forged})
    Payment.objects.create(**says)


@pytest.mark.parametrize("change", ["state = 'pending'", "destination_id = gen_random_uuid()"])
def test_a_book_transfer_moves_by_its_own_step_alone(alice: Customer, bob: Customer, change: str) -> None:
    """Guards: the triggers `legal_moves` and `never_changed`."""
    quote = a_funding_quote(alice, "deposit", 1, product=Quote.Product.BOOK_TRANSFER)
    times = {"created_at": timezone.now(), "updated_at": timezone.now()}
    amounts = {"deliver_amount": 1, "receive_amount": 1, "fee": 0}
    payment = Payment.objects.create(
        customer=alice, quote=quote, type="book", side="deposit", asset_id="USD", rail="book", destination=bob,
        **amounts, **times
    )  # fmt: skip

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trades_payment SET {change} WHERE id = %s", [payment.pk])
