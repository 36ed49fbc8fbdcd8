"""Low-water marks: a fact about a kind of asset, kept by the database, never in the last ten minutes."""

from __future__ import annotations

import importlib
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import clock
from accounts.ids import floor_of
from trades.low_water import (
    LOWEST,
    STORING,
    forget,
    highest,
    low_water,
    marks_of,
    raise_low_water,
)
from trades.models import LowWater

pytestmark = pytest.mark.django_db


def ago(**time: int) -> UUID:
    return floor_of(clock.now() - timedelta(**time))


def test_a_kind_of_which_nothing_is_known_begins_at_the_very_first_trade():
    assert low_water(["crypto"]) == low_water(["crypto", "fiat", "metal"]) == low_water([STORING]) == LOWEST


def test_several_kinds_begin_at_the_lowest_of_their_marks():
    hour, day = ago(hours=1), ago(days=1)
    raise_low_water(["crypto", "fiat"], hour)
    raise_low_water(["metal"], day)

    assert low_water(["crypto", "fiat"]) == hour
    assert low_water(["crypto", "fiat", "metal"]) == day
    assert low_water(["crypto", STORING]) == LOWEST


def test_a_mark_is_raised_and_never_falls_back_by_being_raised():
    hour = ago(hours=1)
    raise_low_water(["crypto"], hour)

    raise_low_water(["crypto"], ago(hours=2))

    assert low_water(["crypto"]) == hour


def test_a_mark_raised_into_the_future_stops_ten_minutes_before_the_databases_now():
    raise_low_water(["crypto", STORING], ago(minutes=-25))

    assert all(ago(minutes=11) < low_water([kind]) <= highest(clock.now()) for kind in ("crypto", STORING))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO trades_lowwater (kind, mark) VALUES ('metal', %s)",
        "UPDATE trades_lowwater SET mark = %s WHERE kind = 'crypto'",
    ],
)
def test_the_database_refuses_a_mark_in_the_last_ten_minutes_whoever_writes_it(statement):
    """Guard: the triggers `mark_made_ten_minutes_back` and `mark_stays_ten_minutes_back`."""
    raise_low_water(["crypto"], ago(hours=1))

    with (
        pytest.raises(IntegrityError, match="less than ten minutes"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, [ago(minutes=9)])


def test_a_mark_that_an_older_fault_left_in_the_future_comes_down_when_it_is_raised_next():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trades_lowwater DISABLE TRIGGER mark_made_ten_minutes_back")
        LowWater.objects.create(kind="crypto", mark=ago(hours=-3))
        cursor.execute("ALTER TABLE trades_lowwater ENABLE TRIGGER mark_made_ten_minutes_back")

    raise_low_water(["crypto"], ago(hours=1))

    assert low_water(["crypto"]) <= highest(clock.now())


def test_no_other_kind_has_a_mark():
    with pytest.raises(IntegrityError), transaction.atomic():
        LowWater.objects.create(kind="stamps", mark=LOWEST)


def test_forgotten_marks_begin_at_the_very_first_trade_again():
    raise_low_water(["crypto", STORING], ago(hours=1))

    forget()

    assert marks_of() == {}


# --- what the windows' marks become ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "kept"),
    [(["2h", "1h"], "2h"), (["1h", None], None), (["1h", "future"], None), ([None, None], None)],
)
def test_an_upgrade_keeps_the_lowest_mark_of_a_kind_and_none_that_is_in_doubt(marks, kept):
    """The migration's own statement, on a table as it was before."""
    known = {"1h": ago(hours=1), "2h": ago(hours=2), "future": ago(hours=-1), None: None}
    statement = importlib.import_module("trades.migrations.0012_marks_by_kind").KEPT
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE windows_before (asset_kind text, low_water uuid)")
        for mark in marks:
            cursor.execute("INSERT INTO windows_before VALUES ('crypto', %s)", [known[mark]])
        cursor.execute(statement.replace("trades_settlementwindow", "windows_before"))

    assert marks_of() == ({"crypto": known[kept]} if kept else {})
