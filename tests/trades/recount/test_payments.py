"""Payments and the quotes behind them: whoever changes one is found, and where sealed rows speak of it, named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from accounts.models import Customer
from tests.given import a_bank_account, a_customer, a_funding_quote, a_payment, sends, usd, uses
from tests.trades.corrections.staff import somebody
from tests.trades.payments.bank_files import a_sent_payout, books, credit, debit, the_firms_account
from tests.trades.payments.test_sandbox import FEE
from tests.trades.recount.forging import forged, found, named, told, unsealed_forged
from trades.corrections.propose import propose_payment_return
from trades.models import Payment

pytestmark = pytest.mark.django_db

STEPS = "events (1 storing, 2 pending, 4 settling, 8 completed, 16 failed, 32 returned)"
BEFORE = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


@pytest.fixture
def bob() -> Customer:
    return a_customer("bob")


@pytest.fixture
def payments(alice: Customer) -> dict[str, Payment]:
    made = {
        "in": a_payment(alice, "deposit", usd("100.00"), fees=FEE),
        "out": a_payment(alice, "withdrawal", usd("100.00"), fees=FEE),
        "failed": a_payment(alice, "withdrawal", usd("100.00"), expected_error="refused"),
        "waits": uses(a_funding_quote(alice, "withdrawal", usd("100.00"))),
    }
    assert found() == set()
    return made


def assert_told(check: str, payment: Payment, *names: str) -> None:
    texts = told(check, payment.pk)
    assert len(texts) == len(names), texts
    assert all(text.startswith(f"{name} ") for text, name in zip(texts, names, strict=True)), texts


def test_a_payment_beside_its_events(bob: Customer, payments: dict[str, Payment]) -> None:
    unsealed_forged(
        "UPDATE trades_payment SET customer_id = %s, created_at = %s, updated_at = %s,"
        " reference = reference || 'x' WHERE id = %s",
        bob.pk,
        BEFORE,
        BEFORE,
        payments["in"].pk,
    )
    unsealed_forged("UPDATE trades_payment SET failure_code = 'expired' WHERE id = %s", payments["failed"].pk)
    unsealed_forged("UPDATE trades_payment SET state = 'settling' WHERE id = %s", payments["waits"].pk)
    unsealed_forged("DELETE FROM trades_payment WHERE id = %s", payments["out"].pk)

    assert_told("payment events", payments["in"], "customer", "created_at", "updated_at", "reference")
    assert_told("payment events", payments["failed"], "failure_code")
    assert_told(
        "payment events",
        payments["waits"],
        STEPS,
    )
    assert_told("payment events", payments["out"], "events")


def test_a_payment_beside_its_quote(bob: Customer, payments: dict[str, Payment]) -> None:
    unsealed_forged(
        "UPDATE trades_payment SET customer_id = %s, side = 'deposit',"
        " asset_id = 'EUR', deliver_amount = 7, receive_amount = 4, fee = 3, created_at = %s,"
        " expected_error = 'refused' WHERE id = %s",
        bob.pk,
        datetime(2120, 1, 1, tzinfo=UTC),
        payments["out"].pk,
    )

    assert_told(
        "payment quotes",
        payments["out"],
        *("customer", "side", "asset", "deliver_amount", "receive_amount", "fee", "created_at", "state"),
    )


def test_a_payment_beside_what_it_moved(payments: dict[str, Payment]) -> None:
    unsealed_forged("UPDATE accounts_transfer SET asset_id = 'EUR', amount = amount + 1 WHERE kind <> 'deposit'")
    unsealed_forged("UPDATE accounts_transfer SET amount = amount + 1 WHERE kind = 'deposit' AND subject IS NOT NULL")

    assert_told("payment money", payments["in"], "came in", "fee")
    assert_told("payment money", payments["out"], "held", "went out", "fee", "asset")
    assert_told("payment money", payments["failed"], "held", "asset")
    assert_told("payment money", payments["waits"], "held", "asset")

    unsealed_forged("UPDATE accounts_transfer SET amount = 1 WHERE kind = 'payment_given_back'")
    unsealed_forged("DELETE FROM trades_payment WHERE id = %s", payments["in"].pk)
    assert_told("payment money", payments["failed"], "given back", "held", "asset")
    assert_told("payment money", payments["in"], "movements")


def test_a_book_transfer_beside_its_events_its_quote_and_what_it_moved(alice: Customer, bob: Customer) -> None:
    done, failed = sends(alice, bob, usd("100.00"), fees=FEE), sends(alice, bob, usd("10_000.00"))
    assert found() == set()
    unsealed_forged("UPDATE accounts_transfer SET amount = amount + 1 WHERE kind = 'payment_sent'")
    unsealed_forged("UPDATE accounts_transfer SET customer_id = %s WHERE kind = 'payment_received'", alice.pk)
    unsealed_forged("UPDATE trades_paymentevent SET became = 'settling' WHERE became = 'completed'")
    unsealed_forged("UPDATE quotes_quote SET product_type = 'funding' WHERE id = %s", failed.quote_id)

    assert_told("payment money", done, "sent", "received")
    assert_told("payment events", done, STEPS)
    assert_told("payment quotes", failed, "type")


def test_what_came_back_beside_its_correction_and_its_event(alice: Customer, payments: dict[str, Payment]) -> None:
    made = {
        which: propose_payment_return(
            payments[which].pk, usd("10.00"), reference=f"r-{which}", reason="x", by=somebody(), at=timezone.now()
        )
        for which in ("in", "out")
    }
    assert found() == set()
    unsealed_forged("UPDATE trades_correction SET direction = 'credit' WHERE id = %s", made["in"].pk)
    unsealed_forged("DELETE FROM trades_paymentevent WHERE became = 'returned' AND payment_id = %s", payments["out"].pk)

    wrong = {row for check, row in found() if check == "payment returns"}
    assert wrong == {payments["in"].pk.hex, payments["out"].pk.hex}
    assert_told("payment events", payments["out"], "updated_at")


def test_what_stays_between_customers_is_found(alice: Customer, bob: Customer) -> None:
    sends(alice, bob, usd("1.00"))
    forged(
        "UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE id = (SELECT id FROM accounts_ledgeraccount"
        " WHERE type = 'between' LIMIT 1)"
    )

    assert "between" in {check for check, _ in found()}


def test_what_is_leaving_is_held_for_payments_under_way(alice: Customer, payments: dict[str, Payment]) -> None:
    forged("UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE type = 'leaving'")

    assert "leaving" in {check for check, _ in found()}


@pytest.mark.parametrize(
    ("which", "change"),
    [
        ("in", "state = 'failed', failure_code = 'refused'"),
        ("waits", "state = 'completed', reference = 'x'"),
        ("failed", "failure_code = 'reversed'"),
        ("out", "reference = 'another'"),
    ],
)
def test_a_payment_that_its_events_contradict_is_named(payments: dict[str, Payment], which: str, change: str) -> None:
    forged(f"UPDATE trades_payment SET {change} WHERE id = %s", payments[which].pk)

    assert payments[which].pk.hex in named()


@pytest.mark.parametrize(
    "change", ["fee = fee + 1, receive_amount = receive_amount - 1", "fee_bps = 1", "fee_fixed = 99"]
)
def test_a_quote_whose_fee_was_changed_is_found(alice: Customer, change: str) -> None:
    quotes = [a_funding_quote(alice, "deposit", usd("100.00"), fees=FEE) for _ in range(3)]
    assert found() == set()

    forged(f"UPDATE quotes_quote SET {change} WHERE id = %s", quotes[1].pk)

    assert found() == {("funding quotes", quotes[1].pk.hex)}


def test_payments_by_file_beside_what_the_bank_said(alice: Customer, bob: Customer, settings) -> None:
    settings.PAYMENT_RAIL = "bank_file"
    the_firms_account()
    came, took, other, by_hand = (
        *(a_payment(alice, "deposit", 100), a_payment(alice, "deposit", 200)),
        *(a_sent_payout(alice, 300), a_payment(alice, "deposit", 400)),
    )
    assert books(
        *(credit(came, "1.00", "B1"), credit(took, "2.00", "B2"), debit(other, "3.00", "B3")),
        *(debit(took, "2.00", "B4", reversal=True), credit(by_hand, "4.00", "B5")),
    ) == ["matched", "matched", "matched", "a_reversal", "matched"]
    assert found() == set()
    change = "UPDATE trades_statemententry SET {} WHERE bank_reference = %s"
    unsealed_forged(change.format("amount = 99"), "B1")
    unsealed_forged(change.format("bank_reference = 'B9'"), "B3")
    unsealed_forged(change.format("amount = 150"), "B4")
    unsealed_forged(change.format("state = 'listed', payment_id = NULL"), "B5")
    bobs = a_bank_account(bob)
    unsealed_forged("UPDATE trades_payment SET external_bank_account_id = %s WHERE id = %s", bobs.pk, other.pk)

    assert_told("payments by file", came, "came")
    assert_told("payments by file", took, "returned")
    assert_told("payments by file", other, "reference", "bank account")
    assert_told("payments by file", by_hand, "entries")
    unsealed_forged("UPDATE trades_payment SET rail = 'sandbox', remittance_reference = '' WHERE id = %s", took.pk)
    assert "entries" in {text.split()[0] for text in told("payments by file", took.pk)}


def test_a_payout_file_beside_its_payouts(alice: Customer, settings) -> None:
    settings.PAYMENT_RAIL = "bank_file"
    the_firms_account()
    first, second = (a_sent_payout(alice, 100) for _ in range(2))
    assert found() == set()
    unsealed_forged("UPDATE trades_payment SET payment_file_id = %s WHERE id = %s", first.payment_file_id, second.pk)

    assert {row for check, row in found() if check == "payout files"} == {first.payment_file_id.hex}
