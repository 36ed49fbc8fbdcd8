"""Commands as a scheduler runs them: processes, whose servers are away and whose output goes nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import transaction

from accounts.db import locks
from accounts.models import User
from brokerage.stack.where import CHECKOUT
from tests.given import a_customer, a_settling_buy, btc, btc_at
from tests.live import environment
from tests.roles import urls_role
from tests.windows import windows_kept
from trades.models import SettlementBatch, SettlementWindow

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

BUFFERED = {"PYTHONUNBUFFERED": ""}  # as cron has it: what is printed fails at the end, and once more as Python ends
NOBODY = "127.0.0.1:1"
NO_DATABASE = {
    "DATABASE_URL": f"postgres://nobody:x@{NOBODY}/none",
    "MIGRATION_DATABASE_URL": f"postgres://nobody:x@{NOBODY}/none",
}
NO_REDIS = dict.fromkeys(("REDIS_URL", "CACHE_URL", "STREAM_URL", "BROKER_URL", "LIMITS_URL"), f"redis://{NOBODY}/0")


def run(*words: str, extra: Mapping[str, str] | None = None, shell: str = "") -> subprocess.CompletedProcess[str]:
    """`shell`: what stands behind the command line, e.g. "| head -1"; the code is the command's own."""
    line = [sys.executable, "manage.py", *words]
    if shell:
        line = ["bash", "-c", f'"$@" {shell}; exit ${{PIPESTATUS[0]}}', "bash", *line]
    return subprocess.run(
        line,
        cwd=CHECKOUT,
        env=environment() | BUFFERED | dict(extra or {}),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def as_late_shift(password: str) -> str:
    return urls_role(environment()["DATABASE_URL"], f"late_shift:{password}")


@pytest.fixture
def _late_shift() -> Iterator[None]:
    """A role from which the server wants a password; whoever else comes in does so as before."""
    try:
        superuser = psycopg.connect(urls_role(environment()["DATABASE_URL"], "postgres"), autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("only the embedded PostgreSQL lets tests be its superuser")
    rules = Path(superuser.execute("SELECT current_setting('hba_file')").fetchone()[0])
    before = rules.read_text()
    superuser.execute("CREATE ROLE late_shift LOGIN PASSWORD 'right'")
    try:
        rules.write_text(f"local all late_shift scram-sha-256\nhost all late_shift all scram-sha-256\n{before}")
        superuser.execute("SELECT pg_reload_conf()")
        _wait_until_refused()
        yield
    finally:
        rules.write_text(before)
        superuser.execute("SELECT pg_reload_conf()")
        superuser.execute("DROP ROLE late_shift")
        superuser.close()


def _wait_until_refused() -> None:
    for _ in range(200):
        try:
            psycopg.connect(as_late_shift("let-me-in")).close()
        except psycopg.OperationalError:
            return
        time.sleep(0.05)
    raise AssertionError("the server never asked for a password")


def one_line(ended: subprocess.CompletedProcess[str], code: int, word: str) -> None:
    assert (ended.returncode, len(ended.stderr.splitlines())) == (code, 1), ended.stderr
    assert ended.stderr.startswith(f"{word}: ")


@pytest.fixture
def _waiting() -> None:
    btc_at("40_000.00")
    User.objects.create_user("ann@firm.example", is_staff=True, is_superuser=True)
    a_settling_buy(a_customer("zoe", with_usd="90_000.00"), btc("0.1"))


@pytest.fixture
def renamed() -> Iterator[str]:
    name, odd = "Metals, hourly", "Metalle, stündlich ✓"
    SettlementWindow.objects.filter(name=name).update(name=odd)
    yield odd
    SettlementWindow.objects.filter(name=odd).update(name=name)


# --- servers that are away -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["settle_batch", "--all"],
        ["cut_batch", "--json"],
        ["settlement_status"],
        ["audit_ledger"],
        ["migrate"],
        ["batch", "list"],
    ],
)
def test_a_database_that_is_away_is_one_line_and_75(words):
    ended = run(*words, extra=NO_DATABASE)

    one_line(ended, 75, "Try again")
    assert ended.stdout == ""


@pytest.mark.usefixtures("_late_shift")
def test_a_password_that_is_wrong_is_one_line_and_no_reason_to_try_again():
    """Guard: `connecting.why_refused` asks the server once more; the pool only says how long it waited."""
    wrong = dict.fromkeys(NO_DATABASE, as_late_shift("let-me-in"))

    for words in (["settlement_status"], ["migrate"]):
        ended = run(*words, extra=wrong)
        one_line(ended, 78, "Settings")
        assert 'password authentication failed for user "late_shift"' in ended.stderr
        assert "let-me-in" not in ended.stderr


