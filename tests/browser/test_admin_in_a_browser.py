"""An operator's walk through the admin with a real browser: styles, scripts and dialogs included."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.urls import reverse
from playwright.sync_api import Page, expect, sync_playwright

from accounts.models import Break, User
from tests.given import a_customer, a_settling_buy, btc, btc_at, every_price_at_its_start, usd
from tests.trades.engine_steps import closes, judges, opens
from trades.admin.navigation import GROUPS

WORD = "a long enough word"
expect.set_options(timeout=30_000)  # milliseconds, as for everything else here: two cores are shared
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def a_browser(chromium: str, home: str, scheme: str) -> Iterator[tuple[Page, list[str]]]:
    """A page, and everything that went wrong in it: scripts, missing files, requests to other hosts."""
    troubles: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        page = browser.new_page(color_scheme=scheme, viewport={"width": 1400, "height": 900})
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.on("response", lambda answer: troubles.append(answer.url) if answer.status >= 400 else None)
        page.on("request", lambda asked: None if asked.url.startswith((home, "data:")) else troubles.append(asked.url))
        try:
            yield page, troubles
        finally:
            browser.close()


def elsewhere(does: Callable[[], object]) -> None:
    """Playwright runs a loop in this thread, in which Django asks no database."""

    def and_hang_up() -> None:
        try:
            does()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(and_hang_up).result()


def log_in(page: Page, home: str, email: str) -> None:
    page.goto(f"{home}/admin/")
    page.fill("#id_username", email)
    page.fill("#id_password", WORD)
    page.click("button[type=submit]")
    expect(page.get_by_text("Open positions").first).to_be_visible()


@pytest.fixture
def operator(transactional_db: None) -> User:
    return User.objects.create_superuser("operator@example.com", WORD)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.django_db(transaction=True)
def test_an_operator_logs_in_and_walks_every_list(operator, live_server, chromium, scheme):
    lists = [reverse(f"admin:{model}_changelist") for _, entries in GROUPS for _, _, model in entries]
    every_price_at_its_start()

    with a_browser(chromium, live_server.url, scheme) as (page, troubles):
        log_in(page, live_server.url, operator.email)
        links = page.locator("#nav-sidebar a, nav a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        assert set(lists) <= set(links)
        for path in lists:
            page.goto(f"{live_server.url}{path}")
            expect(page).to_have_title(re.compile(r"\| Brokerage admin$"))

    assert troubles == []


@pytest.mark.django_db(transaction=True)
def test_an_operator_cuts_a_batch_in_a_dialog_and_looks_at_its_trades(operator, live_server, chromium):
    every_price_at_its_start()
    bought = a_settling_buy(a_customer("alice", with_usd="10_000.00"), btc("0.1"))
    assert bought.deliver_amount > usd("4_000.00")

    with a_browser(chromium, live_server.url, "light") as (page, troubles):
        log_in(page, live_server.url, operator.email)
        page.goto(f"{live_server.url}{reverse('admin:trades_settlementbatch_changelist')}")
        page.get_by_role("link", name="Cut now").click()
        expect(page.get_by_text("a second person does")).to_be_visible()
        expect(page.get_by_text("of 1 customer.")).to_be_visible()
        page.get_by_role("button", name="Cut", exact=True).click()

        expect(page.get_by_text("1 trades were cut into batch")).to_be_visible()
        page.locator("#result_list a").first.click()
        expect(page.get_by_text("Settlement legs").first).to_be_visible()
        page.get_by_role("link", name="its trades").click()
        expect(page.get_by_text("0.10 BTC")).to_be_visible()

    assert troubles == []


def answer(page: Page, action: str, button: str, **fields: str) -> None:
    """Open an action's dialog on the page at hand, fill it in and submit it."""
    page.get_by_role("link", name=action).click()
    for name, text in fields.items():
        page.fill(f"#dialog-form [name={name}]", text)
    page.get_by_role("button", name=button, exact=True).click()


