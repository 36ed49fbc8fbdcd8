"""Who checks sees what would happen, who proposed it and why; who made it isn't offered to decide."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts import deeds
from accounts.models import LedgerAccount, Transfer
from tests.admin.actions import act, browser_with, offers, said, shown
from tests.given import a_customer, a_settling_buy, balance, btc, btc_at, usd
from trades.models import Correction, SettlementBatch

pytestmark = pytest.mark.django_db

CORRECTION, BATCH = "trades_correction", "trades_settlementbatch"


@pytest.fixture
def alice():
    return a_customer("alice", with_usd="100.00")


def proposed(maker: Client, alice, direction: str = "credit", amount: str = "5000.00") -> Correction:
    given = {"direction": direction, "amount": amount, "asset": "USD", "reason": "a wrong price", "reference": "r-1"}
    act(maker, "accounts_customer_propose_adjustment", alice.pk, **given)
    return Correction.objects.get()


def test_the_dialog_of_apply_shows_the_movements_and_the_balances_before_and_after_and_changes_nothing(
    maker, checker, alice
):
    """Guard: `_Undone` of trades/foreseen.py. Without it, looking is applying."""
    correction = proposed(maker, alice)
    count = Transfer.objects.count()
    sums = list(LedgerAccount.objects.order_by("pk").values_list("debits", "credits"))

    text = shown(checker.get(reverse(f"admin:{CORRECTION}_apply", args=[correction.pk])))

    assert "Proposed by maker@firm.example" in text
    assert "a wrong price" in text
    assert "100.00 USD 5,100.00 USD" in text
    assert "adjustment" in text
    assert Correction.objects.get().state == "proposed"
    assert Transfer.objects.count() == count
    assert list(LedgerAccount.objects.order_by("pk").values_list("debits", "credits")) == sums

    assert said(act(checker, f"{CORRECTION}_apply", correction.pk)) == ["Applied: 1 movements."]
    assert balance(alice) == usd("5_100.00")


def test_what_would_be_refused_is_told_beforehand(maker, checker, alice):
    correction = proposed(maker, alice, "debit")

    text = shown(checker.get(reverse(f"admin:{CORRECTION}_apply", args=[correction.pk])))

    assert "It would be refused:" in text
    assert Correction.objects.get().state == "proposed"


def test_a_maker_takes_back_and_only_another_applies(maker, checker, alice):
    """Guard: `open_to`."""
    correction = proposed(maker, alice)

    assert offers(maker, CORRECTION, correction.pk) == {"reject"}
    assert offers(checker, CORRECTION, correction.pk) == {"apply", "reject"}
    assert offers(browser_with(deeds.DEALER), CORRECTION, correction.pk) == set()  # proposes, and decides nothing
    assert offers(browser_with(deeds.RISK), CORRECTION, correction.pk) == {"apply", "reject"}


def test_who_cut_a_batch_is_not_offered_to_confirm_it_and_another_sees_its_legs(maker, checker):
    btc_at("40_000.00")
    a_settling_buy(a_customer("bob", with_usd="10_000.00"), btc("0.1"))
    act(maker, f"{BATCH}_cut_everything")
    batch = SettlementBatch.objects.get()

    assert not offers(maker, BATCH, batch.pk) & {"confirm_batch", "cancel_batch"}
    assert offers(checker, BATCH, batch.pk) >= {"confirm_batch", "cancel_batch"}
    text = shown(checker.get(reverse(f"admin:{BATCH}_confirm_batch", args=[batch.pk])))
    assert "Cut by maker@firm.example" in text
    assert ("Legs settle as expected, at once" in text) == batch.legs_are_automatic
    assert "BTC 0.10 BTC 0.00 BTC incoming 0.10 BTC" in text
