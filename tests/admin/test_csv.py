"""A list as CSV: what its filters leave, whole, in pieces, without formulas; and names that are too long to show."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.admin import export
from accounts.models import Customer
from tests.admin.actions import logged_in
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import closes, opens

pytestmark = pytest.mark.django_db

ORDERS = "admin:trades_order_changelist"
LONG = "A name that somebody has signed up with " * 5


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


def rows(client: Client, page: str, **query: str) -> list[dict[str, str]]:
    answer: Any = client.get(reverse(page), {**query, "csv": "1"})
    assert answer.status_code == 200, answer
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_all_that_the_filters_leave_comes_whole_and_in_pieces(
    browser: Client, alice: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: the keyset in `_chunks`; one row a piece, and none twice or left out."""
    monkeypatch.setattr(export, "CHUNK", 1)
    orders = [opens(alice, quantity="0.1") for _ in range(4)]
    closes(alice, orders[0])

    found = rows(browser, ORDERS)
    assert [one["id"] for one in found] == [order.pk.hex for order in reversed(orders)]
    assert found[0]["Order"] == orders[3].code
    (closed,) = rows(browser, ORDERS, status__exact="CLOSED")
    assert (closed["id"], closed["Status"], closed["Profit"]) == (orders[0].pk.hex, "closed manual", "0.00 USD")
    assert len(rows(browser, ORDERS, q=orders[1].code)) == 1
    btc_at("41_000.00")
    positions = rows(browser, "admin:trades_position_changelist")
    assert [one["Floating profit"] for one in positions] == ["'+100.00 USD"] * 3
    text = browser.get(reverse(ORDERS), {"status__exact": "CLOSED", "p": "1"}).content.decode()
    assert "?csv=1&amp;status__exact=CLOSED" in text


def test_a_name_that_begins_like_a_formula_is_shown_and_not_calculated(browser: Client, alice: Customer) -> None:
    """Guard: `cell`. A spreadsheet would run what a customer has signed up with."""
    Customer.objects.filter(pk=alice.pk).update(name='=HYPERLINK("http://evil.example","x")')

    (found,) = rows(browser, "admin:accounts_customer_changelist")

    assert found["Customer"] == '\'=HYPERLINK("http://evil.example","x")'


def test_odd_filters_lead_back_and_who_may_not_look_gets_nothing(browser: Client, alice: Customer) -> None:
    url = reverse(ORDERS)
    for odd in ({"nonsense": "1"}, {"status__exact": "\x00"}, {"p": "-5"}):
        assert browser.get(url, {**odd, "csv": "1"}).status_code in (200, 302)
    assert logged_in("reader@firm.example", "trades.view_trade").get(url, {"csv": "1"}).status_code == 403
    assert Client().get(url, {"csv": "1"}).status_code == 302
    assert browser.get(reverse("admin:accounts_user_changelist"), {"csv": "1"}).status_code == 302  # is none to export


def test_a_long_name_is_cut_with_the_whole_of_it_in_the_tooltip(browser: Client, alice: Customer) -> None:
    Customer.objects.filter(pk=alice.pk).update(name=LONG)
    opens(alice)

    for page in ("admin:accounts_customer_changelist", "admin:trades_position_changelist", "admin:index"):
        text = browser.get(reverse(page)).content.decode()
        assert f'<span class="admin-cut" title="{LONG}">{LONG}</span>' in text, page
    assert rows(browser, "admin:trades_position_changelist")[0]["Customer"] == LONG.strip()
