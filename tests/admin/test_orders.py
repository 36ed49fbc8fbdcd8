"""Margin orders in the admin: what happened to one, who is called, and every event there is."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.ids import floor_of, uuid7
from quotes import candles, prices
from tests.admin.actions import logged_in, page, shown
from tests.given import a_customer, a_trade, btc_at, deposit, market_closed_at, price_at, usd
from tests.trades.engine_steps import (
    cancelling,
    changing,
    closes,
    fires,
    judges,
    now,
    opens,
    placing,
    says,
)
from tests.trades.priced import made_of_two
from trades.admin import keyset
from trades.models import MarginAccount, Order, OrderEvent
from trades.reads.figures import figures

pytestmark = pytest.mark.django_db

EVENTS, ACCOUNTS = "admin:trades_orderevent_changelist", "admin:trades_marginaccount_changelist"


@pytest.fixture
def alice():
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


def the_list(browser, url: str, **query: str):
    return browser.get(reverse(url), query)


# --- orders ----------------------------------------------------------------------------------------


def test_an_order_tells_what_happened_to_it_newest_first_and_names_its_parts(browser, alice):
    order = opens(alice, quantity="0.1", leverage=10)
    btc_at("41_000.00")
    part = closes(alice, order, quantity="0.04")

    text = shown(browser.get(page("trades_position", order.pk)))

    assert re.search(rf"reduced left 0\.06 · part {part.code} · quantity 0\.04 .* opened", text)
    assert f"{part.code} 0.04 41,000.00 +40.00 USD" in text
    assert "order_margin" in text
    assert f"{order.code}</a>" in browser.get(page("trades_order", part.pk)).content.decode()


def test_a_cancelled_order_says_why_and_what_was_changed_before(browser, alice):
    said = says(placing(alice, "buy limit", "39_000".replace("_", "")))
    says(changing(alice, said["orderId"], takeProfit="45000"))
    says(cancelling(alice, said["orderId"]))
    order = Order.objects.get(code=said["orderId"])

    text = shown(browser.get(page("trades_order", order.pk)))

    assert "cancelled manual" in text
    assert "take profit – → 45,000" in text
    listed = shown(the_list(browser, "admin:trades_order_changelist", status__exact="CANCELLED"))
    assert "39,000.00 limit" in listed


def test_an_order_shows_which_price_it_was_beside_its_sources_and_the_minute(browser, alice):
    made_of_two("42000", "42010")
    candles.note(prices.latest().by_symbol["BTC-USD"])
    order = opens(alice)

    text = shown(browser.get(page("trades_position", order.pk)))

    assert re.search(r"open the middle .* 42,000\.00 42,010\.00 42,010\.00 5\.00 1\.1903", text)
    assert re.search(r"kraken_2 .* 41,999\.00 42,009\.00 42,010\.00 1\.00 0\.238", text)
    assert "42,005.00 42,005.00 42,005.00 42,005.00" in text


def test_a_trailing_stop_says_since_when_it_follows_and_where_it_would_fire(browser, alice):
    order = opens(alice, trailingStop="500")

    text = shown(browser.get(page("trades_position", order.pk)))

    assert re.search(r"500\.00 behind the best price since [\d-]+ [\d:]+ : fires at 39,500\.00", text)


# --- margin accounts -------------------------------------------------------------------------------


def test_margin_accounts_come_lowest_level_first_with_the_figures_that_the_customer_sees(browser, alice):
    rich, poor = a_customer("rich", with_usd="9_000.00"), a_customer("poor", with_usd="1_000.00")
    for customer, quantity in ((rich, "0.1"), (poor, "0.2"), (alice, "0.5")):
        opens(customer, quantity=quantity, leverage=10)
    btc_at("39_000.00")

    cl = the_list(browser, ACCOUNTS).context["cl"]

    assert [account.customer for account in cl.result_list] == [poor, alice, rich]
    for account in cl.result_list:
        assert account.figures == figures(account.customer.pk, prices.latest())


def test_whoever_is_called_is_found_by_the_filter_and_an_account_without_anything_has_a_page(browser, alice):
    opens(alice, quantity="2", leverage=10)
    opens(calm := a_customer("calm", with_usd="5_000.00"), quantity="0.1", leverage=10)
    btc_at("39_000.00")
    judges(alice, calm)

    called = the_list(browser, ACCOUNTS, called="yes").context["cl"].result_list

    assert [account.customer for account in called] == [alice]
    assert called[0].called_at == MarginAccount.objects.get(customer=alice).called_at
    assert [a.customer for a in the_list(browser, ACCOUNTS, q=calm.user.email).context["cl"].result_list] == [calm]
    assert the_list(browser, ACCOUNTS, q=calm.user.email, called="yes").context["cl"].result_count == 0
    newcomer = a_customer("newcomer")
    assert "0.00 USD" in shown(browser.get(page("trades_marginaccount", newcomer.pk)))


def test_a_level_is_judged_by_the_latest_price_however_old_and_by_none_where_there_is_none(browser, alice):
    opens(alice, quantity="1", leverage=10)
    price_at("BTC-USD", "39_500.00", at=timezone.now() - timedelta(days=2))
    (account,) = the_list(browser, ACCOUNTS).context["cl"].result_list
    assert (account.figures.level, account.figures.unrealized) == (Decimal("237.50"), -50_000)

    prices.forget()
    (account,) = the_list(browser, ACCOUNTS).context["cl"].result_list
    assert (account.figures.level, account.figures.unrealized) == (Decimal("250.00"), 0)


def test_what_the_firm_has_advanced_counts_against_an_account_and_is_on_its_page(browser, alice):
    """Alice has less cash than the debtor, who owes a thousand of it."""
    debtor = a_customer("debtor", with_usd="1_000.00")
    price_at("ETH-USD", "2_000.00")
    opens(debtor, quantity="1", leverage=100)
    opens(debtor, symbol="eth", type="sell", quantity="10", leverage=100)
    opens(alice, symbol="eth", quantity="10", leverage=100)
    market_closed_at("ETH-USD", "2_000.00")
    btc_at("38_000.00")
    judges(debtor)
    deposit(debtor, "USD", "10_500.00")

    listed = the_list(browser, ACCOUNTS).context["cl"].result_list

    assert [account.customer for account in listed] == [debtor, alice]
    assert listed[0].figures == figures(debtor.pk, prices.latest())
    assert [account.figures.balance for account in listed] == [usd("9_500.00"), usd("10_000.00")]
    text = shown(browser.get(page("trades_marginaccount", debtor.pk)))
    since = MarginAccount.objects.get(customer=debtor).owed_at
    assert f"Advanced by the firm, not repaid yet 1,000.00 USD Last advanced {since:%Y-%m-%d %H:%M:%S}" in text


def test_the_second_page_of_margin_accounts_goes_on_where_the_first_ended(browser):
    btc_at("40_000.00")
    for number in range(53):
        opens(a_customer(f"trader{number}", with_usd=f"{1_000 + number}.00"), quantity="0.01", leverage=10)

    first, second = (the_list(browser, ACCOUNTS, p=str(number)).context["cl"] for number in (1, 2))

    balances = [account.figures.balance for cl in (first, second) for account in cl.result_list]
    assert balances == [100_000 + 100 * number for number in range(53)]
    assert the_list(browser, ACCOUNTS, p="9").status_code == 302  # as Django has it: back to a page that is there


# --- events ----------------------------------------------------------------------------------------


def happenings(count: int, customer, kind: str = "opened", days_ago: int = 0) -> None:
    at = timezone.now() - timedelta(days=days_ago)
    OrderEvent.objects.bulk_create(
        OrderEvent(
            id=uuid7() if not days_ago else floor_of(at + timedelta(milliseconds=n)),
            customer=customer,
            kind=kind,
            at=at,
        )
        for n in range(count)
    )


def pages(browser, **query: str) -> list[list[UUID]]:
    """Every page of the list, by its own links."""
    url, found = f"{reverse(EVENTS)}?{'&'.join(f'{k}={v}' for k, v in query.items())}", []
    while url:
        cl = browser.get(url).context["cl"]
        found.append([event.pk for event in cl.result_list])
        url = f"{reverse(EVENTS)}{cl.older}" if cl.older else ""
    return found


def test_events_are_paged_by_their_ids_and_never_counted(browser, alice):
    happenings(120, alice)
    all_ids = list(OrderEvent.objects.order_by("-pk").values_list("pk", flat=True))

    with CaptureQueriesContext(connection) as asked:
        found = pages(browser)

    assert [len(one) for one in found] == [50, 50, 20]
    assert [pk for one in found for pk in one] == all_ids
    assert not [query["sql"] for query in asked if "COUNT(" in query["sql"] and "orderevent" in query["sql"]]


def test_a_kind_is_looked_for_no_further_than_a_page_may_and_the_next_page_goes_on(browser, alice, monkeypatch):
    monkeypatch.setattr(keyset, "LOOK", 10)
    happenings(1, alice, "stop_out")
    happenings(14, alice)
    (wanted,) = OrderEvent.objects.filter(kind="stop_out").values_list("pk", flat=True)

    first = the_list(browser, EVENTS, kind="stop_out")

    assert "Looked at 10 rows" in shown(first)
    assert pages(browser, kind="stop_out") == [[], [wanted]]


def test_events_are_found_by_order_customer_day_and_several_of_them(browser, alice):
    order = opens(alice)
    other = opens(a_customer("bob", with_usd="5_000.00"))
    happenings(3, alice, "swapped", days_ago=2)
    day = (timezone.now() - timedelta(days=2)).date().isoformat()

    def found(sought: str, **query: str) -> tuple[set[str], int]:
        cl = the_list(browser, EVENTS, q=sought, **query).context["cl"]
        return {event.kind for event in cl.result_list if event.customer_id == alice.pk}, len(cl.result_list)

    assert found(order.code) == found(order.pk.hex) == ({"opened"}, 1)
    assert found(alice.pk.hex) == found(alice.user.email) == ({"opened", "swapped"}, 4)
    assert found(day) == found(f"{alice.user.email} {day}") == ({"swapped"}, 3)
    assert found(f"{other.code} {alice.pk.hex}") == found("nobody@example.com") == (set(), 0)
    assert found(alice.user.email, day="today") == ({"opened"}, 1)
    assert found(alice.user.email, kind="swapped", day="week") == ({"swapped"}, 3)


def test_an_event_shows_its_numbers_to_the_last_digit(browser, alice):
    quantity = Decimal("0.123456789012345678")
    OrderEvent.objects.create(customer=alice, kind="reduced", detail={"left": 0}, at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO trades_orderevent (id, customer_id, kind, detail, at) VALUES (%s, %s, 'reduced', %s, now())",
            [uuid7(), alice.pk, f'{{"quantity": {quantity}}}'],
        )

    assert f"quantity {quantity}" in shown(the_list(browser, EVENTS))


# --- the dashboard ---------------------------------------------------------------------------------


def test_the_dashboard_counts_resting_orders_margin_calls_and_stop_outs_of_today(browser, alice):
    opens(alice, quantity="2", leverage=10)
    opens(called := a_customer("called", with_usd="1_000.00"), quantity="0.2", leverage=10)
    happenings(2, called, "stop_out", days_ago=1)
    says(placing(called, "buy limit", "30000"))
    btc_at("39_000.00")
    judges(called)
    btc_at("36_500.00")
    judges(alice)

    cards = {card.title: card.value for card in browser.get("/admin/").context["cards"]}

    assert (cards["Margin calls"], cards["Stop-outs today"]) == ("1", "1")
    assert (cards["Open positions"], cards["Resting orders"]) == ("1", "1")  # alice's are gone


def test_the_dashboard_shows_each_person_only_what_they_may_look_into(alice):
    opens(alice)
    trading = logged_in("trading@firm.example", "trades.view_order", "trades.view_position")

    dashboard = trading.get("/admin/")

    assert [card.title for card in dashboard.context["cards"]] == ["Open positions", "Resting orders"]
    assert [title for title, _ in dashboard.context["panels"]] == ["Newest orders"]


def test_a_stop_out_that_closed_everything_at_once_is_counted_too(browser, alice):
    """No row of the margin account tells of it: called and over in the same tick."""
    order = opens(alice, quantity="2", leverage=10)
    btc_at("36_000.00")
    judges(alice)
    assert now(order).close_reason == "stop_out"

    cards = {card.title: card.value for card in browser.get("/admin/").context["cards"]}

    assert (cards["Margin calls"], cards["Stop-outs today"]) == ("0", "1")


def test_a_fired_order_shows_that_a_price_did_it(browser, alice):
    order = opens(alice, takeProfit="41000")
    btc_at("41_500.00")
    fires(order)
    closed = OrderEvent.objects.get(order_id=order.pk, kind="closed")

    assert "a price or the clock did it" in shown(browser.get(page("trades_orderevent", closed.pk)))


# --- best execution --------------------------------------------------------------------------------


BEST = "admin:trades_order_best_execution"


def test_a_days_best_execution_is_a_page_and_a_file(browser, alice):
    made_of_two("42000", "42010")
    opens(alice)
    day = OrderEvent.objects.get().at.date().isoformat()

    text = shown(the_list(browser, BEST, day=day))
    assert "BTC-USD buy mid 1 0 0 0.1 4,201 0.5 5 5 5 1.1903 1.1903 1.1903" in text
    file = the_list(browser, BEST, day=day, symbol="btc", csv="1")
    assert file.headers["Content-Disposition"] == f'attachment; filename="best-execution-{day}.csv"'
    assert (
        f"{day},BTC-USD,buy,mid,1,0,0,0.1,4201.00,0.50,5.00,5.00,5.00,1.1903,1.1903,1.1903\r\n" in file.content.decode()
    )
    assert "No deal." in shown(the_list(browser, BEST))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"day": "soon"}, "A day from 2000-01-01"),
        ({"day": "9999-12-31", "csv": "1"}, "A day from 2000-01-01"),
        ({"day": "2026-01-31", "symbol": "NO\x00PE", "csv": "1"}, "Null characters"),
        ({"day": "2026-01-31", "symbol": "NOPE"}, "There is no such symbol."),
    ],
)
def test_what_no_report_is_of_is_said_on_the_page(browser, query, said):
    answer = the_list(browser, BEST, **query)
    assert answer.status_code == 200
    assert said in shown(answer)


def test_only_who_may_see_orders_sees_their_best_execution():
    """Guard: `permissions` of the action."""
    assert the_list(logged_in("seer@firm.example", "trades.view_order"), BEST).status_code == 200
    assert the_list(logged_in("trades@firm.example", "trades.view_trade"), BEST).status_code == 403


def test_only_who_may_export_takes_best_execution_away():
    """Guard: `does(request, "export")` in the page."""
    seer = logged_in("seer@firm.example", "trades.view_order")

    assert b'name="csv"' not in the_list(seer, BEST).content
    assert the_list(seer, BEST, day="2026-01-31", csv="1").status_code == 403


def test_what_failed_for_want_of_money_says_what_was_needed_and_what_was_there(browser, alice):
    poor = a_customer("poor", with_usd="500.00")
    order = Order.objects.get(code=says(placing(poor, "buy limit", "39000"))["orderId"])
    opens(poor, quantity="0.1")
    btc_at("39_000.00")
    fires(order)
    trade = a_trade(alice, "buy", deliver=usd("9_000_000.00"))

    assert "reason no_margin · required 390.00 USD · available 0.00 USD" in shown(
        browser.get(page("trades_order", order.pk))
    )
    text = shown(browser.get(page("trades_trade", trade.pk)))
    assert "needed 9,000,000.00 USD, could spend 10,000.00 USD" in text
