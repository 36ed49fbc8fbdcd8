"""A firm on the rail of a bank's files, a customer with a bank account, and what the bank tells of both."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from accounts.identity import Actor
from accounts.models import Asset, Customer, ExternalBankAccount
from tests.given import a_bank_account, a_customer, a_payment
from tests.trades.corrections.staff import somebody
from tests.trades.settlement.instructions.bank import Booked, statement
from tests.trades.settlement.instructions.counterparties import OWN_BANK, a_counterparty, agreed
from trades.models import Payment, StatementFile
from trades.payments import files, payouts, release, statements
from trades.payments.files import Made
from trades.payments.release import Released
from trades.settlement.instructions.statements import Imported

LIMIT = 100_000  # cents, of what one person moves alone


@pytest.fixture(autouse=True)
def by_file(settings: Any) -> None:
    """For a module that imports it: payments go by file, and the firm has an account for them."""
    settings.PAYMENT_RAIL = "bank_file"
    Asset.objects.filter(pk="USD").update(adjustment_limit=LIMIT)
    the_firms_account()


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="5_000.00")


def the_firms_account() -> None:
    """From which USD is paid, and to which it comes."""
    agreed(a_counterparty("The Firm Ltd", is_own=True), "USD", OWN_BANK, is_default=False)


def account_of(customer: Customer) -> ExternalBankAccount:
    return ExternalBankAccount.objects.filter(customer=customer, state="completed").first() or a_bank_account(customer)


def a_payout(customer: Customer, amount: int, **wanted: Any) -> Payment:
    """Asked for, and pending."""
    return a_payment(customer, "withdrawal", amount, bank_account_id=account_of(customer).pk, **wanted)


def approves(payment: Payment, by: Actor | None = None) -> Payment:
    return payouts.approve(payment.pk, by=by or somebody(), at=timezone.now())


def agrees(payment: Payment, by: Actor | None = None) -> Payment:
    return payouts.agree(payment.pk, by=by or somebody(), at=timezone.now())


def a_file(form: str = "pain001", **wanted: Any) -> Made:
    return files.make_file(form, by=somebody(), at=timezone.now(), **wanted)


def a_sent_payout(customer: Customer, amount: int) -> Payment:
    """Approved within the limit, and in a file."""
    payment = a_payout(customer, amount)
    approves(payment)
    a_file()
    payment.refresh_from_db()
    return payment


def imports(content: bytes, by: Actor | None = None) -> Imported:
    return statements.import_statement(content, name="bank.xml", by=by or somebody(), at=timezone.now())


def releases(by: Actor | None = None) -> Released:
    """A second person releases the newest statement."""
    newest = StatementFile.objects.latest("pk")
    return release.release(newest.sha256, by=by or somebody(), at=timezone.now())


def books(*booked: Booked, number: str = "1", by: Actor | None = None) -> list[str]:
    """What became of a statement's entries: each one's state, or why it is listed."""
    return [one.reason or one.state for one in imports(statement(*booked, number=number), by).entries]


def credit(payment: Payment, amount: str, reference: str = "BANK-1", **told: Any) -> Booked:
    """What the bank tells of money that came in."""
    return debit(payment, amount, reference, **{"direction": "CRDT", **told})


def debit(payment: Payment, amount: str, reference: str = "BANK-1", **told: Any) -> Booked:
    """What the bank tells of money that went out."""
    return Booked(**{"name": payment.remittance_reference, "amount": amount, "reference": reference, **told})
