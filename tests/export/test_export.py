"""The export as a whole: page by page, of one moment, the same each time; and its command."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.export import FORMS, books, in_one_snapshot, lines
from accounts.export.names import encoded, quoted
from accounts.management.exits import TryAgain
from accounts.models import Customer, Transfer
from tests.export.beancount_check import balances, exported, read
from tests.given import a_customer, deposit

pytestmark = pytest.mark.django_db


# --- page by page, one snapshot ---------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_it_is_the_same_each_time_whatever_the_pages(
    alice: Customer, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = exported(form)
    monkeypatch.setattr(books, "PAGE", 2)

    assert exported(form) == whole == exported(form)


def test_it_reads_page_by_page(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: keyset pages; what is in memory doesn't grow with the ledger."""
    monkeypatch.setattr(books, "PAGE", 3)
    asked = []

    def look(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        exported()

    assert sum("FROM accounts_transfer WHERE id >" in sql for sql, _ in asked) == -(-Transfer.objects.count() // 3) + 1


@pytest.mark.django_db(transaction=True)
def test_what_moves_meanwhile_is_in_the_next_export() -> None:
    """Guard: REPEATABLE READ. Without it the balances at the end are newer than the transfers."""
    alice = a_customer(with_usd="1.00")
    told: list[str] = []

    def moves() -> None:
        try:
            deposit(alice, "USD", "5.00")
        finally:
            connection.close()

    with in_one_snapshot():
        text: Iterator[str] = lines(FORMS["beancount"], [])
        told.append(next(text))
        thread = threading.Thread(target=moves)
        thread.start()
        thread.join()
        told += text

    assert Transfer.objects.count() == 2
    entries = read("".join(told))
    assert balances(entries)[f"Liabilities:Customers:C-{alice.pk.hex}:Available:USD", "USD"] == Decimal("-1.00")


# --- the command ------------------------------------------------------------------------------------


def test_the_command_writes_a_file_that_its_owner_alone_reads(alice: Customer, tmp_path: Path) -> None:
    path = tmp_path / "books.beancount"

    call_command("export_ledger", "--output", str(path))

    assert path.read_text() == exported()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [name.name for name in tmp_path.iterdir()] == [path.name]


def test_the_command_writes_to_the_terminal(alice: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    for form in FORMS:
        call_command("export_ledger", "--format", form)
        assert capsys.readouterr().out == exported(form)


def test_a_place_that_can_not_be_written_is_said_and_a_failure_leaves_nothing(
    alice: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="can't be written: No such file or directory"):
        call_command("export_ledger", "--output", str(tmp_path / "not" / "there"))
    with pytest.raises(CommandError, match="'' names no file"):
        call_command("export_ledger", "--output", "")
    with pytest.raises(CommandError, match="can't be written: Is a directory"):
        call_command("export_ledger", "--output", str(tmp_path))
    path = tmp_path / "books"
    path.write_text("of yesterday")

    def breaks() -> Iterator[object]:
        raise RuntimeError("in the middle")
        yield

    monkeypatch.setattr(books, "transfers", breaks)
    with pytest.raises(RuntimeError):
        call_command("export_ledger", "--output", str(path))

    assert path.read_text() == "of yesterday"
    assert [name.name for name in tmp_path.iterdir()] == ["books"]


def printed_to(where: str) -> tuple[int, str, str]:
    """What becomes of the command in a process, on ten megabytes: its own code, what was read of it, its stderr."""
    script = (
        "import django, os; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'brokerage.settings'); django.setup();"
        "import quotes.management.commands.export_ledger as e; from contextlib import nullcontext;"
        "e.in_one_snapshot = nullcontext; e.lines = lambda form, prices: iter(['x' * 100000] * 100); e.closes = list;"
        "e.Command.is_deed = False;"  # the database that it would be written down in is another
        "e.Command().run_from_argv(['manage.py', 'export_ledger'])"
    )
    line = ["bash", "-c", f'"$@" {where}; exit ${{PIPESTATUS[0]}}', "bash", sys.executable, "-c", script]
    run = subprocess.run(line, env=os.environ | {"PYTHONUNBUFFERED": ""}, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    assert printed_to("| head -c 10") == (0, "x" * 10, "")


def test_an_export_that_is_cut_short_is_not_done() -> None:
    """Guard: `prints_its_work`; without it a full disk ends with 0, for what other commands did isn't undone by one."""
    full = "Try again: The output can't be written: No space left on device.\n"
    assert printed_to(">/dev/full") == (75, "", full)
    assert printed_to(">&-") == (2, "", "Usage: stdout is closed: name a file, --output FILE.\n")


def test_a_file_on_a_full_disk_is_to_be_tried_again(
    alice: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full() -> Iterator[object]:
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(books, "transfers", is_full)
    with pytest.raises(TryAgain, match="can't be written: No space left on device"):
        call_command("export_ledger", "--output", str(tmp_path / "books"))

    assert not list(tmp_path.iterdir())


def test_texts_are_quoted_as_their_readers_want_them() -> None:
    assert quoted('a "b" \\ c\nd') == '"a \\"b\\" \\\\ c\\nd"'
    assert encoded("a;b\nc   d,e[1]") == "a%3Bb%0Ac %20 d%2Ce%5B1%5D"
