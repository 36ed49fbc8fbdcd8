"""The whole system behind a real pgbouncer that gives each transaction another session (decision 0101)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.utils import timezone

from accounts import streams
from accounts.identity import SYSTEM
from brokerage.stack.where import CHECKOUT
from tests.faults.engine_alone import DEAD
from tests.faults.pgbouncer import PROGRAM, pgbouncer
from tests.faults.trading_customers import TradingCustomers, nothing_waits
from tests.given import a_customer, a_cut, states, what_the_audit_finds
from tests.live import Live, environment
from tests.many_trades import many_exits, many_settling_buys
from tests.sizes import size
from trades.settlement.approval import confirm

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("live"),
    pytest.mark.faults,
    pytest.mark.timeout(size(900, 3_600)),  # what these tests wait for may take longer than the usual 300
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer isn't installed"),
]

NAMES = ("proxy", "web", "engine", "worker", "beat")


def behind(address: str, **further: str) -> Live:
    return Live(NAMES, {"DATABASE_URL": address, **further})


def started(live: Live) -> Live:
    """Also its modules are loaded, which the first request waits for: on a busy machine for seconds."""
    live.start()
    with live.client() as client:
        assert client.post("/api/v1/trade/create", json={}, timeout=60).status_code == 401
    return live


def direct() -> dict[str, str]:
    return {"DB_POOLER": "transaction", "DIRECT_DATABASE_URL": environment()["DATABASE_URL"]}


def let_the_role_say_nothing() -> None:
    with psycopg.connect(environment()["DATABASE_URL"], autocommit=True) as session:
        session.execute(f'ALTER ROLE CURRENT_USER IN DATABASE "{session.info.dbname}" RESET ALL')


@pytest.fixture
def pooled() -> Iterator[Live]:
    """All processes with the setting, and as `migrate` leaves the role."""
    streams.client().flushdb()
    let_the_role_say_nothing()
    with pgbouncer() as address:
        live = behind(address, **direct())
        migrated = [sys.executable, "manage.py", "migrate", "--no-input"]
        subprocess.run(migrated, cwd=CHECKOUT, env=live.environment, check=True, capture_output=True)
        try:
            yield started(live)
        finally:
            live.stop()
            let_the_role_say_nothing()


def dead_letters() -> int:
    return int(streams.client().xlen(DEAD))


@pytest.mark.parametrize("closes", [size(300, 20_000)])
def test_many_trade_and_a_batch_settles_over_four_sessions_that_end_each_second(pooled: Live, closes: int) -> None:
    """Guards: no prepared statements (`may_prepare`), no options of sessions."""
    people = [a_customer(f"customer{number}", with_usd="100_000.00") for number in range(20)]
    bought = many_settling_buys(people, size(1_500, 50_000))
    sold = many_exits(bought[::10])
    confirm(a_cut().pk, by=SYSTEM, at=timezone.now())

    with TradingCustomers(pooled, people=8) as customers:
        customers.wait_for(closes * 2, seconds=300)
        give_up = time.monotonic() + 120
        while set(states(*bought, *sold)) != {"completed"}:
            assert time.monotonic() < give_up, pooled.log.read_text()[-4000:]
            time.sleep(0.2)

    nothing_waits()
    customers.were_told_the_truth()  # "unclear" is one: a busy machine is slow, too
    assert dead_letters() == 0
    assert "prepared statement" not in pooled.log.read_text()
    assert what_the_audit_finds() == []


_KEEPS_A_SLOT = """
import time, django
django.setup()
from django.db import connection
from trades.settlement.settler_slots import settler_slot
def asked(sql, *given):
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return cursor.fetchone()[0]
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 24231 AND objid = 77"
(first,) = [asked("SELECT pg_backend_pid()")]
with settler_slot(77) as is_mine:
    assert is_mine
    give_up = time.monotonic() + 240
    while asked("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", first):
        assert time.monotonic() < give_up
        time.sleep(0.1)
    print(asked(LOCKS))
print(asked(LOCKS))
"""


def test_a_settler_keeps_its_slot_though_the_poolers_sessions_end() -> None:
    """Guard: `_keeper` in locks.py. Else the lock is another one's, or nobody's, after the first statement."""
    with pgbouncer(sessions=1) as address:
        environ = environment() | {"DATABASE_URL": address, **direct(), "DJANGO_SETTINGS_MODULE": "brokerage.settings"}
        run = subprocess.run(
            [sys.executable, "-c", _KEEPS_A_SLOT],
            cwd=CHECKOUT,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=480,
        )

    assert run.stdout.split() == ["1", "0"], run.stderr


def test_sessions_behind_it_begin_with_the_timeouts(pooled: Live) -> None:
    """Guard: `let_the_role_say` in `migrate`. Else a lock that somebody left behind costs the trading day."""
    give_up = time.monotonic() + 60  # sessions of before end within a second
    while True:
        with psycopg.connect(pooled.environment["DATABASE_URL"], autocommit=True) as session:
            found = [session.execute(f"SHOW {name}").fetchone() for name in settings.SESSION_SETTINGS]
        if found == [("4s",), ("1min",), ("UTC",)]:
            return
        assert time.monotonic() < give_up, found
        time.sleep(0.2)


def test_who_forgot_to_say_it_is_told_and_no_good_command_is_set_aside() -> None:
    """A pooler that ignores the options, and nobody set DB_POOLER. Guard: `prepare_no_more`, whose failure lets the
    tick begin anew. Else nobody gets an answer, and good commands become dead letters."""
    streams.client().flushdb()
    with pgbouncer(further="ignore_startup_parameters = options") as address:
        live = behind(address)
        try:
            started(live)
            with TradingCustomers(live, people=4) as customers:
                customers.wait_for(size(100, 2_000), seconds=120)
            nothing_waits()
            said = live.log.read_text()
        finally:
            live.stop()

    customers.were_told_the_truth()  # "unclear" is one: a busy machine is slow, too
    assert dead_letters() == 0
    assert "set DB_POOLER=transaction" in said
