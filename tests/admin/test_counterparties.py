"""Counterparties and where they get their assets, in the admin: one proposes, another approves."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.admin.actions import act, hidden, logged_in, offers, page, said, shown
from trades.models import Counterparty, StandingInstruction

pytestmark = pytest.mark.django_db

STANDING, COUNTERPARTY = "trades_standinginstruction", "trades_counterparty"
BANK = {"holder": "Provider One Ltd", "iban": "DE89 3704 0044 0532 0130 00", "bic": "COBADEFF", "reason": "as written"}


@pytest.fixture
def provider(maker: Client) -> Counterparty:
    assert said(act(maker, f"{COUNTERPARTY}_add_one", name="Provider One Ltd")) == ["The counterparty is added."]
    return Counterparty.objects.get()


def proposed(client: Client, provider: Counterparty, **changed: str) -> list[str]:
    return said(act(client, f"{STANDING}_propose", **{**BANK, "counterparty": provider.pk, "asset": "USD", **changed}))


def test_one_proposes_and_another_approves(maker: Client, checker: Client, provider: Counterparty) -> None:
    assert proposed(maker, provider, is_default="on") == ["It is proposed; a second person approves it."]
    one = StandingInstruction.objects.get()
    assert "DE89370400440532013000" in shown(checker.get(page(STANDING, one.pk)))

    assert said(act(maker, f"{STANDING}_approve", one.pk)) == [
        "Whoever proposed a standing instruction can't approve it."
    ]
    assert said(act(checker, f"{STANDING}_approve", one.pk)) == ["The standing instruction is approved."]
    one.refresh_from_db()
    assert (one.state, one.is_default) == ("approved", True)
    assert offers(checker, STANDING, one.pk) == set()


def test_what_is_wrong_with_an_account_is_said_and_proposes_nothing(maker: Client, provider: Counterparty) -> None:
    assert "is not an IBAN" in proposed(maker, provider, iban="DE88370400440532013000")[0]
    assert "goes to a wallet" in proposed(maker, provider, asset="BTC")[0]

    url = reverse(f"admin:{STANDING}_propose")
    maker.post(url, {**hidden(maker.get(url)), **BANK, "counterparty": "x", "asset": "USD"})
    assert not StandingInstruction.objects.exists()


def test_a_counterparty_is_switched_off_and_on(maker: Client, provider: Counterparty) -> None:
    assert offers(maker, COUNTERPARTY, provider.pk) == {"switch_off"}
    assert said(act(maker, f"{COUNTERPARTY}_switch_off", provider.pk)) == ["The counterparty is off."]
    assert offers(maker, COUNTERPARTY, provider.pk) == {"switch_on"}
    assert said(act(maker, f"{COUNTERPARTY}_add_one", name="Provider One Ltd"))[0].startswith("There is a counterparty")


def test_who_may_neither_propose_nor_decide_can_do_nothing(maker: Client, provider: Counterparty) -> None:
    proposed(maker, provider)
    one = StandingInstruction.objects.get()
    reader = logged_in("reader@firm.example", "trades.view_standinginstruction")

    assert offers(reader, STANDING, one.pk) == set()
    assert reader.get(reverse(f"admin:{STANDING}_propose")).status_code == 403
    assert reader.post(reverse(f"admin:{STANDING}_approve", args=[one.pk])).status_code == 403
