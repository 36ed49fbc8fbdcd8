"""A dialog that pays is answered once: a double click, a second Enter, a second tab with the same dialog."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.ids import uuid7
from accounts.models import Break, Customer, Transfer
from tests.admin.actions import act, hidden, logged_in, said, shown
from tests.given import a_customer, a_settling_buy, balance, btc, btc_at, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_break
from trades.models import Correction
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.settle import settle

pytestmark = pytest.mark.django_db

ADJUST = "accounts_customer_propose_adjustment"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def broken(alice: Customer) -> Break:
    """A leg came 0.01 BTC short."""
    a_settling_buy(alice, btc("0.1"))
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now):
        pass
    return a_break(batch, "BTC", missing=btc("0.01"))


class Dialog:
    """One that was opened, with what it sends along unseen."""

    def __init__(self, client: Client, action: str, *args: object) -> None:
        self.client, self.url = client, reverse(f"admin:{action}", args=args)
        self.unseen = hidden(client.get(self.url))

    def answer(self, **answers: Any) -> list[str]:
        return said(self.client.post(self.url, {**self.unseen, **answers}, follow=True))


def adjustment(**changed: Any) -> dict[str, Any]:
    return {"direction": "credit", "amount": "25.00", "asset": "USD", "reason": "goodwill", "reference": "", **changed}


def test_a_dialog_answered_twice_pays_once_and_says_what_was_done_both_times(maker: Client, alice: Customer) -> None:
    """Guard: `trades_correction.once`. A double click paid twice."""
    dialog = Dialog(maker, ADJUST, alice.pk)

    answers = [dialog.answer(**adjustment()) for _ in range(3)]

    assert answers == [["The adjustment is applied: it is within the limit."]] * 3
    assert balance(alice) == usd("10_025.00")
    assert Correction.objects.count() == 1


def test_a_dialog_that_is_opened_anew_pays_anew(maker: Client, alice: Customer) -> None:
    for _ in range(2):
        Dialog(maker, ADJUST, alice.pk).answer(**adjustment())

    assert balance(alice) == usd("10_050.00")


def test_a_large_adjustment_answered_twice_is_one_proposal_and_is_applied_once(
    maker: Client, checker: Client, alice: Customer
) -> None:
    dialog = Dialog(maker, ADJUST, alice.pk)
    answers = [dialog.answer(**adjustment(amount="5000.00")) for _ in range(2)]
    assert answers == [["The adjustment is proposed; a second person applies it."]] * 2

    apply = Dialog(checker, "trades_correction_apply", Correction.objects.get().pk)
    assert [apply.answer(), apply.answer()] == [["Applied: 1 movements."], ["This was sent already; it was done."]]
    assert balance(alice) == usd("15_000.00")
    assert dialog.answer(**adjustment(amount="5000.00")) == ["The adjustment is applied: it is within the limit."]
    assert balance(alice) == usd("15_000.00")


def test_a_dialog_answered_with_something_else_is_refused(maker: Client, checker: Client, alice: Customer) -> None:
    """Guard: the facts are compared; another person's key, or other facts, give nobody what was done with it."""
    dialog = Dialog(maker, ADJUST, alice.pk)
    dialog.answer(**adjustment())
    theirs = Dialog(checker, ADJUST, alice.pk)
    theirs.unseen = dialog.unseen

    for told in (
        dialog.answer(**adjustment(amount="26.00")),
        dialog.answer(**adjustment(direction="debit")),
        dialog.answer(**adjustment(reason="another")),
        theirs.answer(**adjustment()),
    ):
        assert told == ["This dialog was answered before, with something else: open it anew."]
    assert balance(alice) == usd("10_025.00")


@pytest.mark.parametrize("key", [None, "", "nonsense", "0"])
def test_an_answer_without_its_key_pays_nothing(maker: Client, alice: Customer, key: str | None) -> None:
    dialog = Dialog(maker, ADJUST, alice.pk)
    dialog.unseen.pop("once")
    answer = maker.post(
        dialog.url, {**dialog.unseen, **adjustment(), **({} if key is None else {"once": key})}, follow=True
    )

    assert answer.status_code == 200
    assert balance(alice) == usd("10_000.00")
    assert not Correction.objects.exists()


@pytest.mark.parametrize("how", ["propose_paid", "propose_written_off"])
def test_the_end_of_a_break_answered_twice_is_one_proposal_also_once_it_is_applied(
    maker: Client, checker: Client, broken: Break, how: str
) -> None:
    dialog = Dialog(maker, f"accounts_break_{how}", broken.pk)
    proposed = [dialog.answer(reason="it came", reference="wire-12") for _ in range(2)]
    assert proposed == [["It is proposed; a second person applies it."]] * 2

    act(checker, "trades_correction_apply", Correction.objects.get().pk)
    before = Transfer.objects.count()

    assert dialog.answer(reason="it came", reference="wire-12") == proposed[0]
    assert (Transfer.objects.count(), Correction.objects.count()) == (before, 1)
    assert what_the_audit_finds() == []


def test_another_checker_is_told_that_somebody_decided(maker: Client, checker: Client, alice: Customer) -> None:
    third = logged_in("third@firm.example")
    act(maker, ADJUST, alice.pk, **adjustment(amount="5000.00"))
    proposed = Correction.objects.get()
    act(checker, "trades_correction_apply", proposed.pk)

    assert said(act(third, "trades_correction_apply", proposed.pk)) == ["The correction is applied already."]
    assert said(act(checker, "trades_correction_reject", proposed.pk)) == ["The correction is applied already."]


def test_a_transfers_page_says_who_moved_it(maker: Client, alice: Customer) -> None:
    deposited = Transfer.objects.get(kind="deposit")

    text = shown(maker.get(reverse("admin:accounts_transfer_change", args=[deposited.pk])))

    assert "test" in text
    assert deposited.funding.reference in text


def test_keys_are_made_anew_each_time(maker: Client, alice: Customer) -> None:
    keys = {Dialog(maker, ADJUST, alice.pk).unseen["once"] for _ in range(3)}

    assert len(keys | {str(uuid7())}) == 4
