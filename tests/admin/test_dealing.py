"""Dealers' actions in the admin: the buttons, the dialogs, the second person, and what a page says came of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts import streams
from accounts.models import Customer
from tests.admin.actions import act, hidden, logged_in, offers, page, said, shown
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import became, opens, places, tick
from trades.dealing import send
from trades.models import DealersAction

pytestmark = pytest.mark.django_db

ACTION = "trades_dealersaction"
WAITS = "It is ordered; no engine has answered yet. The page of the action says what came."


@pytest.fixture(autouse=True)
def _nobody_waits_long(settings: Any) -> Any:
    """No engine runs: what is sent is taken back at once, and the test does what an engine would."""
    settings.CLOSE_DEADLINE_SECONDS = 0.8
    yield
    streams.client().delete("orders:{0}")


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


def an_engine_does(action: DealersAction, customer: Customer) -> None:
    tick(send._command(action, customer.pk, ttl_ms=1000))


def test_a_dealer_closes_a_position_and_is_told_the_engines_answer(maker: Client, alice: Customer) -> None:
    order = opens(alice)
    assert offers(maker, "trades_position", order.pk) == {"close_position"}
    url = reverse("admin:trades_position_close_position", args=[order.pk])
    unseen = hidden(maker.get(url))

    assert said(maker.post(url, {**unseen, "reason": "a wrong price"}, follow=True)) == [WAITS]
    action = DealersAction.objects.get()
    an_engine_does(action, alice)

    assert became(order) == ("CLOSED", "operator")
    again = maker.post(url, {**unseen, "reason": "a wrong price"}, follow=True)
    assert said(again) == ["Order closed successfully."]
    assert DealersAction.objects.count() == 1
    assert offers(maker, "trades_order", order.pk) == set()
    text = shown(maker.get(page(ACTION, action.pk)))
    assert "Order closed successfully." in text
    assert "within the limit" in text
    assert f"action {action.pk.hex}" in shown(maker.get(page("trades_order", order.pk)))


def test_a_pending_order_is_cancelled_and_a_customers_positions_are_closed(maker: Client, alice: Customer) -> None:
    waiting, order = places(alice, "buy limit", "39000"), opens(alice)
    assert offers(maker, "trades_order", waiting.pk) == {"cancel_order"}
    assert offers(maker, "trades_marginaccount", alice.pk) == {"close_positions"}

    act(maker, "trades_order_cancel_order", waiting.pk, reason="asked by phone")
    act(maker, "trades_marginaccount_close_positions", alice.pk, reason="asked by phone", symbol="")
    for action in DealersAction.objects.all():
        an_engine_does(action, alice)

    assert (became(waiting), became(order)) == (("CANCELLED", "operator"), ("CLOSED", "operator"))
    text = shown(maker.get(page(ACTION, DealersAction.objects.get(kind="close_all").pk)))
    assert "Closed: 1." in text


def test_a_symbol_takes_a_second_person_and_its_maker_is_not_offered_it(
    maker: Client, checker: Client, alice: Customer
) -> None:
    order = opens(alice)
    told = said(act(maker, f"{ACTION}_close_symbol", reason="delisted", symbol="BTC-USD"))
    assert told == ["It is proposed; a second person orders it."]
    action = DealersAction.objects.get()
    assert (offers(maker, ACTION, action.pk), offers(checker, ACTION, action.pk)) == ({"refuse"}, {"order", "refuse"})

    assert said(act(maker, f"{ACTION}_order", action.pk)) == ["Whoever proposed an action can't order it."]
    assert said(act(checker, f"{ACTION}_order", action.pk)) == [
        "It is ordered; the engines close the positions now. The page says how many are left."
    ]
    entries = streams.client().xrange("orders:{0}")
    assert [fields["c"].count('"actor":"operator"') for _, fields in entries] == [1]
    assert offers(checker, ACTION, action.pk) == {"send_again"}
    an_engine_does(action, alice)
    assert became(order) == ("CLOSED", "operator")
    assert offers(checker, ACTION, action.pk) == set()


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"reason": "x" * 201}, {"once": "x"}, {"symbol": "XXX-USD"}])
def test_what_makes_no_sense_orders_nothing(maker: Client, alice: Customer, wrong: dict[str, str]) -> None:
    opens(alice)
    url = reverse("admin:trades_marginaccount_close_positions", args=[alice.pk])
    answer = maker.post(url, {**hidden(maker.get(url)), "reason": "x", "symbol": "", **wrong})

    assert answer.status_code == 200
    assert not DealersAction.objects.exists()


def test_who_may_not_deal_sees_no_button_and_forges_nothing(alice: Customer) -> None:
    """Guard: `may_deal`, the one place that is asked."""
    order = opens(alice)
    reader = logged_in("reader@firm.example", "trades.view_order", "trades.view_position", "trades.view_dealersaction")

    assert offers(reader, "trades_position", order.pk) == set()
    url = reverse("admin:trades_position_close_position", args=[order.pk])
    assert reader.post(url, {"_form_submitted": "True", "reason": "x"}).status_code == 403
    assert reader.get(reverse(f"admin:{ACTION}_close_symbol")).status_code == 403
    assert not DealersAction.objects.exists()
