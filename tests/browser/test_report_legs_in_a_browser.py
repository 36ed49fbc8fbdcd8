"""The form of all legs in a real browser: a row a leg, at both widths, and its warning."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.identity import SYSTEM
from accounts.models import User
from tests.browser.test_admin_in_a_browser import a_browser, elsewhere, log_in, operator
from tests.given import a_customer, a_settling_buy, btc, every_price_at_its_start
from trades.models import SettlementLeg
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.settle import settle

__all__ = ["operator"]

pytestmark = pytest.mark.django_db(transaction=True)


def is_too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 390)])
def test_all_legs_are_reported_and_what_differs_is_asked_about(
    operator: User, live_server, chromium, scheme: str, width: int
) -> None:
    every_price_at_its_start()
    a_settling_buy(a_customer("alice", with_usd="10_000.00"), btc("0.1"))
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now):
        pass

    with a_browser(chromium, live_server.url, scheme) as (page, troubles):
        log_in(page, live_server.url, operator.email)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{live_server.url}{reverse('admin:trades_settlementbatch_report_legs', args=[batch.pk])}")
        expect(page.locator("fieldset.admin-leg")).to_have_count(2)
        assert not is_too_wide(page)
        page.fill("[name=BTC-actual]", "0.09")
        page.fill("[name=BTC-reference]", "wire-1")
        page.get_by_role("button", name="Report them").click()
        expect(page.get_by_text("0.09 BTC differs by more than 1 %")).to_be_visible()
        assert not is_too_wide(page)
        page.get_by_label("I have looked at the amounts that differ").check()
        page.get_by_role("button", name="Report them").click()
        expect(page.get_by_text("The rest is still expected of BTC.")).to_be_visible()

    assert troubles == []
    found: list[str] = []
    elsewhere(lambda: found.extend(SettlementLeg.objects.values_list("status", flat=True).order_by("asset_id")))
    assert found == ["partially_settled", "pending"]
