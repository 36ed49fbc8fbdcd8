"""A customer's page: the account, tabs with what they have, and what an operator does there."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from accounts import deeds
from accounts.models import Customer, User
from tests.admin.actions import act, browser_with, logged_in, offers, page, said, shown
from tests.given import a_customer, a_settling_buy, btc, btc_at
from tests.trades.engine_steps import closes, opens, places
from trades.models import DealersAction

pytestmark = pytest.mark.django_db

CUSTOMER = "accounts_customer"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


def state(customer: Customer) -> str:
    return Customer.objects.get(pk=customer.pk).state


def test_the_page_shows_the_account_and_a_tab_of_everything(browser: Client, alice: Customer) -> None:
    order, closed, waiting = opens(alice), opens(alice), places(alice, "buy limit", "39000")
    closes(alice, closed)
    trade = a_settling_buy(alice, btc("0.01"))
    btc_at("41_000.00")

    text = shown(browser.get(page(CUSTOMER, alice.pk)))

    for expected in (
        "Equity",
        "Margin level, %",
        f"{order.code} buy 0.1 BTC-USD 40,000.00 41,000.00 +100.00 USD",
        f"{waiting.code} buy 0.1 BTC-USD 39,000.00",
        f"{closed.code} buy 0.1 BTC-USD 40,000.00 40,000.00",
        trade.pk.hex[-10:],
        "trade_deliver",
        "Nobody logs in" if alice.user is None else alice.user.email,
    ):
        assert expected in text, expected


def test_a_tab_is_shown_to_whom_may_see_its_list(alice: Customer) -> None:
    opens(alice)
    support = logged_in("support@firm.example", "accounts.view_customer", "trades.view_order")

    text = shown(support.get(page(CUSTOMER, alice.pk)))

    assert "No order waits or was closed." in text
    assert not [name for name in ("Floating profit", "Debited", "Last login, to the day", "Checker") if name in text]
    assert offers(support, CUSTOMER, alice.pk) == set()
    assert support.get(reverse("admin:accounts_customer_statement", args=[alice.pk])).status_code == 403


def test_the_statement_of_each_asset_is_a_file(browser: Client, alice: Customer) -> None:
    a_settling_buy(alice, btc("0.01"))
    url = reverse("admin:accounts_customer_statement", args=[alice.pk])
    assert f"{url}?asset=BTC" in browser.get(page(CUSTOMER, alice.pk)).content.decode()

    for asset, kind in (("", "deposit"), ("BTC", "trade_receive")):
        answer: Any = browser.get(url, {"asset": asset} if asset else {})
        rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
        assert [rows[0]["kind"], rows[1]["kind"], rows[-1]["kind"]] == ["opening_balance", kind, "closing_balance"]
    for odd in ("XXX", "\x00", "usd"):
        assert browser.get(url, {"asset": odd}).status_code == 404
    assert browser.get(reverse("admin:accounts_customer_statement", args=["nonsense"])).status_code == 404


def test_an_operator_freezes_and_unfreezes_with_a_reason_that_stays(browser: Client, alice: Customer) -> None:
    offered = offers(browser, CUSTOMER, alice.pk)
    assert {"freeze", "close_positions", "propose_adjustment"} <= offered
    assert "thaw" not in offered

    for _ in range(2):
        told = said(act(browser, f"{CUSTOMER}_freeze", alice.pk, reason="a court's letter"))
        assert told == ["The customer is frozen."]
    assert state(alice) == "frozen"
    assert "thaw" in offers(browser, CUSTOMER, alice.pk)
    assert LogEntry.objects.filter(object_id=str(alice.pk)).first().change_message == "Became frozen: a court's letter"
    assert said(act(browser, f"{CUSTOMER}_thaw", alice.pk, reason="settled")) == ["The customer is verified."]
    assert state(alice) == "verified"


@pytest.mark.parametrize("before", ["unverified", "rejected"])
def test_unfreezing_verifies_nobody_who_was_not_frozen(alice: Customer, before: str) -> None:
    """Guard: `only_from` of `decide_on_customer`: Risk may freeze, and verifies nobody."""
    Customer.objects.filter(pk=alice.pk).update(state=before)
    risk = browser_with(deeds.RISK)

    (told,) = said(act(risk, f"{CUSTOMER}_thaw", alice.pk, reason="x"))

    assert told == f"A {before} customer can't become verified by this."
    assert state(alice) == before


def test_a_login_is_switched_off_and_its_sessions_end(browser: Client, alice: Customer) -> None:
    user = User.objects.get(pk=alice.user_id)

    assert said(act(browser, f"{CUSTOMER}_log_out", alice.pk)) == ["Logged out everywhere."]
    assert User.objects.get(pk=user.pk).generation == user.generation + 1
    assert said(act(browser, f"{CUSTOMER}_disable_login", alice.pk, reason="a stolen phone")) == ["The login is off."]
    after = User.objects.get(pk=user.pk)
    assert (after.is_active, after.generation) == (False, user.generation + 2)
    assert "enable_login" in offers(browser, CUSTOMER, alice.pk)
    assert said(act(browser, f"{CUSTOMER}_enable_login", alice.pk, reason="a new phone")) == ["The login is on."]
    assert User.objects.get(pk=user.pk).is_active


def test_nobody_of_the_staff_is_switched_off_from_a_customers_page(browser: Client, alice: Customer) -> None:
    """Guard: `login_of`. Support that may switch customers off could switch off the second person."""
    User.objects.filter(pk=alice.user_id).update(is_staff=True)

    told = said(act(browser, f"{CUSTOMER}_disable_login", alice.pk, reason="x"))

    assert told == ["Nobody logs in for this customer, or one of the staff does."]
    assert User.objects.get(pk=alice.user_id).is_active


def test_a_dealer_closes_the_customers_positions_from_here(maker: Client, alice: Customer, settings: Any) -> None:
    settings.CLOSE_DEADLINE_SECONDS = 0.8
    opens(alice)

    act(maker, f"{CUSTOMER}_close_positions", alice.pk, symbol="BTC-USD", reason="asked by phone")

    action = DealersAction.objects.get()
    assert (action.customer_id, action.instrument_id, action.state) == (alice.pk, "BTC-USD", "ordered")


@pytest.mark.parametrize("action", ["freeze", "thaw", "disable_login", "enable_login", "log_out", "close_positions"])
def test_who_may_not_is_refused(alice: Customer, action: str) -> None:
    """Guard: each action's `permissions`; a forged answer is 403 and changes nothing."""
    reader = logged_in("reader@firm.example", "accounts.view_customer")
    url = reverse(f"admin:{CUSTOMER}_{action}", args=[alice.pk])

    assert reader.post(url, {"_form_submitted": "True", "reason": "x"}).status_code == 403
    assert (state(alice), DealersAction.objects.count()) == ("verified", 0)
