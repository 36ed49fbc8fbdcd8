"""Every page of the admin: it opens, it costs a fixed number of queries, it lets nobody write what it shows."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from quotes import references, symbols
from tests.admin.many_rows import many_rows
from tests.given import every_price_at_its_start
from trades.admin.order_events import account_currency
from trades.currency import decimals

ALL = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry)
READ_ONLY = {
    "auth_group",
    "accounts_asset",
    "accounts_backup",
    "accounts_break",
    "accounts_answeredrequest",
    "accounts_externalbankaccount",
    "accounts_journalentry",
    "accounts_ledgeraccount",
    "accounts_ledgeraudit",
    "accounts_rowversion",
    "accounts_sealblock",
    "accounts_transfer",
    "accounts_webhookattempt",
    "accounts_webhookdelivery",
    "quotes_candle",
    "quotes_feedlease",
    "quotes_instrumentchange",
    "quotes_marketswitch",
    "quotes_pricehold",
    "quotes_quote",
    "trades_clientclasschange",
    "trades_controlchange",
    "trades_risklimit",
    "trades_correction",
    "trades_dealersaction",
    "trades_counterparty",
    "trades_enginelease",
    "trades_idempotentanswer",
    "trades_leftout",
    "trades_erasure",
    "trades_marginaccount",
    "trades_order",
    "trades_orderevent",
    "trades_payment",
    "trades_paymentfile",
    "trades_position",
    "trades_settlementbatch",
    "trades_settlementinstruction",
    "trades_settlementleg",
    "trades_standinginstruction",
    "trades_statemententry",
    "trades_statementfile",
    "trades_swaprun",
    "trades_trade",
    "trades_tradeflag",
}
# Made here, and never changed.
WRITTEN_ONCE = {"accounts_reconciliationrun", "accounts_webhooksubscription", "quotes_tradinghours"}
NEVER_DELETED = {
    "accounts_apiclient",
    "accounts_customer",
    "accounts_user",
    "quotes_instrument",
    "trades_settlementwindow",
}
BY_THE_SYSTEM = {"accounts_customer"}  # edited, but not made here

pytestmark = pytest.mark.django_db


def model_of(name: str) -> type:
    return next(m for m in admin.site._registry if f"{m._meta.app_label}_{m._meta.model_name}" == name)


def list_of(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def queries_of(browser: Client, url: str) -> int:
    """How many queries a page takes, once what is kept per process is known."""
    symbols.instruments(), account_currency(), decimals()
    with CaptureQueriesContext(
        connection,
    ) as asked:
        answer = browser.get(url)
    assert answer.status_code == 200, url
    kept = (references.LAST, '"switched_at"')  # what is read again where a second has passed
    return sum(not any(one in query["sql"] for one in kept) for query in asked.captured_queries)


def test_the_admin_has_a_page_for_everything_an_operator_works_with():
    assert set(ALL) == READ_ONLY | NEVER_DELETED | WRITTEN_ONCE | {
        "django_celery_beat_crontabschedule",
        "django_celery_beat_intervalschedule",
        "django_celery_beat_periodictask",
    }


def test_no_list_issues_a_query_per_row(browser, monkeypatch):
    monkeypatch.setattr(symbols, "KEPT_SECONDS", 600)  # read once, however long a busy machine takes over the pages
    every_price_at_its_start()
    many_rows(5)
    symbols.forget()
    few = {name: queries_of(browser, list_of(name)) for name in ALL}

    many_rows(45, start=5)
    symbols.forget()
    many = {name: queries_of(browser, list_of(name)) for name in ALL}

    assert many == few
    assert max(many.values()) <= 12


def test_no_page_of_a_row_issues_a_query_per_row_around_it(browser, monkeypatch):
    monkeypatch.setattr(symbols, "KEPT_SECONDS", 600)
    every_price_at_its_start()
    many_rows(5)
    pages = {name: reverse(f"admin:{name}_change", args=[model_of(name)._default_manager.last().pk]) for name in ALL}
    for url in pages.values():
        browser.get(url)
    symbols.forget()
    few = {name: queries_of(browser, url) for name, url in pages.items()}

    many_rows(45, start=5)
    symbols.forget()
    many = {name: queries_of(browser, url) for name, url in pages.items()}

    assert many == few
    assert max(many.values()) <= 23


def test_the_dashboard_costs_the_same_with_few_rows_and_with_many(browser, monkeypatch):
    monkeypatch.setattr(symbols, "KEPT_SECONDS", 60)  # read once, however long a busy machine takes over the page
    every_price_at_its_start()
    many_rows(5)
    symbols.forget()  # it is read anew every second
    few = queries_of(browser, "/admin/")

    many_rows(45, start=5)

    symbols.forget()
    # Two of them in a sandbox alone: where the firm's day begins and ends among real ids.
    assert queries_of(browser, "/admin/") == few <= 34


@pytest.mark.parametrize("name", sorted(READ_ONLY))
def test_what_only_the_system_writes_can_be_read_and_nothing_else(browser, name):
    many_rows(1)
    row = model_of(name)._default_manager.last()
    page = reverse(f"admin:{name}_change", args=[row.pk])

    assert browser.get(reverse(f"admin:{name}_add")).status_code == 403
    assert browser.post(page, {}).status_code == 403
    assert browser.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert b'name="_save"' not in browser.get(page).content


@pytest.mark.parametrize("name", sorted(WRITTEN_ONCE))
def test_what_is_written_once_is_neither_changed_nor_deleted(browser, name):
    many_rows(1)
    row = model_of(name)._default_manager.last()
    page = reverse(f"admin:{name}_change", args=[row.pk])

    assert browser.post(page, {}).status_code == 403
    assert browser.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert b'name="_save"' not in browser.get(page).content


@pytest.mark.parametrize("name", sorted(NEVER_DELETED))
def test_what_operators_edit_is_never_deleted(browser, name):
    many_rows(1)
    row = model_of(name)._default_manager.last()

    assert browser.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert b'name="_save"' in browser.get(reverse(f"admin:{name}_change", args=[row.pk])).content


@pytest.mark.parametrize("name", sorted(set(ALL) - READ_ONLY))
def test_a_new_row_can_be_begun_where_operators_make_them(browser, name):
    answer = browser.get(reverse(f"admin:{name}_add"))

    assert answer.status_code == (403 if name in BY_THE_SYSTEM else 200)


@pytest.mark.parametrize("name", ALL)
def test_a_list_answers_any_search_without_breaking(browser, name):
    for sought in ("nothing", "0" * 32, "somebody@example.com", "ord_0123456789abcdef", "' OR 1=1", "\x00", "💥"):
        assert browser.get(list_of(name), {"q": sought}).status_code == 200


@pytest.mark.parametrize("name", ALL)
def test_an_id_that_does_not_exist_leads_back_and_never_breaks(browser, name):
    for pk in ("0" * 32, "nonsense", "99999", "\x00"):
        answer = browser.get(reverse(f"admin:{name}_change", args=[pk]))
        assert answer.status_code in {302, 404}, pk


@pytest.mark.parametrize("name", ALL)
def test_somebody_who_is_not_staff_sees_nothing(name):
    client = Client()
    assert client.get(list_of(name)).status_code == 302

    client.force_login(User.objects.create_user("trader@example.com", "a long enough word"))
    assert client.get(list_of(name)).status_code == 302


def test_staff_without_a_right_sees_neither_list_nor_entry():
    client = Client()
    client.force_login(User.objects.create_user("new@example.com", "a long enough word", is_staff=True))

    assert client.get(list_of("trades_order")).status_code == 403
    assert list_of("trades_order") not in client.get("/admin/").content.decode()
