"""The ledger as hledger's journal and as a table: the same balances, and no text becomes a line or a formula."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from accounts.models import Customer, LedgerAccount, Transfer
from tests.export.beancount_check import exported, ours
from tests.export.hostile_texts import HOSTILE_TEXTS, said

pytestmark = pytest.mark.django_db


def test_the_journal_says_the_same(alice: Customer, tmp_path: Path) -> None:
    text = exported("hledger")

    assert text.count("\n\n") == Transfer.objects.count() + LedgerAccount.objects.count()
    transfer = Transfer.objects.get(kind="withdrawal")
    place = f"Liabilities:Customers:C-{alice.pk.hex}:Available:USD"
    assert (
        f'* withdrawal | withdrawal:wire-out  ; id:{transfer.pk.hex}, reference:wire-out\n    {place}  12.34 "USD"\n'
    ) in text
    for (name, asset), amount in ours().items():
        assert f'    {name}  0 "{asset}" = {amount:f} "{asset}"\n' in text
    _hledger_agrees(text, tmp_path)


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_no_text_becomes_a_line_of_the_journal(text: str, tmp_path: Path) -> None:
    """Guard: `names.encoded`."""
    said(text.replace("\x00", ""))

    journal = exported("hledger")

    (told,) = [line for line in journal.splitlines() if " * deposit" in line]
    assert re.fullmatch(r"\S+ \* deposit \| [-A-Za-z0-9%/:@+=#_. ~]*  ; id:[0-9a-f]{32}", told)
    assert len([line for line in journal.splitlines() if line.startswith("    ")]) == 2 + LedgerAccount.objects.count()
    _hledger_agrees(journal, tmp_path)


def _hledger_agrees(text: str, tmp_path: Path) -> None:
    """Where the program is installed it is asked as well; nothing depends on it."""
    program = shutil.which("hledger")
    if program is None:
        return
    path = tmp_path / "ledger.journal"
    path.write_text(text)
    run = subprocess.run([program, "-f", str(path), "check", "--strict"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    listed = subprocess.run(
        [program, "-f", str(path), "balance", "--flat", "--empty", "-O", "csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = {row["account"]: row["balance"] for row in csv.DictReader(io.StringIO(listed.stdout))}
    for (name, _), amount in ours().items():
        assert Decimal(re.sub(r"[^0-9.-]", "", rows[name].split('"')[0]) or "0") == amount, name


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_the_table_has_a_row_for_each_thing_and_no_formulas(text: str) -> None:
    text = text.replace("\x00", "")
    said(text)

    rows = list(csv.DictReader(io.StringIO(exported("csv"), newline="")))

    count = LedgerAccount.objects.count()
    assert [row["record"] for row in rows] == ["account"] * count + ["transfer"] + ["balance"] * count
    assert rows[count]["key"] == (f"'{text}" if text.startswith("=") else text)
    assert {row["amount"] for row in rows[count:]} == {"1.00", "0.00", "-1.00"}


def test_the_table_comes_to_the_same_balances(alice: Customer) -> None:
    rows = list(csv.DictReader(io.StringIO(exported("csv"), newline="")))
    sums: dict[tuple[str, str], Decimal] = dict.fromkeys(ours(), Decimal(0))
    for row in rows:
        if row["record"] == "transfer":
            sums[row["debit"], row["asset"]] += Decimal(row["amount"])
            sums[row["credit"], row["asset"]] -= Decimal(row["amount"])

    told = {(row["debit"], row["asset"]): Decimal(row["amount"]) for row in rows if row["record"] == "balance"}
    assert sums == told == ours()
