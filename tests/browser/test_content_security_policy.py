"""Every page of the admin obeys its Content-Security-Policy: the browser's console complains of nothing."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import NoReverseMatch, reverse

from accounts.models import User
from tests.browser.test_admin_in_a_browser import WORD, a_browser, log_in
from tests.given import a_customer, a_settling_buy, btc, btc_at, every_price_at_its_start
from tests.trades.engine_steps import opens


def pages() -> list[str]:
    """Each model's list and form of a new row, where it has them, and the other pages of the site."""
    found = [reverse(f"admin:{name}") for name in ("index", "password_change")]
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        for page in ("changelist", "add"):
            try:
                found.append(reverse(f"admin:{name}_{page}"))
            except NoReverseMatch:
                continue
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(300)
def test_no_page_of_the_admin_violates_its_policy(live_server, chromium):
    """Guard: the directives of PAGE_POLICIES. Without "data:" in img-src, say, the first page complains."""
    operator = User.objects.create_superuser("operator@example.com", WORD)
    every_price_at_its_start()
    alice = a_customer("alice", with_usd="10_000.00")
    a_settling_buy(alice, btc("0.1"))
    btc_at("42_000.00")
    opens(alice)
    complaints: list[str] = []

    with a_browser(chromium, live_server.url, "light") as (page, _):
        page.on("console", lambda said: complaints.append(f"{page.url}: {said.text}"))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        answer = page.goto(f"{live_server.url}{reverse('admin:login')}")
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self' 'unsafe-eval'" in [one.strip() for one in policy.split(";")]  # in whatever order
        log_in(page, live_server.url, operator.email)
        for path in pages():
            page.goto(f"{live_server.url}{path}")
            row = page.locator("#result_list tbody th a").first
            if row.count():
                row.click()
                page.wait_for_load_state()

    policy = [line for line in complaints if "Content Security Policy" in line or "Refused" in line or "eval" in line]
    assert policy == []


@pytest.mark.django_db(transaction=True)
def test_a_script_that_somebody_wrote_into_a_page_does_not_run(live_server, chromium):
    """Guard: script-src without 'unsafe-inline'."""
    with a_browser(chromium, live_server.url, "light") as (page, troubles):
        page.goto(f"{live_server.url}{reverse('admin:login')}")
        page.evaluate(
            "() => { const one = document.createElement('script');"
            " one.textContent = 'window.itRan = true'; document.body.append(one) }"
        )
        assert page.evaluate("() => window.itRan") is None

    assert any("Content Security Policy" in said for said in troubles)


@pytest.mark.django_db(transaction=True)
def test_the_api_document_is_shown_within_its_policy(live_server, chromium):
    """Guard: the script of `SpectacularSwaggerSplitView` is a file: in the page it is refused."""
    with a_browser(chromium, live_server.url, "light") as (page, troubles):
        page.goto(f"{live_server.url}/api/docs/")
        page.locator("#swagger-ui .opblock").first.wait_for()

    assert [said for said in troubles if "Content Security Policy" in said] == []
