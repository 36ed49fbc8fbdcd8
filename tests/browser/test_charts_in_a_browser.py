"""Charts in a real browser: drawn in both schemes and widths, without a request to anybody else, beside a table."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts import clock
from accounts.models import User
from quotes.candles import make_months, minute_of
from quotes.models import Candle
from tests.browser.test_admin_in_a_browser import a_browser, log_in, operator
from tests.browser.test_report_legs_in_a_browser import is_too_wide
from tests.given import a_customer, a_cut, a_settling_buy, btc, every_price_at_its_start
from tests.trades.engine_steps import opens

__all__ = ["operator"]

pytestmark = pytest.mark.django_db(transaction=True)

COLOURS = """() => {
    const canvas = document.querySelector("[data-chart] canvas");
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return data.some((one) => one !== 0);
}"""


def is_drawn(page: Page) -> None:
    expect(page.locator("[data-chart] canvas").first).to_be_visible()
    page.wait_for_function(COLOURS)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 390)])
def test_each_chart_is_drawn_and_can_be_read_as_a_table(
    operator: User, live_server, chromium, scheme: str, width: int
) -> None:
    every_price_at_its_start()
    alice = a_customer("alice", with_usd="50_000.00")
    opens(alice, quantity="0.1")
    a_settling_buy(alice, btc("0.1"))
    batch = a_cut()
    last = minute_of(clock.now())
    make_months([last, last - timedelta(hours=3)])
    for number in range(180):
        price = Decimal(42_000 + 10 * (number % 17))
        minute = last - timedelta(minutes=number)
        row = {"open": price, "high": price + 5, "low": price - 5, "close": price + 3}
        Candle.objects.create(instrument_id="BTC-USD", minute=minute, **row)
    pages = [
        f"{reverse('admin:trades_position_exposure')}?symbol=BTC-USD",
        f"{reverse('admin:trades_settlementbatch_settlement_of_a_day')}?day={batch.cut_at.date()}",
        reverse("admin:accounts_customer_change", args=[alice.pk]),
    ]

    with a_browser(chromium, live_server.url, scheme) as (page, troubles):
        log_in(page, live_server.url, operator.email)
        page.set_viewport_size({"width": width, "height": 900})
        for path in pages:
            page.goto(f"{live_server.url}{path}")
            if "customer" in path:
                page.locator("nav a", has_text="Money").last.click()
            is_drawn(page)
            assert not is_too_wide(page), path
            summary = page.locator(".admin-chart summary")
            summary.focus()
            page.keyboard.press("Enter")
            expect(page.locator(".admin-chart table").first).to_be_visible()
            assert not is_too_wide(page), path

    assert troubles == []
