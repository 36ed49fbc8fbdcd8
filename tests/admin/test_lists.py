"""Lists by day, by time and as a workbook: by the key's index, whole, in pieces, without formulas."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import reverse
from openpyxl import load_workbook

from accounts import deeds
from accounts.admin import export
from accounts.admin.base import BoundedAdmin
from accounts.admin.by_day import MadeFilter
from accounts.ids import floor_of, time_of
from accounts.models import Customer, JournalEntry, Transfer
from tests.admin.actions import browser_with, said, shown
from tests.admin.many_rows import many_rows
from tests.given import a_customer, btc_at, every_price_at_its_start
from tests.trades.engine_steps import closes, opens
from trades.admin import keyset
from trades.models import Order, OrderEvent, Payment, Trade

pytestmark = pytest.mark.django_db

BY_DAY = {
    "trades_order": Order,
    "trades_trade": Trade,
    "trades_payment": Payment,
    "accounts_transfer": Transfer,
    "trades_orderevent": OrderEvent,
    "accounts_journalentry": JournalEntry,
}
SORTED = ("trades_order", "trades_trade", "trades_payment", "accounts_transfer")
NO_FILE = {"trades_marginaccount"}


def address(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def listed(client: Client, name: str, **query: str) -> Any:
    answer = client.get(address(name), query)
    assert answer.status_code == 200, answer
    return answer.context["cl"]


def book(client: Client, name: str, **query: str) -> list[list[str]]:
    answer: Any = client.get(address(name), {**query, "xlsx": "1"})
    assert answer.status_code == 200, answer
    assert answer["Content-Disposition"].endswith('.xlsx"')
    sheet = load_workbook(io.BytesIO(b"".join(answer.streaming_content)), read_only=True).active
    assert sheet is not None
    return [[str(cell or "") for cell in row] for row in sheet.iter_rows(values_only=True)]


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


def plan_of(rows: Any) -> str:
    """How PostgreSQL reads these rows where it may not read a whole table."""
    with connection.cursor() as cursor:
        for way in ("seqscan", "bitmapscan", "sort"):  # which a table of a few rows would be read by
            cursor.execute(f"SET LOCAL enable_{way} = off")
    return str(rows.explain())


# --- by day ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_DAY)
def test_a_range_of_days_is_a_range_of_the_key(browser: Client, name: str) -> None:
    """Guard: `MadeFilter` compares the key, and no time without an index."""
    many_rows(3)
    cl = listed(browser, name, made_from="2026-01-01", made_to="2026-01-31")

    plan = plan_of(cl.queryset[:50])
    (condition,) = [line for line in plan.splitlines() if "Index Cond" in line and "id >=" in line]
    assert str(floor_of(datetime(2026, 1, 1, tzinfo=UTC))) in condition
    assert str(floor_of(datetime(2026, 2, 1, tzinfo=UTC))) in condition
    assert "Sort" not in plan


def test_the_last_day_is_taken_in_whole_and_the_day_after_not(browser: Client, alice: Customer) -> None:
    order = opens(alice, quantity="0.1")
    day = time_of(order.pk).date()
    before, after = day - timedelta(days=1), day + timedelta(days=1)

    assert listed(browser, "trades_order", made_from=f"{day}", made_to=f"{day}").result_count == 1
    assert listed(browser, "trades_order", made_from=f"{day}").result_count == 1
    assert listed(browser, "trades_order", made_to=f"{before}").result_count == 0
    assert listed(browser, "trades_order", made_from=f"{after}").result_count == 0
    text = browser.get(address("trades_order"), {"status__exact": "OPEN", "made_from": f"{day}"}).content.decode()
    assert f'name="made_from" value="{day}"' in text
    assert '<input type="hidden" name="status__exact" value="OPEN">' in text  # another filter stays


@pytest.mark.parametrize(
    "odd", ["yesterday", "2026-02-30", "20260101", "2026-W01-1", "1999-12-31", "3000-01-01", "\x00", "9" * 400]
)
def test_what_is_no_day_is_said_and_shows_no_other_rows_as_if_they_were_meant(browser: Client, odd: str) -> None:
    for asked in ({"made_from": odd}, {"made_to": odd}):
        answer = browser.get(address("trades_order"), asked, follow=True)
        assert "A day is one from 2000-01-01 to 2999-12-31, written as 2026-01-31." in said(answer)
        assert browser.get(address("trades_order"), {**asked, "xlsx": "1"}).status_code == 302


def test_days_the_wrong_way_round_are_said(browser: Client) -> None:
    answer = browser.get(address("trades_order"), {"made_from": "2026-02-01", "made_to": "2026-01-01"}, follow=True)

    assert "The first day is after the last one." in said(answer)


# --- by time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SORTED)
def test_oldest_first_is_read_by_the_key_and_nothing_else_is_sorted(browser: Client, name: str) -> None:
    """Guard: `get_ordering_field` of ListAsFile. Sorting by any other column would read the table."""
    many_rows(3)
    columns = listed(browser, name).list_display
    by_time = next(number for number, column in enumerate(columns) if column in ("created", "when"))
    cl = listed(browser, name, o=str(by_time))
    found = [row.pk for row in cl.result_list]

    assert found == sorted(found) != []
    assert "Sort" not in plan_of(cl.queryset[:50])
    for other in set(range(len(columns))) - {by_time}:
        for way in ("", "-"):
            by = listed(browser, name, o=f"{way}{other}").queryset.query.order_by
            assert set(by) == {"-pk"}, columns[other]


# --- as a file ---------------------------------------------------------------------------------------


def test_every_list_is_a_file_of_both_kinds(browser: Client) -> None:
    """Each row's cells are made without what only the list's page knows."""
    every_price_at_its_start()
    many_rows(3)
    for model, page in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        if not isinstance(page, BoundedAdmin) or name in NO_FILE:
            continue
        rows = book(browser, name)
        csv: Any = browser.get(address(name), {"csv": "1"})
        text = b"".join(csv.streaming_content).decode()
        assert len(rows) > 1 or not model._default_manager.exists(), name
        assert rows[0][0] == "id", name
        assert text.startswith("id,"), name
        offered = browser.get(address(name)).content.decode()
        assert "?csv=1" in offered, name
        assert "xlsx=1" in offered, name


def test_a_workbook_has_what_the_filters_leave_without_formulas(
    browser: Client, alice: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: `cell`, of a workbook, too."""
    monkeypatch.setattr(export, "CHUNK", 1)
    Customer.objects.filter(pk=alice.pk).update(name='=HYPERLINK("http://evil.example")')
    orders = [opens(alice, quantity="0.1") for _ in range(3)]
    closes(alice, orders[0])

    rows = book(browser, "trades_order", status__exact="OPEN")

    assert [row[0] for row in rows] == ["id", orders[2].pk.hex, orders[1].pk.hex]
    assert rows[1][rows[0].index("Customer")] == '\'=HYPERLINK("http://evil.example")'


