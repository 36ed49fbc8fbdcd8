"""A reference that another payment had first, when a second person agrees: it is told, and nothing is stuck."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.errors import KeyReused
from accounts.models import Asset
from tests.given import a_customer, a_payment, usd, what_the_audit_finds
from tests.trades.corrections.staff import somebody
from tests.trades.payments.bank_files import LIMIT, books, the_firms_account
from tests.trades.settlement.instructions.bank import Booked
from trades.models import Payment, StatementEntry
from trades.payments import manual, statements

pytestmark = pytest.mark.django_db


def test_a_deposits_reference_that_was_used_meanwhile_is_told_and_its_entry_waits_again(settings) -> None:
    """Guard: the look at the reference in `steps.complete`. Else agreeing is an unhandled error, each time."""
    Asset.objects.filter(pk="USD").update(adjustment_limit=LIMIT)
    the_firms_account()
    alice = a_customer(with_usd="5_000.00")
    settings.PAYMENT_RAIL = "bank_file"
    payment = a_payment(alice, "deposit", LIMIT + 1)
    books(Booked("from alice", "1000.01", "B1", direction="CRDT"))
    entry = StatementEntry.objects.get()
    statements.assign(entry.pk, payment.remittance_reference, note="they wrote so", by=somebody(), at=timezone.now())
    settings.PAYMENT_RAIL = "manual"
    other = a_payment(alice, "deposit", usd("1.00"))
    manual.confirm(other.pk, reference="B1", by=somebody(), at=timezone.now())

    with pytest.raises(KeyReused, match="another payment"):
        manual.agree(payment.pk, by=somebody(), at=timezone.now())

    manual.refuse(payment.pk, by=somebody(), at=timezone.now())
    entry.refresh_from_db()
    assert (entry.state, Payment.objects.get(pk=payment.pk).state) == ("listed", "failed")
    assert what_the_audit_finds() == []
