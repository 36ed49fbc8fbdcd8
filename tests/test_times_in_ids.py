"""Ids and notes of transactions keep the real time, and the firm's may be ahead: whoever looks by one says by which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from accounts import clock
from accounts.ids import time_of
from accounts.models import ClockMove, Customer
from brokerage.stack.where import CHECKOUT
from tests.given import a_customer, a_settling_buy, btc, btc_at, settle_everything, usd
from tests.moved_clock import moved_ahead
from tests.trades.corrections.staff import somebody, why
from trades.admin.events import of_days
from trades.admin.movements import movements_of_correction
from trades.corrections import batch_reversal, decide
from trades.corrections.propose import propose_adjustment, propose_batch_reversal
from trades.models import TradeEvent

APPS = ("accounts", "brokerage", "quotes", "trades")
NAMES = {"floor_of", "highest", "made_within", "of_days", "stamp_of", "transactions_since"}

# What the moment is by that each of them gives.
CALLERS = {
    ("accounts/admin/by_day.py", "made_within", "floor_of"): "its caller's, by `real`",
    ("accounts/admin/by_day.py", "queryset", "made_within"): "the firm's, by real_of; of RealDayFilter the real",
    ("accounts/ids.py", "stamp_of", "floor_of"): "its caller's",
    ("accounts/rest/filters.py", "", "transactions_since"): "the firm's, by real_of_in_sql",
    ("accounts/seals.py", "_seal_block", "floor_of"): "real",
    ("accounts/services/idempotency.py", "forget_old", "floor_of"): "real",
    ("accounts/services/reconciliation.py", "ledger_outside", "floor_of"): "the firm's, by real_of",
    ("trades/admin/dashboard.py", "_stop_outs", "of_days"): "the firm's day, as of_days has it",
    ("trades/admin/events.py", "_with", "of_days"): "the firm's day, as of_days has it",
    ("trades/admin/events.py", "of_days", "made_within"): "the firm's, by real_of",
    ("trades/admin/events.py", "queryset", "of_days"): "the firm's day, as of_days has it",
    ("trades/admin/journal.py", "of_real_days", "made_within"): "real",
    ("trades/admin/movements.py", "movements_of_correction", "floor_of"): "the firm's, by real_of",
    ("trades/foreseen.py", "_look", "floor_of"): "the firm's, by real_of",
    ("trades/corrections/batch_reversal.py", "_next_slice", "stamp_of"): "the firm's, by real_of",
    ("trades/engine/process.py", "_look_at_cash", "floor_of"): "real",
    ("trades/low_water.py", "highest", "floor_of"): "its caller's",
    ("trades/reads/best_execution.py", "report", "floor_of"): "the firm's, by real_of",
    ("trades/reads/result.py", "result", "floor_of"): "the firm's, by real_of",
    ("trades/settlement/cut.py", "_raise_water", "highest"): "the firm's: highest_low_water() keeps it below the real",
    ("trades/settlement/settle.py", "_complete_slice", "stamp_of"): "the firm's, by real_of",
    ("trades/spot/sweep.py", "sweep", "highest"): "real",
}


def calls(tree: ast.AST, function: str = "") -> Iterator[tuple[str, str]]:
    """The function around each call of NAMES, and the name; in text of SQL as well."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in NAMES:
                yield inside, called
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "transactions_since(" in node.value:
            yield inside, "transactions_since"
        yield from calls(node, inside)


def test_whoever_looks_by_the_time_in_ids_says_whose_time_it_has() -> None:
    """Guard: this list. With the firm's time go through `clock.real_of`, and write it down here."""
    found = {
        (str(path.relative_to(CHECKOUT)), function, name)
        for app in APPS
        for path in (CHECKOUT / app).rglob("*.py")
        if "migrations" not in path.parts
        for function, name in calls(ast.parse(path.read_text()))
    }
    assert found == CALLERS.keys()


@pytest.mark.django_db
def test_real_of_is_the_inverse_of_the_firms_time() -> None:
    """Guard: `greatest` in `real_of()`, for the times that a move passes over."""
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    long_ago = clock.now() - hour
    assert clock.real_of(long_ago) == long_ago
    with moved_ahead(hour), moved_ahead(2 * hour):
        first, second = ClockMove.objects.order_by("number")

        assert clock.real_of(long_ago) == long_ago
        for passed in (first.at, first.at + minute, first.at + hour):
            assert clock.real_of(passed) == first.at
        between = first.at + (second.at - first.at) / 2
        assert clock.real_of(between + hour) == between
        for passed in (second.at + hour, second.at + hour + minute, second.at + 3 * hour):
            assert clock.real_of(passed) == second.at
        assert clock.real_of(second.at + 3 * hour + minute) == second.at + minute


@pytest.mark.django_db
def test_without_a_sandbox_real_of_is_what_was_given_and_asks_nothing(
    settings: Any, django_assert_num_queries: Any
) -> None:
    """Guard: `settings.SANDBOX` in `real_of` and `real_of_in_sql`."""
    with moved_ahead(timedelta(hours=1)):
        settings.SANDBOX = False
        at = clock.now()
        with django_assert_num_queries(0):
            assert (clock.real_of(at), clock.real_of_in_sql("%s")) == (at, "%s")


@pytest.mark.django_db
def test_a_day_of_the_firms_is_found_by_real_ids() -> None:
    """Guard: `real_of` in `of_days`."""
    before = a_customer()
    with moved_ahead(timedelta(days=5)):
        today = clock.firm_now().date()
        after = a_customer()

        assert list(of_days(Customer.objects.all(), today, 2)) == [after]
        assert before in of_days(Customer.objects.all(), today - timedelta(days=6), 3)


@pytest.mark.django_db
def test_what_a_batch_completes_and_takes_back_has_real_times_in_its_ids() -> None:
    """Guards: `real_of` in `settle._complete_slice`, and in `batch_reversal._next_slice`."""
    alice = a_customer(with_usd="100_000.00")
    with moved_ahead(timedelta(days=5)):
        btc_at("40_000.00")
        a_settling_buy(alice, btc("0.1"))
        batch = settle_everything()
        proposed = propose_batch_reversal(batch.pk, **why(at=clock.firm_now()))
        decide.apply(proposed.pk, by=somebody(), at=clock.firm_now())
        for _ in batch_reversal.carry_on(proposed.pk, clock=clock.firm_now):
            pass

    latest = clock.now() + timedelta(minutes=1)
    events = TradeEvent.objects.filter(became__in=["completed", "reversed"])
    assert {one.became: time_of(one.pk) < latest < one.at for one in events} == {"completed": True, "reversed": True}


@pytest.mark.django_db
def test_what_a_correction_moved_is_shown_where_the_firms_time_is_ahead() -> None:
    """Guard: `real_of` in `movements_of_correction`."""
    alice = a_customer()
    with moved_ahead(timedelta(days=1)):
        done = propose_adjustment(alice.pk, "USD", usd("25.00"), "credit", **why(at=clock.firm_now()))

        assert "25.00" in movements_of_correction(done)
