"""Hosts whose clocks are wrong, and a database that is set back: trades, cuts, seals and the schedule go by PostgreSQL.

Real processes; a clock is made wrong by a library before libc's (`wrong_clock.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from django.conf import settings
from django_celery_beat.models import PeriodicTask

from accounts import audit, clock
from accounts.models import LedgerAudit, SealBlock
from brokerage.beat import Scheduler
from brokerage.celery import app
from brokerage.stack.postgres import binaries
from tests.aged import aged
from tests.faults.wrong_clock import COMPILER, as_in, make_library, off
from tests.given import (
    a_customer,
    a_quote,
    btc_at,
    deposit,
    executes,
    states,
    stores,
    token_of,
    what_the_audit_finds,
)
from tests.live import CHECKOUT, Live, environment
from tests.windows import scheduled, windows_kept
from trades import tasks
from trades.low_water import STORING, highest, low_water, marks_of
from trades.models import SettlementBatch, SettlementWindow, Trade, TradeEvent
from trades.settlement.cut import cut_due, cut_window

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("live"),
    pytest.mark.faults,
]
needs_a_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler to make a wrong clock with")

BEHIND, AHEAD = -12 * 60, 25 * 60
A_MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_library(tmp_path_factory.mktemp("clock"))


@pytest.fixture(autouse=True)
def _market() -> None:
    btc_at("40_000.00")


@pytest.fixture
def crypto() -> Iterator[SettlementWindow]:
    """The window of crypto, at a time that the test names; the others are off, and all come back as they were."""
    with windows_kept():
        SettlementWindow.objects.exclude(asset_kind="crypto").update(is_active=False)
        yield SettlementWindow.objects.get(asset_kind="crypto")


def cut_at(window: SettlementWindow, at: datetime) -> None:
    """Let the window's only cut within hours be at this minute."""
    cron = f"{at.minute} {at.hour} * * *"
    only = SettlementWindow.objects.filter(pk=window.pk)
    scheduled(only, cron=cron, time_zone="UTC", calendar="", since=at - timedelta(hours=1))


@contextmanager
def running(*names: str, extra: dict[str, str]) -> Iterator[Live]:
    processes = Live(names, extra)
    for name in names:
        processes.start_one(name)
    try:
        if "web" in names:
            processes.wait_for_web("/livez")  # with this clock it never gets ready, and serves all the same
        yield processes
    finally:
        processes.stop()


def soon(happens: Callable[[], bool], seconds: float = 40) -> bool:
    give_up = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.1)
    return True


def manage(*arguments: str, extra: dict[str, str]) -> str:
    command = [sys.executable, "manage.py", *arguments]
    ran = subprocess.run(command, cwd=CHECKOUT, env=environment() | extra, check=True, capture_output=True, text=True)
    return ran.stdout


# --- hosts that are behind or ahead ----------------------------------------------------------------


