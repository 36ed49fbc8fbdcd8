"""quality.md, fault 28: one statement in twenty ends in a deadlock or a serialization failure, and nobody notices."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.db import connection

from tests.faults.crowd import Crowd, nothing_waits
from tests.given import a_customer, a_quote, btc_at, states, token_of, what_the_audit_finds
from tests.live import Live
from tests.sizes import size
from trades.models import Trade

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live"), pytest.mark.faults]

STARTS_AGAIN = "waiting for PostgreSQL and Redis"
WRITTEN = {
    "accounts_ledgeraccount": "UPDATE",
    "trades_order": "UPDATE",
    "trades_deal": "INSERT",
    "trades_orderevent": "INSERT",
}


@pytest.fixture
def bad_luck() -> Iterator[None]:
    """Let one statement in twenty fail, of what the engine and the workers write."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION bad_luck() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN IF random() < coalesce(TG_ARGV[0]::int, 5) / 100.0 THEN"
            " RAISE EXCEPTION 'bad luck' USING ERRCODE = CASE WHEN random() < 0.5 THEN '40001' ELSE '40P01' END;"
            " END IF; RETURN NULL; END $$"
        )
        for table, what in WRITTEN.items():
            cursor.execute(f"CREATE TRIGGER bad_luck AFTER {what} ON {table} EXECUTE FUNCTION bad_luck()")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION bad_luck() CASCADE")


@pytest.mark.parametrize("count", [size(150, 5_000)])
def test_whoever_trades_on_margin_is_told_200_every_time(
    live: Live, count: int, request: pytest.FixtureRequest
) -> None:
    """Guard: WORTH_A_RETRY in `Engine._tick`. Without it every such tick costs a new connection and the loading of
    the whole book, as it does where the lease can't be renewed; with a large one, people would notice."""
    crowd = Crowd(live)
    request.getfixturevalue("bad_luck")
    began = live.log.read_text().count(STARTS_AGAIN)
    with crowd:
        crowd.wait_for(count, seconds=3600)

    nothing_waits()
    crowd.were_told_the_truth(allowed=())
    assert live.log.read_text().count(STARTS_AGAIN) == began


def test_an_engine_that_can_not_renew_its_lease_tries_again(live: Live, request: pytest.FixtureRequest) -> None:
    """Guard: `Engine.run` takes up again after a failure of the database. Without it the engine is dead."""
    crowd = Crowd(live)
    request.getfixturevalue("bad_luck")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TRIGGER bad_luck AFTER UPDATE ON trades_enginelease EXECUTE FUNCTION bad_luck(50)")
    began = live.log.read_text().count(STARTS_AGAIN)
    with crowd:
        crowd.wait_for(1)
        give_up = time.monotonic() + 30  # a renewal a second, each with bad luck as often as not
        while live.log.read_text().count(STARTS_AGAIN) <= began and time.monotonic() < give_up:
            time.sleep(0.1)
        assert live.log.read_text().count(STARTS_AGAIN) > began
        crowd.wait_for(5)

    nothing_waits()
    crowd.were_told_the_truth(allowed={408, 500})


@pytest.mark.parametrize("count", [size(20, 1_000)])
def test_every_trade_gets_to_settling(live: Live, count: int, request: pytest.FixtureRequest) -> None:
    """Guard: the tasks are tried again (`tasks.AGAIN`); without it a trade stands in storing until the next sweep."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="1_000_000.00")
    quotes = [a_quote(alice, receive=1000) for _ in range(count)]
    request.getfixturevalue("bad_luck")
    with live.client(token_of(alice)) as http:
        answers = [http.post("/api/trades", json={"quote_guid": quote.pk.hex}) for quote in quotes]

    assert {answer.status_code for answer in answers} == {201}
    give_up = time.monotonic() + 60
    while set(states(*Trade.objects.all())) != {"settling"} and time.monotonic() < give_up:
        time.sleep(0.2)
    assert states(*Trade.objects.all()) == ["settling"] * count
    assert what_the_audit_finds() == []
