"""The firm's result: what the house's accounts say, of a day, a week or a month."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.identity import Actor
from accounts.ids import uuid7
from accounts.models import Customer
from accounts.services import funding
from tests.admin.actions import logged_in, shown
from tests.given import a_customer, a_settling_buy, btc, btc_at, usd
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.engine_steps import closes, fires, house, opens
from trades.reads.result import PARTS, Result, Span, period, result

pytestmark = pytest.mark.django_db

PAGE = "admin:trades_position_result"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


def today(span: Span = Span.DAY) -> dict[str, Result]:
    return {one.asset: one for one in result(*period(timezone.now().date(), span))}


def test_it_is_what_the_houses_accounts_have_changed_by(alice: Customer) -> None:
    """The parts are the accounts' balances, for all of them began at nothing."""
    a_settling_buy(alice, btc("0.01"))
    order = opens(alice, quantity="0.1", leverage=10)
    opened = opens(alice, quantity="0.5", leverage=10, stopLoss="39000")
    btc_at("39_500.00")
    closes(alice, order)
    btc_at("10_000.00")
    fires(opened)

    since, until = timezone.now() - timedelta(minutes=5), timezone.now() + timedelta(minutes=5)
    found = {one.asset: one for one in result(since, until)}["USD"]

    assert {part: amount for part, amount in found.parts.items() if amount} == {
        part: house(part) for part in PARTS if house(part)
    }
    assert {"profit", "fees", "protection"} <= {part for part, amount in found.parts.items() if amount}
    assert (found.owners, found.total) == (0, sum(house(part) for part in PARTS))


def test_each_movement_is_in_the_span_of_its_own_time_and_in_no_other(alice: Customer) -> None:
    """Guard: `t.at` decides; ids only narrow down what is looked at."""
    closes(alice, opens(alice, quantity="0.1"))
    day = timezone.now().date()
    whole = sum(one.total for one in today(Span.MONTH).values())
    since, until = period(day, Span.MONTH)
    parts = [result(since + timedelta(days=n), since + timedelta(days=n + 1)) for n in range((until - since).days)]
    assert sum(one.total for some in parts for one in some) == whole


def test_what_the_owners_put_in_or_take_out_is_no_result(alice: Customer) -> None:
    """Guard: `OWNERS`; without it a day on which profit is paid out would be a day of loss."""
    closes(alice, opens(alice, quantity="0.5"))
    btc_at("40_500.00")
    opened = opens(alice, quantity="0.5")
    btc_at("40_000.00")
    closes(alice, opened)
    by = Actor(user_id=a_member_of_staff().pk)
    for kind, amount in (("capital_in", "500.00"), ("profit_out", "200.00")):
        funding.move_firms_own(kind, "USD", usd(amount), kind, timezone.now(), by, reason="x", subject=uuid7())

    found = today()["USD"]

    assert (found.total, found.parts["profit"], found.owners) == (usd("250.00"), usd("250.00"), usd("300.00"))


@pytest.mark.parametrize(
    ("day", "span", "first", "last"),
    [
        ("2026-11-30", Span.DAY, "2026-11-30", "2026-12-01"),
        ("2026-12-06", Span.WEEK, "2026-11-30", "2026-12-07"),
        ("2026-11-30", Span.WEEK, "2026-11-30", "2026-12-07"),
        ("2028-02-29", Span.MONTH, "2028-02-01", "2028-03-01"),
        ("2026-12-31", Span.MONTH, "2026-12-01", "2027-01-01"),
    ],
)
def test_spans_are_days_of_utc_weeks_from_monday_and_months(day: str, span: Span, first: str, last: str) -> None:
    expected = tuple(datetime.combine(date.fromisoformat(one), datetime.min.time(), UTC) for one in (first, last))

    assert period(date.fromisoformat(day), span) == expected


def test_the_page_shows_it_with_what_floats_now_and_survives_odd_addresses(browser: Client, alice: Customer) -> None:
    closes(alice, opens(alice, quantity="0.1"))
    opens(alice, quantity="0.1")
    btc_at("41_000.00")
    url = reverse(PAGE)

    text = shown(browser.get(url, {"day": timezone.now().date().isoformat(), "span": "month"}))
    assert "Floating now, not in the result: -100.00 USD" in text
    assert "Floating now" not in shown(browser.get(url, {"day": "2026-01-01", "span": "day"}))
    for odd in ("nonsense", "\x00", "0001-01-01", "9999-12-31", ""):
        assert browser.get(url, {"day": odd, "span": "x"}).status_code == 200
    assert logged_in("reader@firm.example", "trades.view_position").get(url).status_code == 403