@needs_a_compiler
def test_trades_of_a_web_host_that_is_behind_are_in_the_next_cut(library, crypto):
    """Guard: the time in ids is PostgreSQL's (`accounts.ids`). By the host's own the trade would be below the mark."""
    now = clock.now()
    cut_window(crypto, now, now)
    alice = a_customer(with_usd="10_000.00")
    with (
        running("web", extra=off(library, BEHIND)) as processes,
        processes.client(token_of(alice)) as client,
    ):
        btc_at("40_000.00")
        quote = client.post("/api/quotes", json={"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000})
        trade = client.post("/api/trades", json={"quote_guid": quote.json()["guid"]})

    assert (quote.status_code, trade.status_code) == (201, 201), (quote.text, trade.text)
    (stored,) = Trade.objects.all()
    assert stored.pk > low_water(["crypto"])
    stores(stored)
    assert now < stored.created_at  # PostgreSQL's clock says when it was accepted, and in which cut it is
    assert cut_window(crypto, stored.created_at, clock.now()) is None
    assert cut_window(crypto, clock.now(), clock.now()).first_trade_id == stored.pk
    assert what_the_audit_finds() == []


@needs_a_compiler
def test_a_worker_that_is_behind_cuts_what_is_due_and_writes_the_time_that_it_is(library, crypto):
    """Guard: `clock.now()` in the tasks. By its own clock nothing would be due for twelve minutes."""
    alice = a_customer(with_usd="10_000.00")
    trade = aged(executes(a_quote(alice, receive=1000)), 5 * A_MINUTE)
    began = clock.now()
    cut_at(crypto, began - 3 * A_MINUTE)

    with running("worker", extra=off(library, BEHIND)):
        tasks.sweep.delay()
        assert soon(lambda: states(trade) == ["settling"])
        tasks.cut_due.delay()
        assert soon(lambda: states(trade) == ["completed"])

    times = [
        *TradeEvent.objects.filter(trade=trade).exclude(became="storing").values_list("at", flat=True),
        *SettlementBatch.objects.values_list("created_at", flat=True),
    ]
    assert len(times) == 3
    assert all(began <= at <= clock.now() for at in times)
    assert what_the_audit_finds() == []


@needs_a_compiler
def test_a_worker_that_is_ahead_cuts_nothing_early_and_lifts_no_mark(library, crypto):
    """Guards: `clock.now()` in the tasks, and LEAST in `low_water._RAISE`."""
    alice = a_customer(with_usd="10_000.00")
    trade = executes(a_quote(alice, receive=1000))
    cut_at(crypto, clock.now() + 12 * A_MINUTE)

    with running("worker", extra=off(library, AHEAD)):
        tasks.sweep.delay()
        assert soon(lambda: states(trade) == ["settling"])
        tasks.cut_due.delay()
        app.send_task("accounts.tasks.audit")  # behind it in the queue
        assert soon(lambda: LedgerAudit.objects.exists())

    assert not SettlementBatch.objects.exists()
    assert SettlementWindow.objects.get(pk=crypto.pk).last_cut_at is None
    assert set(marks_of()) == {STORING}
    assert low_water([STORING]) <= highest(clock.now())
    assert abs(LedgerAudit.objects.get().at - clock.now()) < A_MINUTE
    (batch,) = cut_due(clock.now() + 13 * A_MINUTE)
    assert batch.first_trade_id == trade.pk


@needs_a_compiler
@pytest.mark.parametrize("seconds", [3600, BEHIND])
def test_a_seal_made_by_a_host_with_a_wrong_clock_accuses_no_honest_row(library, seconds):
    """Guard: `clock.now()` in the command. An hour ahead, the block would end at ids that are still to come."""
    alice = a_customer(with_usd="10_000.00")

    manage("seal", extra=off(library, seconds))
    for _ in range(3):
        deposit(alice, "USD", "1.00")

    # All of it is younger than ten minutes, but for versions of what the migrations made.
    assert not SealBlock.objects.exclude(table_name="accounts_rowversion").exists()
    assert audit.run(clock.now(), verify=True).findings == []


# --- the schedule ----------------------------------------------------------------------------------


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The broker, without any message; what beat has put down goes with the test."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete(settings.CELERY_TASK_DEFAULT_QUEUE)
    yield client
    client.delete(settings.CELERY_TASK_DEFAULT_QUEUE)
    PeriodicTask.objects.all().delete()


def sent(broker: redis.Redis) -> set[str]:
    """The names of the tasks whose messages lie with the broker."""
    messages = broker.lrange(settings.CELERY_TASK_DEFAULT_QUEUE, 0, -1)
    return {json.loads(message)["headers"]["task"] for message in messages}


def all_sent(broker: redis.Redis, seconds: float) -> bool:
    wanted = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    return soon(lambda: sent(broker) >= wanted, seconds)


def test_a_beat_whose_last_runs_lie_in_the_future_sends_everything_at_once(broker):
    """Guard: `ScheduleEntry.is_due`. With django_celery_beat's own nothing is sent until the clock gets there."""
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        Scheduler.Entry.from_entry(name, app=app, **entry)
    PeriodicTask.objects.update(last_run_at=clock.now() + timedelta(hours=3), total_run_count=1)

    with running("beat", extra={}):
        assert all_sent(broker, 30), sent(broker)

    ran = PeriodicTask.objects.exclude(last_run_at=None).values_list("last_run_at", flat=True)
    assert max(ran) <= clock.now()


@needs_a_compiler
def test_a_beat_whose_clock_is_set_back_while_it_runs_goes_on(library, broker, tmp_path):
    """Guard: `Scheduler.tick` plans anew. What was planned by the clock before stands behind what was not."""
    ahead = tmp_path / "ahead"
    ahead.write_text(str(AHEAD))
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        Scheduler.Entry.from_entry(name, app=app, **entry)
    PeriodicTask.objects.update(last_run_at=clock.now() - timedelta(days=2), total_run_count=1)

    with running("beat", extra=as_in(library, ahead)):
        assert all_sent(broker, 30), sent(broker)
        broker.delete(settings.CELERY_TASK_DEFAULT_QUEUE)
        ahead.write_text("0")
        assert all_sent(broker, 30), sent(broker)


# --- a database that is set back -------------------------------------------------------------------


def beside(url: str, name: str) -> str:
    """The same server's database of another name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[Callable[[], dict[str, str]]]:
    """Called once, dumps the database; what it gives, called, restores the dump beside it and tells its addresses."""
    owner = settings.MIGRATION_DATABASE_URL or settings.DATABASE_URL
    name, file = settings.DATABASES["default"]["NAME"], tmp_path / "before.dump"
    copy = f"{name}_restored"

    def run(program: str, *arguments: str) -> None:
        subprocess.run([binaries() / program, *arguments], check=True, capture_output=True)

    def dump() -> Callable[[], dict[str, str]]:
        run("pg_dump", "--format=custom", f"--file={file}", beside(owner, name))
        return restore

    def restore() -> dict[str, str]:
        run("createdb", f"--maintenance-db={beside(owner, 'postgres')}", copy)
        run("pg_restore", "--no-owner", f"--dbname={beside(owner, copy)}", str(file))
        return {"DATABASE_URL": beside(settings.DATABASE_URL, copy), "MIGRATION_DATABASE_URL": beside(owner, copy)}

    yield dump  # type: ignore[misc]
    run("dropdb", "--if-exists", "--force", f"--maintenance-db={beside(owner, 'postgres')}", copy)


def test_after_a_restore_beside_a_redis_that_is_ahead_every_trade_in_storing_is_moved(restored, crypto):
    """Guard: the sweep's mark is a row. In Redis it would be past the trades that a restore puts back into storing."""
    alice = a_customer(with_usd="10_000.00")
    old = [aged(executes(a_quote(alice, receive=1000)), timedelta(minutes=20)) for _ in range(3)]
    young = executes(a_quote(alice, receive=1000))
    restore = restored()
    tasks.sweep()
    now = clock.now()
    cut_window(crypto, now, now)
    assert states(*old, young) == ["settling"] * 4
    assert low_water([STORING]) > max(trade.pk for trade in old)

    there = restore()
    code = (
        "from trades.models import Trade; from trades.tasks import sweep;"
        "print(Trade.objects.filter(state='storing').count()); sweep();"
        "print(Trade.objects.filter(state='settling').count(), Trade.objects.count())"
    )
    told = manage("shell", "--no-imports", "-c", code, extra=there)

    assert told.split() == ["4", "4", "4"]
    assert json.loads(manage("settlement_status", "--json", extra=there))["findings"] == []