@pytest.mark.django_db(transaction=True)
def test_a_maker_cuts_a_checker_confirms_and_a_leg_that_came_short_is_a_break(live_server, chromium):
    """Fault 34 with two real browsers: what the maker cut, the maker can't confirm; the checker can."""
    home = live_server.url
    maker, checker = (User.objects.create_superuser(f"{name}@firm.example", WORD) for name in ("maker", "checker"))
    every_price_at_its_start()
    a_settling_buy(a_customer("alice", with_usd="10_000.00"), btc("0.1"))

    with a_browser(chromium, home, "light") as (page, troubles):
        log_in(page, home, maker.email)
        page.goto(f"{home}{reverse('admin:trades_settlementbatch_changelist')}")
        page.get_by_role("link", name="Cut now").click()
        page.check("#dialog-form [name=report_legs]")
        page.get_by_role("button", name="Cut", exact=True).click()
        expect(page.get_by_text("1 trades were cut into batch")).to_be_visible()
        page.locator("#result_list a").first.click()
        expect(page.get_by_role("link", name="its trades")).to_be_visible()
        batch = page.url
        expect(page.get_by_role("link", name="Propose reversal")).to_be_hidden()
        expect(page.get_by_role("link", name="Confirm", exact=True)).to_be_hidden()
    assert troubles == []

    with a_browser(chromium, home, "light") as (page, troubles):
        log_in(page, home, checker.email)
        page.goto(batch)
        answer(page, "Confirm", "Confirm")
        expect(page.get_by_text("The batch is confirmed")).to_be_visible()
        answer(page, "Settle now", "Settle")
        expect(page.get_by_text("wait for the legs of BTC, USD")).to_be_visible()

        page.locator(".field-leg_link a", has_text="BTC").click()
        answer(page, "Report settled, or a part", "Report it", actual="a lot")
        expect(page.get_by_text("is not an amount")).to_be_visible()
        page.fill("#dialog-form [name=actual]", "0.09")
        page.fill("#dialog-form [name=reference]", "wire-1")
        page.check("#dialog-form [name=final]")
        page.get_by_role("button", name="Report it", exact=True).click()
        expect(page.get_by_text("that is still expected")).to_be_visible()
        page.check("#dialog-form [name=confirmed]")
        page.get_by_role("button", name="Report it", exact=True).click()
        expect(page.get_by_text("with a difference: there is a break")).to_be_visible()

        page.goto(f"{home}{reverse('admin:accounts_break_changelist')}")
        expect(page.get_by_text("-0.01 BTC")).to_be_visible()
    assert troubles == []


@pytest.mark.django_db(transaction=True)
def test_an_operator_follows_a_margin_call_from_the_dashboard_to_what_happened(operator, live_server, chromium):
    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="1_000.00")
    order = opens(alice, quantity="0.2", leverage=10, trailingStop="5000")
    part = closes(alice, order, quantity="0.01")
    btc_at("38_900.00")
    judges(alice)

    with a_browser(chromium, live_server.url, "light") as (page, troubles):
        log_in(page, live_server.url, operator.email)
        page.locator("#dashboard a", has_text="Margin calls").click()
        page.locator("#result_list th a", has_text="alice").click()
        expect(page.get_by_text("margin level", exact=False).first).to_be_visible()
        page.locator(".admin-table a", has_text=order.code).first.click()
        expect(page.get_by_text("behind the best price since")).to_be_visible()
        expect(page.get_by_role("link", name=part.code)).to_be_visible()
        page.goto(f"{live_server.url}{reverse('admin:trades_orderevent_changelist')}?kind=reduced")
        expect(page.locator("#result_list tbody tr")).to_have_count(1)
        expect(page.get_by_text("1 order event", exact=True)).to_be_visible()

    assert troubles == []


@pytest.mark.django_db(transaction=True)
def test_a_statement_is_uploaded_and_its_drift_is_shown(operator, live_server, chromium):
    with a_browser(chromium, live_server.url, "light") as (page, troubles):
        log_in(page, live_server.url, operator.email)
        page.goto(f"{live_server.url}{reverse('admin:accounts_reconciliationrun_add')}")
        statement = {"name": "bank.csv", "mimeType": "text/csv", "buffer": b"asset,balance\nUSD,70.00\n"}
        page.set_input_files("[name=statement]", [statement])
        page.fill("[name=as_of_0]", "2026-01-01")
        page.fill("[name=as_of_1]", "00:00:00")
        page.locator("[name=_save]").click()

        expect(page.get_by_text("each asset that drifts has an open break")).to_be_visible()
        expect(page.get_by_text("+70.00 USD")).to_be_visible()

    assert troubles == []


@pytest.mark.django_db(transaction=True)
def test_the_dashboard_refreshes_itself_and_its_tab_counts_what_waits(operator, live_server, chromium):
    every_price_at_its_start()
    with a_browser(chromium, live_server.url, "light") as (page, troubles):
        page.clock.install()
        log_in(page, live_server.url, operator.email)
        expect(page).to_have_title("Dashboard | Brokerage admin")
        page.locator("#dashboard a").first.focus()
        focused = page.evaluate("document.activeElement.getAttribute('href')")
        terms = {"kind": "leg_difference", "asset_id": "BTC", "amount": 1, "opened_at": "2026-01-01T00:00:00Z"}
        elsewhere(lambda: Break.objects.create(**terms, owner=operator))

        page.clock.fast_forward(5_100)

        expect(page).to_have_title("(1) Dashboard | Brokerage admin")
        expect(page.get_by_text("Explain your break")).to_be_visible()
        assert page.evaluate("document.activeElement.getAttribute('href')") == focused
        elsewhere(lambda: Session.objects.all().delete())
        page.clock.fast_forward(5_100)
        expect(page.get_by_text("Signed out. Sign in to go on")).to_be_visible()

    assert troubles == []
