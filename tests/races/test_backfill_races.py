"""A file of the past while the feed writes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection, transaction

from quotes.backfill import fill
from quotes.candles import Gatherer, make_months
from quotes.models import Candle
from quotes.prices import Price
from tests.races.together import wait_until_waiting

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OF_THE_FILE, OF_THE_FEED = datetime(1994, 2, 1, tzinfo=UTC), datetime(1994, 3, 1, tzinfo=UTC)


@pytest.fixture
def months_that_are_not_there():
    statement = "DROP TABLE IF EXISTS quotes_candle_199402, quotes_candle_199403"
    with connection.cursor() as cursor:
        cursor.execute(statement)
    yield
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.usefixtures("months_that_are_not_there")
def test_the_feed_makes_its_month_while_a_file_that_made_one_is_still_being_brought_in(tmp_path: Path) -> None:
    """Guard: the first `make_months` of `fill` commits before anything is brought in."""
    gatherer = Gatherer()
    gatherer.add([Price("BTC-USD", Decimal(5), Decimal(5), at) for at in (NOON, NOON + timedelta(hours=1))])
    gatherer.write()
    path = tmp_path / "past.csv"
    path.write_text(
        "time,symbol,open,high,low,close\n1994-02-01T00:00:00Z,BTC-USD,1,1,1,1\n2026-03-02T12:00:00Z,BTC-USD,2,2,2,2\n"
    )

    def bring() -> None:
        try:
            fill(path, replace=True, by_id=None, at=NOON + timedelta(hours=2))
        finally:
            connection.close()

    bringing = threading.Thread(target=bring)
    with transaction.atomic():
        Candle.objects.select_for_update().get(minute=NOON)
        bringing.start()
        wait_until_waiting()  # it has made its month, and waits for the candle
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
        make_months([OF_THE_FEED])
    bringing.join(30)

    assert set(Candle.objects.values_list("minute", flat=True)) == {OF_THE_FILE, NOON, NOON + timedelta(hours=1)}
    assert Candle.objects.get(minute=NOON).close == 2
