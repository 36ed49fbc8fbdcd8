"""The form of a settlement window: what an edit means is said, and none moves money."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import clock
from accounts.models import Customer
from tests.admin.actions import edited, page, said, shown
from tests.given import a_customer, a_settling_buy, btc, btc_at, states
from tests.windows import scheduled
from trades.models import SettlementWindow
from trades.settlement.cut import cut_due
from trades.settlement.windows import due_cut

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def window() -> SettlementWindow:
    """Crypto's, of every minute, for an hour; the others are off."""
    SettlementWindow.objects.exclude(asset_kind="crypto").update(is_active=False)
    crypto = SettlementWindow.objects.filter(asset_kind="crypto")
    scheduled(crypto, cron="* * * * *", time_zone="UTC", calendar="", since=timezone.now() - timedelta(hours=1))
    return crypto.get()


def form_of(window: SettlementWindow, **changed: str) -> dict[str, str]:
    kept = {"name": window.name, "cron": window.cron, "time_zone": window.time_zone, "calendar": window.calendar}
    kept |= {"netting": window.netting, "value_days": str(window.value_days)}
    return {**kept, "is_active": "on", "is_automatic": "on", "legs_are_automatic": "on", **changed}


def test_saving_a_form_cuts_nothing_and_says_what_is_not_made_and_what_comes(browser, window, alice):
    """Before, it completed a backdated batch in three seconds."""
    bought = a_settling_buy(alice, btc("0.1"))
    due, url = due_cut(window, clock.now()), page("trades_settlementwindow", window.pk)

    answer = edited(browser, url, form_of(window, cron="30 12 * * *"), follow=True)

    told = said(answer)
    assert any(f"The cut of {due:%Y-%m-%d %H:%M:%S} UTC was due and is not made any more" in one for one in told)
    assert any("Its next cuts (UTC): " in one and one.count("12:30:00") == 3 for one in told), told
    assert cut_due(clock.now()) == []
    assert states(bought) == ["settling"]
    since = SettlementWindow.objects.get(pk=window.pk).schedule_since
    assert f"{since:%Y-%m-%d %H:%M:%S}" in shown(browser.get(url))


def test_saving_a_form_without_a_change_leaves_what_is_due_due(browser, window):
    told = said(edited(browser, page("trades_settlementwindow", window.pk), form_of(window), follow=True))

    assert not any("not made any more" in one for one in told)
    assert due_cut(SettlementWindow.objects.get(pk=window.pk), clock.now()) is not None
