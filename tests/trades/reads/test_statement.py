"""The statement: every movement once, and balances that add up wherever a page or a period begins."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import json_codec, ledger, services
from accounts.kinds import KINDS
from accounts.ledger import AVAILABLE, EXTERNAL, FEES, LIQUIDITY, MARGIN, PROFIT, SETTLING, Movement
from accounts.models import Customer, Transfer
from tests.given import (
    a_customer,
    a_payment,
    a_settling_buy,
    balance,
    btc,
    btc_at,
    deposit,
    settle_everything,
    token_of,
    usd,
)
from trades.reads.figures import figures
from trades.reads.statement import CHUNK, TEXTS, Statement

pytestmark = pytest.mark.django_db

STATEMENT = "/api/v1/statement"


def asks(by: Customer, **query: Any) -> tuple[int, Any]:
    answer = Client(headers={"Authorization": f"Bearer {token_of(by)}"}).get(STATEMENT, query)
    return answer.status_code, json_codec.loads(answer.content)


def rows_of(by: Customer, **query: Any) -> list[dict[str, Any]]:
    """All rows, page after page, each checked against what the page before carried on."""
    rows: list[dict[str, Any]] = []
    query, carried = dict(query), None
    while True:
        status, page = asks(by, **query)
        assert status == 200, page
        assert carried is None or page["openingBalance"] == carried
        carried = page["openingBalance"] + sum(row["amount"] for row in page["message"])
        assert page["closingBalance"] == carried
        rows += page["message"]
        if page["nextCursor"] is None:
            return rows
        query["cursor"] = page["nextCursor"]


def csv_of(by: Customer, **query: Any) -> list[dict[str, str]]:
    answer = Client(headers={"Authorization": f"Bearer {token_of(by)}"}).get(STATEMENT, {"format": "csv", **query})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="statement.csv"'
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def moves(by: Customer, debit: str, credit: str, cents: int, kind: str = "adjustment", key: str = "") -> None:
    """One movement of the customer's dollars; whatever isn't a customer's account is the house's."""
    own = (AVAILABLE, MARGIN, SETTLING)
    debited, credited = (
        ledger.customers(by.pk, "USD", name) if name in own else ledger.house(by.pk, "USD", name)
        for name in (debit, credit)
    )
    ledger.post([Movement(debited, credited, cents, kind, key or uuid.uuid4().hex, by.pk, None, timezone.now())])


def test_a_statement_tells_what_moved_in_the_order_it_was_booked() -> None:
    alice, bob = a_customer(), a_customer("bob", with_usd="77.00")
    services.deposit(alice, "USD", usd("1_000.00"), key="wire-1", at=timezone.now(), by="test")
    moves(alice, AVAILABLE, MARGIN, usd("410.96"), "order_margin")
    moves(bob, AVAILABLE, MARGIN, usd("7.00"), "order_margin")
    moves(alice, MARGIN, AVAILABLE, usd("410.96"), "order_margin_release")
    moves(alice, AVAILABLE, PROFIT, usd("35.08"), "order_loss")
    deposit(alice, "BTC", "1")
    services.withdraw(alice, "USD", usd("500.00"), key="payout-1", at=timezone.now(), by="test")

    rows = rows_of(alice)

    assert [(row["kind"], row["amount"], row["reserved"], row["balance"], row["free"]) for row in rows] == [
        ("deposit", Decimal("1000.00"), 0, Decimal("1000.00"), Decimal("1000.00")),
        ("order_margin", 0, Decimal("410.96"), Decimal("1000.00"), Decimal("589.04")),
        ("order_margin_release", 0, Decimal("-410.96"), Decimal("1000.00"), Decimal("1000.00")),
        ("order_loss", Decimal("-35.08"), 0, Decimal("964.92"), Decimal("964.92")),
        ("withdrawal", Decimal("-500.00"), 0, Decimal("464.92"), Decimal("464.92")),
    ]
    assert (rows[0]["text"], rows[0]["reference"], rows[0]["orderId"]) == ("Deposit", "deposit:wire-1", None)
    assert list(rows[0]) == [
        *("time", "kind", "text", "orderId", "reference", "amount", "reserved", "balance", "free"),
    ]
    assert rows[-1]["balance"] == Decimal(figures(alice.pk, None).balance) / 100


def test_a_spot_trades_dollars_are_in_it_from_paying_to_being_paid() -> None:
    alice = a_customer(with_usd="10_000.00")
    a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    btc_at("41_000.00")
    settle_everything()

    rows = rows_of(alice)

    assert [row["kind"] for row in rows][:2] == ["deposit", "trade_deliver"]
    assert rows[-1]["balance"] == Decimal(balance(alice)) / 100
    assert all(row["text"] == TEXTS[row["kind"]] for row in rows)


# Where dollars can go, and back: what a customer's movements are made of.
PATHS = [
    (EXTERNAL, AVAILABLE),
    (AVAILABLE, EXTERNAL),
    (AVAILABLE, MARGIN),
    (MARGIN, AVAILABLE),
    (MARGIN, PROFIT),
    (PROFIT, AVAILABLE),
    (LIQUIDITY, SETTLING),
    (SETTLING, AVAILABLE),
    (SETTLING, FEES),
]


@given(
    st.lists(st.tuples(st.sampled_from(PATHS), st.integers(1, 10**12)), max_size=15),
    st.integers(1, 7),
    st.integers(0, 30),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_adds_up_on_any_pages_from_any_moment_on(
    history: list[tuple[tuple[str, str], int]], limit: int, first: int
) -> None:
    alice = a_customer()
    expected: list[tuple[int, int, int]] = []
    cash, reserved = 0, 0
    for (debit, credit), cents in history:
        if debit in (AVAILABLE, MARGIN, SETTLING):
            cents = min(cents, balance(alice, debit))
        if cents == 0:
            continue
        moves(alice, debit, credit, cents)
        into = {credit: cents, debit: -cents}
        if AVAILABLE in into or MARGIN in into:
            cash, reserved = cash + into.get(AVAILABLE, 0) + into.get(MARGIN, 0), reserved + into.get(MARGIN, 0)
            expected.append((into.get(AVAILABLE, 0) + into.get(MARGIN, 0), into.get(MARGIN, 0), cash))

    rows = rows_of(alice, limit=limit)
    found = [(row["amount"] * 100, row["reserved"] * 100, row["balance"] * 100) for row in rows]
    assert found == expected
    assert all(row["balance"] - row["free"] >= 0 for row in rows)
    assert cash == balance(alice) + balance(alice, MARGIN)
    assert [_numbers(row) for row in csv_of(alice)[1:-1]] == [_numbers(row) for row in rows]

    # A period: rows of one moment are never torn apart, and its opening balance is the sum of what came before.
    if rows:
        since = rows[min(first, len(rows) - 1)]["time"]
        inside = [row for row in rows if row["time"] >= since]
        before = [row for row in rows if row["time"] < since]
        assert rows_of(alice, limit=limit, **{"from": since}) == inside
        assert rows_of(alice, limit=limit, to=since) == before
        opening = before[-1]["balance"] if before else 0
        assert asks(alice, **{"from": since})[1]["openingBalance"] == opening
        assert csv_of(alice, **{"from": since})[0]["balance"] == f"{opening:.2f}"


def _numbers(row: dict[str, Any]) -> list[Decimal]:
    return [Decimal(row[name]) for name in ("amount", "reserved", "balance", "free")]


def test_from_is_inclusive_and_to_exclusive_below_the_millisecond_too() -> None:
    alice = a_customer(with_usd="1.00")
    (row,) = rows_of(alice)
    at = row["time"]
    just_after = at.replace("Z", "001Z")  # a microsecond later
    assert len(rows_of(alice, **{"from": at})) == 1
    assert rows_of(alice, **{"from": just_after}) == []
    assert rows_of(alice, to=at) == []
    assert len(rows_of(alice, to=just_after)) == 1
    assert asks(alice, **{"from": just_after})[1]["openingBalance"] == 1


def test_a_customer_without_money_has_an_empty_statement() -> None:
    alice = a_customer()
    assert asks(alice) == (
        200,
        {"currency": "USD", "openingBalance": 0, "closingBalance": 0, "message": [], "nextCursor": None},
    )
    assert [row["kind"] for row in csv_of(alice)] == ["opening_balance", "closing_balance"]


def test_a_csv_says_where_it_begins_and_ends_and_nothing_in_it_calculates() -> None:
    alice = a_customer()
    moves(alice, EXTERNAL, AVAILABLE, 1_00, "deposit", "=HYPERLINK(1)")
    moves(alice, EXTERNAL, AVAILABLE, 2_00, "deposit", '@SUM("a",b)')
    moves(alice, AVAILABLE, EXTERNAL, 50, "withdrawal", "-1+1")

    opening, *rows, closing = csv_of(alice)

    assert (opening["kind"], opening["balance"]) == ("opening_balance", "0.00")
    assert (closing["kind"], closing["balance"], closing["free"]) == ("closing_balance", "2.50", "2.50")
    assert [row["reference"] for row in rows] == ["'=HYPERLINK(1)", '\'@SUM("a",b)', "'-1+1"]
    assert [row["amount"] for row in rows] == ["1.00", "2.00", "-0.50"]


def test_another_asset_with_what_settles_and_what_leaves_set_aside() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    a_settling_buy(alice, btc("0.10"))
    settle_everything()
    a_payment(alice, "withdrawal", btc("0.04"), asset="BTC")
    a_settling_buy(alice, btc("0.02"))

    rows = rows_of(alice, asset="BTC", limit=2)

    told = [(row["kind"], *(f"{row[name]:f}" for name in ("amount", "reserved", "free"))) for row in rows]
    assert told == [
        ("trade_receive", "0.10000000", "0.10000000", "0.00000000"),
        ("trade_settled", "0.00000000", "-0.10000000", "0.10000000"),
        ("payment_held", "0.00000000", "0.04000000", "0.06000000"),
        ("withdrawal", "-0.04000000", "-0.04000000", "0.06000000"),
        ("trade_receive", "0.02000000", "0.02000000", "0.06000000"),
    ]
    assert asks(alice, asset="BTC")[1]["currency"] == "BTC"
    assert rows[-1]["balance"] == Decimal("0.08")
    opening, *_, closing = csv_of(alice, asset="BTC")
    assert (opening["balance"], closing["balance"], closing["free"]) == ("0.00000000", "0.08000000", "0.06000000")
    assert asks(alice, asset="USD") == asks(alice)
    assert asks(alice, asset="ETH")[1]["message"] == []


def test_an_assets_cursor_is_no_other_assets() -> None:
    alice = a_customer(with_usd="10_000.00")
    deposit(alice, "USD", "1.00")
    cursor = asks(alice, limit=1)[1]["nextCursor"]
    assert asks(alice, asset="BTC", cursor=cursor)[0] == 400
    assert asks(alice, asset="USD", cursor=cursor)[0] == 200


def test_a_long_csv_is_read_while_it_is_sent(django_assert_num_queries: Any) -> None:
    alice = a_customer()
    house, own = ledger.house(alice.pk, "USD", EXTERNAL), ledger.customers(alice.pk, "USD", AVAILABLE)
    at = timezone.now()
    ledger.post([Movement(house, own, 1, "deposit", f"d{n}", alice.pk, None, at) for n in range(CHUNK + 1)])

    statement = Statement(alice.pk, None, None)
    chunks: Iterator[Any] = statement.chunks(statement.opening())
    with django_assert_num_queries(1):
        assert len(next(chunks)) == CHUNK
    with django_assert_num_queries(1):
        (last,) = next(chunks)
    assert last.balance == CHUNK + 1
    assert csv_of(alice)[-1]["balance"] == f"{(CHUNK + 1) / 100:.2f}"


def test_every_page_takes_the_same_few_queries(django_assert_num_queries: Any) -> None:
    alice = a_customer()
    for _ in range(30):
        deposit(alice, "USD", "1.00")
    cursor = ""
    for _ in range(3):  # the accounts and the rows; where a period begins is asked only once
        with django_assert_num_queries(2):
            cursor = Statement(alice.pk, None, None).page(10, cursor)["nextCursor"] or ""
    since = timezone.now() - timedelta(hours=1)
    with django_assert_num_queries(3):
        Statement(alice.pk, since, None).page(10, "")


@pytest.mark.parametrize(
    "query",
    [
        {"asset": "DOGE"},
        {"asset": "usd"},
        {"asset": ""},
        {"from": "yesterday"},
        {"to": "2026-13-01"},
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"limit": 0},
        {"limit": 1001},
        {"limit": "ten"},
        {"cursor": "x"},
        {"cursor": "00:1:1:forged"},
        {"format": "pdf"},
        {"format": "CSV"},
        {"format": "csv", "from": "yesterday"},
        {"format": "csv", "limit": 10},
        {"format": "csv", "cursor": "x"},
    ],
)
def test_what_is_no_period_page_or_format_is_refused(query: dict[str, Any]) -> None:
    status, body = asks(a_customer(), **query)
    assert status == 400
    assert list(body) == ["error"]


@pytest.mark.parametrize("moment", ["0001-01-01", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59.999Z"])
def test_far_away_moments_are_periods_too(moment: str) -> None:
    alice = a_customer(with_usd="1.00")
    assert len(rows_of(alice, **{"from": moment})) + len(rows_of(alice, to=moment)) == 1


def test_a_cursor_is_good_for_its_owner_alone_and_as_it_was_given() -> None:
    alice, bob = a_customer(), a_customer("bob", with_usd="5.00")
    for _ in range(3):
        deposit(alice, "USD", "1.00")
    cursor = asks(alice, limit=1)[1]["nextCursor"]
    id_, cash, free, seal = cursor.split(":")

    assert asks(alice, cursor=cursor)[0] == 200
    assert asks(bob, cursor=cursor)[0] == 400
    assert asks(alice, cursor=":".join((id_, str(int(cash) + 1), free, seal)))[0] == 400


def test_only_a_traders_own_token_reads_a_statement() -> None:
    assert Client().get(STATEMENT).status_code == 401
    assert Transfer.objects.count() == 0


def test_every_kind_of_movement_of_a_margin_account_has_a_text() -> None:
    """Guard: `TEXTS`. What isn't in it is told by the kind's own word."""
    own = {
        kind for kind, every in KINDS.items() if {AVAILABLE, MARGIN} & {side for s in every for side in s.split(">")}
    }

    assert own <= TEXTS.keys()