@pytest.mark.parametrize("name", ["\x01=HYPERLINK(1)", "\x01 \x02=HYPERLINK(1)", "\x1f@HYPERLINK(1)"])
def test_a_formula_behind_a_character_that_no_file_shows_is_none(browser: Client, alice: Customer, name: str) -> None:
    """Guard: `without_controls`, before `cell` looks at the first character."""
    Customer.objects.filter(pk=alice.pk).update(name=name)

    cells = [one for row in book(browser, "accounts_customer") for one in row]
    assert [one for one in cells if "HYPERLINK" in one] == [f"'{'@' if '@' in name else '='}HYPERLINK(1)"]
    csv: Any = browser.get(address("accounts_customer"), {"csv": "1"})
    text = b"".join(csv.streaming_content).decode()
    assert ",'=HYPERLINK(1)," in text or ",'@HYPERLINK(1)," in text


def test_taking_a_list_out_keeps_each_of_its_filters(browser: Client) -> None:
    """Guard: `get_query_string` of ListAsFile. Django's takes away all that begins with a name: "p", `product_type`."""
    cl = listed(browser, "quotes_quote", product_type__exact="spot", p="1", side__exact="buy")

    for _, url in cl.files:
        assert "product_type__exact=spot" in url
        assert "side__exact=buy" in url
        assert "p=1" not in url
    assert cl.get_query_string(remove=["side__"]) == "?product_type__exact=spot"  # as Django's filters of dates ask


def test_all_days_again_keeps_each_other_filter(browser: Client) -> None:
    """Guard: the same, of "e" and "p" in `_LEFT_BEHIND`."""
    cl = listed(browser, "accounts_journalentry", made_from="2026-01-01", outcome="done")
    cl.filter_params |= {"e": ["1"], "event__exact": ["opened"], "provider__exact": ["bank"]}

    (days,) = [one for one in cl.filter_specs if isinstance(one, MadeFilter)]
    without = next(days.choices(cl))["without"]
    assert without == "?event__exact=opened&outcome=done&provider__exact=bank"


