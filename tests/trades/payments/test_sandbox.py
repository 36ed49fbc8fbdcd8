"""Payments on the sandbox rail: what is held, what completes by itself, what fails and gives back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import services
from accounts.errors import CustomerNotVerified, SandboxOnly
from accounts.ledger import LEAVING
from accounts.models import Customer, Funding, Transfer
from quotes.errors import QuoteNotFound
from quotes.quoting import FeeTerms
from tests.given import (
    a_customer,
    a_funding_quote,
    a_payment,
    a_quote,
    acting_for,
    balance,
    btc_at,
    executes,
    usd,
    uses,
    what_the_audit_finds,
)
from tests.trades.engine_steps import opens
from trades.errors import CustomerIsFrozen, QuoteUsed, TradeTypeDoesNotFit, TransferTypeDoesNotFit
from trades.models import Payment, PaymentEvent
from trades.payments.carry import carry, sweep, take_step

pytestmark = pytest.mark.django_db

FEE = FeeTerms(Decimal(50), 25)  # half a percent and 25 cents


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


def steps_of(payment: Payment) -> list[tuple[str, str]]:
    return list(PaymentEvent.objects.filter(payment=payment).order_by("pk").values_list("became", "detail"))


def moved(payment: Payment) -> list[tuple[str, int]]:
    found = Transfer.objects.filter(subject=payment.pk).order_by("pk").values_list("kind", "amount")
    return [(kind, int(amount)) for kind, amount in found]


def freeze(customer: Customer) -> None:
    Customer.objects.filter(pk=customer.pk).update(state="frozen")


# --- what moves ------------------------------------------------------------------------------------


def test_a_deposit_is_credited_when_it_completes_and_not_before(alice: Customer) -> None:
    payment = uses(a_funding_quote(alice, "deposit", usd("250.00")))
    assert (payment.state, balance(alice), moved(payment)) == ("storing", usd("1_000.00"), [])
    for state in ("pending", "settling"):
        assert take_step(payment.pk, at=timezone.now())
        payment.refresh_from_db()
        assert (payment.state, balance(alice)) == (state, usd("1_000.00"))

    carry([payment.pk])

    payment.refresh_from_db()
    reference = f"sandbox-{payment.pk.hex}"
    assert (payment.state, payment.reference, balance(alice)) == ("completed", reference, usd("1_250.00"))
    assert steps_of(payment) == [("storing", ""), ("pending", ""), ("settling", ""), ("completed", reference)]
    assert moved(payment) == [("deposit", usd("250.00"))]
    assert Funding.objects.get(reference=reference).made_from == "rail sandbox"
    assert what_the_audit_finds() == []


def test_what_leaves_is_held_from_the_first_moment(alice: Customer) -> None:
    """Guard: `money.hold` in `execute`."""
    payment = uses(a_funding_quote(alice, "withdrawal", usd("400.00")))

    assert (payment.state, balance(alice), balance(alice, LEAVING)) == ("storing", usd("600.00"), usd("400.00"))
    assert what_the_audit_finds() == []

    carry([payment.pk])
    payment.refresh_from_db()
    assert (payment.state, balance(alice), balance(alice, LEAVING)) == ("completed", usd("600.00"), 0)
    assert moved(payment) == [("payment_held", usd("400.00")), ("withdrawal", usd("400.00"))]
    assert what_the_audit_finds() == []


@pytest.mark.parametrize(("side", "left"), [("deposit", 109_925), ("withdrawal", 90_000)])
def test_a_fee_of_the_firms_goes_to_the_firm(alice: Customer, side: str, left: int) -> None:
    """100.00 delivered: 99.25 are the most that leave room for half a percent, rounded up to 0.50, and 0.25."""
    payment = a_payment(alice, side, usd("100.00"), fees=FEE)

    assert (payment.state, int(payment.receive_amount), int(payment.fee)) == ("completed", 9_925, 75)
    assert balance(alice) == left
    assert ("payment_fee", 75) in moved(payment)
    assert what_the_audit_finds() == []


def test_a_payment_beyond_what_can_be_spent_fails_and_moves_nothing(alice: Customer) -> None:
    payment = uses(a_funding_quote(alice, "withdrawal", usd("1_000.01")))

    assert (payment.state, payment.failure_code) == ("failed", "non_sufficient_funds")
    assert steps_of(payment) == [("storing", ""), ("failed", "non_sufficient_funds")]
    assert (moved(payment), balance(alice)) == ([], usd("1_000.00"))
    assert what_the_audit_finds() == []


def test_losses_of_open_positions_count(alice: Customer) -> None:
    """Guard: `beyond` in `money.hold`. 1,000.00 less 840.00 of margin less 100.00 lost leave 60.00."""
    btc_at("42_000.00")
    opens(alice, quantity="0.2", leverage=10)
    btc_at("41_500.00")

    too_much = uses(a_funding_quote(alice, "withdrawal", usd("60.01")))
    enough = uses(a_funding_quote(alice, "withdrawal", usd("60.00")))

    assert (too_much.state, too_much.failure_code) == ("failed", "non_sufficient_funds")
    assert (enough.state, balance(alice)) == ("storing", usd("100.00"))


@pytest.mark.parametrize("code", ["non_sufficient_funds", "refused", "reversed", "limit_exceeded", "expired"])
def test_a_payment_fails_on_request_and_gives_back(alice: Customer, code: str) -> None:
    payment = a_payment(alice, "withdrawal", usd("400.00"), expected_error=code)

    assert (payment.state, payment.failure_code) == ("failed", code)
    assert moved(payment) == [("payment_held", usd("400.00")), ("payment_given_back", usd("400.00"))]
    assert (balance(alice), balance(alice, LEAVING)) == (usd("1_000.00"), 0)
    assert what_the_audit_finds() == []


def test_a_quote_that_has_expired_fails(alice: Customer) -> None:
    quote = a_funding_quote(alice, "withdrawal", usd("1.00"))

    at_its_end = uses(quote, at=quote.expires_at)
    just_before = a_funding_quote(alice, "withdrawal", usd("1.00"))

    assert (at_its_end.failure_code, moved(at_its_end)) == ("expired", [])
    assert uses(just_before, at=just_before.expires_at - timedelta(milliseconds=1)).state == "storing"
    assert what_the_audit_finds() == []


def test_more_than_is_moved_at_once_fails(alice: Customer) -> None:
    payment = uses(a_funding_quote(alice, "deposit", 10**32 + 1))

    assert payment.failure_code == "limit_exceeded"
    assert what_the_audit_finds() == []


# --- who may ---------------------------------------------------------------------------------------


def test_a_quote_is_used_once_by_one_payment(alice: Customer) -> None:
    quote = a_funding_quote(alice, "deposit", usd("1.00"))
    uses(quote)

    with pytest.raises(QuoteUsed):
        uses(quote)
    assert Payment.objects.count() == 1


def test_a_quote_to_trade_is_no_transfers_and_the_other_way_round(alice: Customer) -> None:
    """Guards: `_TYPE_OF` of payments, `_PRODUCT_OF` of trades."""
    btc_at("40_000.00")
    with pytest.raises(TransferTypeDoesNotFit):
        uses(a_quote(alice, receive=100_000))
    with pytest.raises(TradeTypeDoesNotFit):
        executes(a_funding_quote(alice, "deposit", usd("1.00")))


def test_nobody_uses_somebody_elses_quote(alice: Customer) -> None:
    quote = a_funding_quote(alice, "withdrawal", usd("1.00"))

    with pytest.raises(QuoteNotFound):
        uses(quote, by=acting_for(a_customer("mallory")))
    assert balance(alice) == usd("1_000.00")


def test_a_frozen_customer_is_not_paid_out_and_money_that_came_is_credited(alice: Customer) -> None:
    """Guards: `refuse_to_pay_out`, `refuse_to_pay_in` in `execute`."""
    out, in_ = a_funding_quote(alice, "withdrawal", usd("1.00")), a_funding_quote(alice, "deposit", usd("1.00"))
    freeze(alice)

    with pytest.raises(CustomerIsFrozen):
        uses(out)
    payment = uses(in_)
    carry([payment.pk])
    assert balance(alice) == usd("1_001.00")
    with pytest.raises(CustomerNotVerified):
        a_funding_quote(alice, "deposit", usd("1.00"))


def test_who_is_frozen_meanwhile_is_not_paid_out_by_a_program(alice: Customer) -> None:
    """Guard: `takes_two` in `take_step`."""
    payment = uses(a_funding_quote(alice, "withdrawal", usd("400.00")))
    freeze(alice)

    carry([payment.pk])

    payment.refresh_from_db()
    assert (payment.state, payment.failure_code, balance(alice)) == ("failed", "refused", usd("1_000.00"))


def test_outside_a_sandbox_nothing_fails_on_request_nor_completes_by_itself(alice: Customer, settings) -> None:
    """Guard: the look at `SANDBOX` in `Sandbox.next_step`: what a sandbox left behind brings no money."""
    left = uses(a_funding_quote(alice, "deposit", usd("1.00")))
    settings.SANDBOX, settings.PAYMENT_RAIL = False, "manual"

    with pytest.raises(SandboxOnly):
        uses(a_funding_quote(alice, "deposit", usd("1.00")), expected_error="refused")
    carry([left.pk])
    left.refresh_from_db()

    assert (left.state, left.failure_code, balance(alice)) == ("failed", "refused", usd("1_000.00"))


# --- a worker that dies ----------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(4))
def test_what_a_killed_worker_left_after_any_step_the_sweep_takes_to_its_end(alice: Customer, steps: int) -> None:
    payment = uses(a_funding_quote(alice, "withdrawal", usd("400.00"), fees=FEE))
    for _ in range(steps):
        take_step(payment.pk, at=timezone.now())

    sweep()
    sweep()

    payment.refresh_from_db()
    assert (payment.state, len(steps_of(payment)), balance(alice)) == ("completed", 4, usd("600.00"))
    assert what_the_audit_finds() == []


def test_a_payment_that_breaks_holds_up_no_other(alice: Customer) -> None:
    broken, fine = (uses(a_funding_quote(alice, "deposit", usd("1.00"))) for _ in range(2))
    services.deposit(alice, "USD", 1, f"sandbox-{broken.pk.hex}", timezone.now(), "test")  # its reference is taken

    sweep()

    broken.refresh_from_db(), fine.refresh_from_db()
    assert (broken.state, fine.state) == ("settling", "completed")
    assert what_the_audit_finds() == []


# --- what the database refuses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "state = 'completed', reference = 'x'",  # past two steps
        "state = 'failed'",  # without a code
        "deliver_amount = 1, receive_amount = 1, fee = 0",
        "rail = 'manual'",
        "customer_id = gen_random_uuid()",
    ],
)
def test_a_payment_moves_by_its_steps_alone(alice: Customer, change: str) -> None:
    """Guards: the triggers `legal_moves` and `never_changed`, and the constraint `payment_failed_with_a_code`."""
    payment = uses(a_funding_quote(alice, "deposit", usd("5.00")))

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trades_payment SET {change} WHERE id = %s", [payment.pk])


def test_a_payment_that_ended_stays_as_it_is(alice: Customer) -> None:
    """Guard: the trigger `ended_for_good`."""
    payment = a_payment(alice, "deposit", usd("5.00"))

    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(needs_checker=True)


@pytest.mark.parametrize(
    "forged",
    [{"deliver_amount": 2, "receive_amount": 2}, {"side": "deposit"}, {"state": "pending"}, {"asset_id": "EUR"}],
)
def test_a_payment_begins_as_what_its_quote_says(alice: Customer, forged: dict[str, object]) -> None:
    """Guard: the trigger `of_its_quote`."""
    quote = a_funding_quote(alice, "withdrawal", 1)
    says = {
        "customer": alice,
        "quote": quote,
        "type": "funding",
        "side": "withdrawal",
        "asset_id": "USD",
        "deliver_amount": 1,
        "receive_amount": 1,
        "fee": 0,
        "rail": "sandbox",
        "created_at": timezone.now(),
        "updated_at": timezone.now(),
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.create(**{**says, **forged})
    Payment.objects.create(**says)


def test_a_quote_to_trade_makes_no_payment_around_the_service(alice: Customer) -> None:
    """Guard: the trigger `of_its_quote`: a trade may have used that quote."""
    btc_at("40_000.00")
    quote = a_quote(alice, receive=100_000)

    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.create(
            customer=alice,
            quote=quote,
            type="funding",
            side="deposit",
            asset_id="USD",
            deliver_amount=quote.deliver_amount,
            receive_amount=quote.deliver_amount,
            fee=0,
            rail="sandbox",
            created_at=timezone.now(),
            updated_at=timezone.now(),
        )


def test_a_step_is_never_dated_before_the_one_that_it_follows() -> None:
    """Guard: `steps._no_earlier`. Of two workers who waited for the row, the later one may have looked at the clock
    first; the audit would accuse the payment of what nobody did."""
    payment = uses(a_funding_quote(a_customer(), "deposit", 100))
    now = timezone.now()
    while take_step(payment.pk, at=now):
        now -= timedelta(seconds=1)

    times = [event.at for event in PaymentEvent.objects.filter(payment=payment).order_by("pk")]
    payment.refresh_from_db()
    assert payment.state == "completed"
    assert times == sorted(times)
    assert payment.updated_at == times[-1]
    assert what_the_audit_finds() == []
