"""What a page shows to whom, what it is called, and what it says where it is empty."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts import deeds
from tests.admin.actions import browser_with, page, shown
from tests.given import a_customer, a_settling_buy, btc, btc_at
from tests.trades.engine_steps import closes, opens

pytestmark = pytest.mark.django_db


def test_movements_are_shown_to_whoever_may_read_the_ledger_and_to_nobody_else(bought_and_closed):
    """Guard: `get_fieldsets` of BoundedAdmin. A dealer read there what the ledger's pages refuse."""
    order, trade = bought_and_closed
    for name, row in (("trades_order", order), ("trades_trade", trade)):
        for role in deeds.ROLES:
            if name in deeds.READS[role]:
                text = shown(browser_with(role).get(page(name, row.pk)))
                assert ("Movements" in text) == ("accounts_transfer" in deeds.READS[role]), (name, role)


@pytest.fixture
def bought_and_closed():
    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="50_000.00")
    order = opens(alice, quantity="0.1")
    closes(alice, order)
    return order, a_settling_buy(alice, btc("0.1"))


def test_exposure_and_result_are_named_by_themselves(browser):
    for name in ("exposure", "result"):
        text = browser.get(reverse(f"admin:trades_position_{name}")).content.decode()
        title = {"exposure": "Exposure", "result": "The firm&#x27;s result"}[name]
        header = text[text.index("<h1") : text.index("</h1>")]
        assert title in header
        assert "Open positions" not in header


def test_an_empty_list_says_where_its_rows_come_from(browser):
    assert "No dealer has closed a position" in shown(browser.get(reverse("admin:trades_dealersaction_changelist")))
    filtered = browser.get(reverse("admin:trades_dealersaction_changelist"), {"state__exact": "refused"})
    assert "Nothing fits the search and the filters." in shown(filtered)
