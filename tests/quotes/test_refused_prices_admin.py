"""Refused prices in the admin: seen in the list, accepted by a button, written down."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from quotes import prices
from tests.admin.actions import act, logged_in, offers, page, said, shown

pytestmark = pytest.mark.django_db

ACTION = "quotes_instrument_accept_refused"


def feed_says(bid: str, ask: str, symbol: str = "BTC-USD") -> None:
    prices.publish([(symbol, Decimal(bid), Decimal(ask))])


def seen_by(client: Client) -> str:
    """The refused price that the open dialog carries along."""
    text = client.get(reverse(f"admin:{ACTION}", args=["BTC-USD"])).content.decode()
    carried = re.search(r'name="seen"[^>]*value="([^"]*)"', text)
    return carried[1] if carried else ""


@pytest.fixture
def browser() -> Client:
    """At it sits somebody who may hold prices and halt markets, and no more."""
    deeds = ("accounts.hold_price", "accounts.halt_market")
    return logged_in("ann@firm.example", "quotes.view_instrument", *deeds)


@pytest.fixture
def _refused() -> None:
    feed_says("42000", "42010")
    feed_says("420000", "420100")


@pytest.mark.usefixtures("_refused")
def test_a_refused_price_stands_in_the_list_and_on_the_instruments_page(browser):
    text = shown(browser.get(reverse("admin:quotes_instrument_changelist")))
    assert "refused 420000 / 420100" in text
    assert "42,000.00" in text

    assert "refused 420000 / 420100" in shown(browser.get(page("quotes_instrument", "BTC-USD")))
    assert "refused 4" not in shown(browser.get(page("quotes_instrument", "ETH-USD")))


@pytest.mark.usefixtures("_refused")
def test_the_button_is_there_while_something_is_refused_and_for_whoever_may_press_it(browser):
    assert offers(browser, "quotes_instrument", "BTC-USD") == {"accept_refused", "switch"}
    assert offers(browser, "quotes_instrument", "ETH-USD") == {"switch"}

    looker = logged_in("bob@firm.example", "quotes.view_instrument")
    assert offers(looker, "quotes_instrument", "BTC-USD") == set()
    assert looker.post(reverse(f"admin:{ACTION}", args=["BTC-USD"])).status_code == 403


@pytest.mark.usefixtures("_refused")
def test_the_dialog_shows_both_prices_and_accepting_makes_the_refused_one_count_and_is_written_down(browser):
    text = shown(browser.get(reverse(f"admin:{ACTION}", args=["BTC-USD"])))
    assert "42,000" in text
    assert "420,100" in text

    answer = act(browser, ACTION, "BTC-USD", seen=seen_by(browser))

    assert said(answer) == ["Accepted: the feed's next prices are compared with it."]
    assert prices.latest().by_symbol["BTC-USD"].bid == 420_000
    (entry,) = LogEntry.objects.all()
    assert (str(entry.user), entry.object_id) == ("ann@firm.example", "BTC-USD")
    assert "420000 / 420100" in shown(browser.get(reverse("admin:quotes_instrument_history", args=["BTC-USD"])))


@pytest.mark.usefixtures("_refused")
def test_nobody_accepts_another_price_than_they_saw(browser):
    seen = seen_by(browser)
    feed_says("4.9", "5")

    answer = act(browser, ACTION, "BTC-USD", seen=seen)

    assert said(answer) == ["The refused price has moved on since you saw it: look again."]
    assert prices.latest().by_symbol["BTC-USD"].bid == 42_000
    assert LogEntry.objects.latest("pk").change_message.startswith("Not accepted after all")


@pytest.mark.parametrize("seen", ["", "rubbish", "420000|420100|0"])
def test_where_nothing_is_refused_the_dialog_says_so_and_changes_nothing(browser, seen):
    feed_says("42000", "42010")

    answer = act(browser, ACTION, "BTC-USD", seen=seen)

    assert said(answer) == ["No price of this symbol is refused at the moment."]
    assert prices.latest().by_symbol["BTC-USD"].bid == 42_000
    assert all("Not accepted" in entry.change_message for entry in LogEntry.objects.order_by("-pk")[:1])


def test_the_swap_of_an_instrument_is_explained_where_it_is_set(browser):
    text = shown(browser.get(page("quotes_instrument", "EUR-USD")))

    assert "Overnight swap" in text
    assert "Paid to a buy position held overnight" in text
    assert "no price until an operator accepts it" in text


def test_an_instrument_that_does_not_exist_has_nothing_to_accept(browser):
    answer = act(browser, ACTION, "NO-PE", seen="1|1|0")

    assert answer.status_code == 200
    assert not LogEntry.objects.exists()
