"""What a page shows to whom, what it is called, and what it says where it is empty."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import deeds
from accounts.identity import SYSTEM
from tests.admin.actions import browser_with, page, shown
from tests.given import a_customer, a_settling_buy, btc, btc_at
from tests.trades.engine_steps import closes, opens
from tests.trades.settlement.test_leg_history import long_ago
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.settle import settle

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


def test_the_sidebar_marks_one_page(browser):
    """Guard: `_mark`. Exposure's address begins with that of open positions."""
    for name, title in (("position_exposure", "Exposure"), ("position_changelist", "Open positions")):
        groups = browser.get(reverse(f"admin:trades_{name}")).context["sidebar_navigation"]
        assert [item["title"] for group in groups for item in group["items"] if item["active"]] == [title]


def test_a_leg_whose_day_is_not_over_is_due_and_not_late(browser):
    btc_at("40_000.00")
    a_settling_buy(a_customer("bob", with_usd="50_000.00"), btc("0.1"))
    tomorrow = timezone.now() + timedelta(days=1)  # so that its day isn't over, whatever the time is now
    batch = cut_now(at=tomorrow, by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now):
        pass

    assert re.search(r"Report a leg (BTC|USD) due \d{4}-", shown(browser.get("/admin/")))
    for leg in batch.legs.all():
        long_ago(leg)
    assert re.search(r"Report a leg (BTC|USD) since \d{4}-", shown(browser.get("/admin/")))


def test_an_empty_list_says_where_its_rows_come_from(browser):
    assert "No dealer has closed a position" in shown(browser.get(reverse("admin:trades_dealersaction_changelist")))
    filtered = browser.get(reverse("admin:trades_dealersaction_changelist"), {"state__exact": "refused"})
    assert "Nothing fits the search and the filters." in shown(filtered)
