"""What docs/operations.md shows of money by a bank's files, typed in its order, with a bank that answers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from accounts.models import User
from tests.docs.test_operations_instructions import section, types
from tests.given import a_customer, a_payment, usd
from tests.trades.payments.bank_files import a_payout, books, credit, debit, the_firms_account
from tests.trades.settlement.instructions.bank import Booked, statement

pytestmark = pytest.mark.django_db

CUSTOMER = "01a1fe08d6aa71698117ff1d3211e7f1"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def test_the_page_s_payments_are_approved_sent_and_told_by_the_bank(tmp_path: Path, monkeypatch, settings) -> None:
    settings.PAYMENT_RAIL = "bank_file"
    monkeypatch.chdir(tmp_path)
    for email in ("ann@firm.example", "ben@firm.example"):
        User.objects.create_user(email, is_staff=True, is_superuser=True)
    the_firms_account()
    alice = a_customer(with_usd="5_000.00")
    payout, deposit = a_payout(alice, usd("1_500.00")), a_payment(alice, "deposit", usd("250.00"))
    fee = Booked("a fee", "1.00", "FEE")
    books(fee)
    answer = statement(debit(payout, "1500.00", "7100051"), credit(deposit, "25.00", "7100052"), fee, number="2")
    (tmp_path / "payments.xml").write_bytes(answer)

    names = {CUSTOMER: alice.pk.hex}
    for step in section("Money in and out by bank files"):
        if "import monday.xml" in step.command:
            large = a_payment(alice, "deposit", usd("5_000.00"))
            monday = statement(credit(large, "5000.00", "7100061"), number="3")
            (tmp_path / "monday.xml").write_bytes(monday)
            names[SHA256] = hashlib.sha256(monday).hexdigest()
        types(step, names)