def test_a_workbook_ends_at_its_bound_and_says_so(
    browser: Client, alice: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: `MOST_ROWS`. A list of millions would be written to the disk before the first byte is sent."""
    monkeypatch.setattr(export, "CHUNK", 2)
    monkeypatch.setattr(export, "MOST_ROWS", 3)
    for _ in range(4):
        opens(alice, quantity="0.1")

    rows = book(browser, "trades_order")

    assert len(rows) == 1 + 3 + 1
    assert rows[-1][0] == "The newest 3 rows; there are more. Filter by day, or take CSV."
    monkeypatch.setattr(export, "MOST_ROWS", 4)
    assert len(book(browser, "trades_order")) == 1 + 4


def test_a_character_that_no_workbook_holds_is_left_out(browser: Client, alice: Customer) -> None:
    Customer.objects.filter(pk=alice.pk).update(name="Al\x01ice")

    assert any("Alice" in row for row in book(browser, "accounts_customer"))


def test_a_filter_without_an_index_narrows_the_file_down_too(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `_looked_through`; a file of all would be taken for one of what the filter leaves."""
    monkeypatch.setattr(export, "LOOK", 2)
    browser.get(address("trades_order"), {"csv": "1"})
    browser_with(deeds.SUPPORT).get(address("trades_order"), {"csv": "1"})

    rows = book(browser, "accounts_journalentry", outcome="refused")

    assert len(rows) == 1 + 1
    assert "refused" in " ".join(rows[1])


def test_a_workbook_looks_at_no_more_than_its_bound_and_says_so(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: `MOST_LOOKED`. What a filter without an index hardly finds would be looked for through a whole table
    before the first byte is sent."""
    browser_with(deeds.SUPPORT).get(address("trades_order"), {"csv": "1"})  # refused, and the oldest
    for _ in range(4):
        browser.get(address("trades_order"), {"csv": "1"})
    monkeypatch.setattr(export, "MOST_LOOKED", 3)

    rows = book(browser, "accounts_journalentry", outcome="refused")

    assert [row[0] for row in rows] == [
        "id",
        "Looked at the newest 3 rows; older ones may fit, too. Filter by day, or take CSV.",
    ]
    csv: Any = browser.get(address("accounts_journalentry"), {"csv": "1", "outcome": "refused"})
    assert len(b"".join(csv.streaming_content).decode().splitlines()) == 1 + 1
    monkeypatch.setattr(export, "MOST_LOOKED", 100)
    assert len(book(browser, "accounts_journalentry", outcome="refused")) == 1 + 1


def test_a_page_that_finds_nothing_says_how_far_it_looked(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `looked_at` in empty_results.html. "Nothing fits" was said of rows that nobody had looked at."""
    for _ in range(3):
        browser.get(address("trades_order"), {"csv": "1"})
    nothing = {"outcome": "refused"}
    assert "Nothing fits the search and the filters." in shown(browser.get(address("accounts_journalentry"), nothing))
    monkeypatch.setattr(keyset, "LOOK", 2)

    first = browser.get(address("accounts_journalentry"), nothing)

    assert "Nothing fits among the 2 rows that were looked at; older ones may fit." in shown(first)
    assert "Nothing fits the search" not in shown(first)
    assert ">Older</a>" in first.content.decode()
    older = shown(browser.get(address("accounts_journalentry") + first.context["cl"].older))
    assert "Nothing older fits the search and the filters." in older


def test_taking_a_workbook_takes_the_deed_and_is_in_the_journal(browser: Client, alice: Customer) -> None:
    """Guard: `does(request, "export")`."""
    for role in deeds.ROLES:
        may = role in deeds.BY_NAME["export"].roles and "trades_order" in deeds.READS[role]
        answer = browser_with(role).get(address("trades_order"), {"xlsx": "1"})
        assert answer.status_code == (200 if may else 403), role
    book(browser, "trades_order", status__exact="OPEN")

    entry = JournalEntry.objects.filter(deed="trades_order_export", outcome="done").latest("pk")
    assert entry.asked == {"status": "OPEN", "format": "xlsx"}