def test_a_database_that_is_not_there_is_one_line():
    ended = run("settlement_status", extra={"DATABASE_URL": environment()["DATABASE_URL"] + "_none"})

    one_line(ended, 78, "Settings")
    assert "does not exist" in ended.stderr


@pytest.mark.parametrize("words", [["settlement_status"], ["cut_batch", "--json"]])
def test_a_database_that_is_not_migrated_is_one_line_that_says_what_to_do(words):
    """Guard: `connecting.misses_migrations`; without it that is a bug's traceback."""
    empty = urlsplit(environment()["MIGRATION_DATABASE_URL"])._replace(path="/postgres").geturl()

    ended = run(*words, extra={"DATABASE_URL": empty})

    one_line(ended, 75, "Try again")
    assert "run manage.py migrate" in ended.stderr


@pytest.mark.parametrize(
    ("words", "wrong", "code", "word"),
    [
        (["next_cuts"], {"DATABASE_URL": "sqlite:///x"}, 78, "Settings"),
        (["migrate"], {"DB_POOL_SIZE": "many"}, 78, "Settings"),
        (["nxet_cuts"], {}, 2, "Usage"),
        (["cut_batch", "--window", "Gold\udcff"], {}, 2, "Usage"),  # a byte that is no UTF-8
    ],
)
def test_what_is_set_or_called_wrongly_is_no_finding(words, wrong, code, word):
    one_line(run(*words, extra=wrong), code, word)


def test_a_redis_that_is_away_is_one_line_and_75():
    one_line(run("accept_price", "BTC-USD", extra=NO_REDIS), 75, "Try again")


@pytest.mark.usefixtures("_waiting")
def test_what_needs_no_redis_is_done_without_it():
    ended = run("cut_batch", "--json", extra=NO_REDIS)

    assert (ended.returncode, json.loads(ended.stdout)["trades"]) == (0, 1), ended.stderr


@pytest.mark.usefixtures("_waiting")
def test_a_lock_that_somebody_holds_is_one_line_and_75():
    with transaction.atomic():
        locks.hold(locks.MEMBERSHIP)
        ended = run("cut_batch")

    one_line(ended, 75, "Try again")
    assert not SettlementBatch.objects.exists()


# --- output that goes nowhere ----------------------------------------------------------------------


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize(
    ("shell", "as_json"),
    [("| true", []), ("| true", ["--json"]), (">/dev/full", ["--json"]), (">&-", []), (">&- 2>&-", [])],
)
def test_what_was_done_and_its_code_do_not_depend_on_who_reads(shell, as_json):
    """Guard: `Careful` opens /dev/null in place of a stream that fails; Python's own flush at the end says 120."""
    done = run("cut_batch", "--confirm", *as_json, shell=shell)
    assert (done.returncode, SettlementBatch.objects.get().state) == (0, "completed"), done.stderr
    assert done.stderr.splitlines() == (
        ["The output can't be written: No space left on device."] if "full" in shell else []
    )

    with windows_kept():
        SettlementWindow.objects.filter(name="Metals, hourly").update(cron="61 * * * *")
        assert run("next_cuts", "--count", "100", *as_json, shell=shell).returncode == 1
    assert run("batch", "show", "0" * 32, *as_json, shell=shell).returncode == 3


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize(
    "terminal", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}]
)
def test_a_terminal_that_knows_ascii_alone_changes_nothing(terminal, renamed):
    for words in (["next_cuts"], ["next_cuts", "--json"]):
        ended = run(*words, "--count", "1", extra=terminal)
        assert (ended.returncode, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)["windows"]
    assert renamed in [one["window"] for one in told]
    assert run("cut_batch", "--window", renamed, extra=terminal).returncode == 0


def test_a_bug_is_a_traceback_and_no_code_of_the_table(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import accounts.clock\ndef broken():\n    raise ZeroDivisionError('x')\naccounts.clock.firm_now = broken\n"
    )
    path = os.pathsep.join([str(tmp_path), str(CHECKOUT)])

    ended = run("settlement_status", extra={"PYTHONPATH": path})

    assert (ended.returncode, "ZeroDivisionError" in ended.stderr, ended.stderr.startswith("Traceback")) == (
        70,
        True,
        True,
    )
