"""Forms and dialogs in a real browser: sent once however often somebody clicks, kept while somebody signs in again."""

from __future__ import annotations

import threading

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.models import Customer, JournalEntry, User
from tests.browser.test_admin_in_a_browser import WORD, a_browser, log_in, operator
from tests.given import a_customer
from trades.models import Correction

__all__ = ["operator"]

SIGNED_OUT = "Signed out. Sign in to go on."
HERE_AGAIN = "What you had filled in is here again."
pytestmark = pytest.mark.django_db(transaction=True)


def end_all_sessions() -> None:
    """Playwright has an event loop in this thread, and there Django asks no database."""

    def end() -> None:
        try:
            Session.objects.all().delete()
        finally:
            connection.close()

    one = threading.Thread(target=end)
    one.start()
    one.join()


def opens(page: Page) -> None:
    """Open the dialog; on a narrow screen its link stands in a menu."""
    page.locator("a[hx-get$='propose_adjustment/']").first.evaluate("link => link.click()")


def sign_in_again(page: Page, email: str) -> None:
    expect(page.get_by_text(SIGNED_OUT)).to_be_visible()
    page.fill("#id_username", email)
    page.fill("#id_password", WORD)
    page.click("button[type=submit]")
    expect(page.get_by_text(HERE_AGAIN)).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_a_session_that_ended_loses_nothing_of_a_form_or_a_dialog(
    operator: User, live_server, chromium, scheme: str, width: int
) -> None:
    """Guards: `SignedOutMiddleware`, and `restore` of forms.js."""
    alice = a_customer("alice", with_usd="10_000.00")
    where = f"{live_server.url}{reverse('admin:accounts_customer_change', args=[alice.pk])}"

    with a_browser(chromium, live_server.url, scheme) as (page, troubles):
        log_in(page, live_server.url, operator.email)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(where)
        page.fill("[name=name]", "Alice Liddell")
        page.select_option("[name=state]", "frozen")
        end_all_sessions()
        page.click("[name=_save]")

        sign_in_again(page, operator.email)
        expect(page.locator("[name=name]")).to_have_value("Alice Liddell")
        expect(page.locator("[name=state]")).to_have_value("frozen")
        page.click("[name=_save]")
        expect(page.get_by_text("was changed successfully")).to_be_visible()

        page.goto(where)
        opens(page)
        for name, text in {"amount": "25.00", "reason": "goodwill"}.items():
            page.fill(f"#dialog-form [name={name}]", text)
        end_all_sessions()
        page.get_by_role("button", name="Propose", exact=True).click()

        sign_in_again(page, operator.email)
        expect(page.locator("#dialog-form [name=amount]")).to_have_value("25.00")
        page.get_by_role("button", name="Propose", exact=True).click()
        expect(page.get_by_text("The adjustment is ")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    assert Customer.objects.values_list("name", "state").get(pk=alice.pk) == ("Alice Liddell", "frozen")
    assert Correction.objects.get().reason == "goodwill"
    assert troubles == []


def test_a_double_click_sends_a_dialog_and_a_form_once(operator: User, live_server, chromium) -> None:
    alice = a_customer("alice", with_usd="10_000.00")

    with a_browser(chromium, live_server.url, "light") as (page, troubles):
        log_in(page, live_server.url, operator.email)
        page.goto(f"{live_server.url}{reverse('admin:accounts_customer_change', args=[alice.pk])}")
        opens(page)
        for name, text in {"amount": "25.00", "reason": "goodwill"}.items():
            page.fill(f"#dialog-form [name={name}]", text)
        page.get_by_role("button", name="Propose", exact=True).dblclick()
        expect(page.get_by_text("The adjustment is ")).to_be_visible()

        page.fill("[name=name]", "Alice Liddell")
        page.locator("[name=_save]").dblclick()
        expect(page.get_by_text("was changed successfully")).to_be_visible()

        page.goto(f"{live_server.url}{reverse('admin:accounts_journalentry_changelist')}")
        expect(page.get_by_text("accounts customer propose adjustment")).to_have_count(1)

    begun = JournalEntry.objects.filter(outcome="begun").values_list("deed", flat=True).order_by("pk")
    assert list(begun) == ["accounts_customer_propose_adjustment", "accounts_customer_change"]
    assert troubles == []
