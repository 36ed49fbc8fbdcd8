"""The ledger as text for other programs: valid, complete, and nothing in it becomes what it isn't."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from beancount.core.data import Price as PriceOf
from beancount.core.data import Transaction
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts import ledger, services
from accounts.export import FORMS, books, in_one_snapshot, lines
from accounts.export.names import account, commodity, decimal, encoded, quoted
from accounts.ids import FIRM
from accounts.ledger import Movement
from accounts.models import Asset, Customer, LedgerAccount, Transfer
from quotes.models import Candle
from tests.accounts.sealing import tampered
from tests.export.second_eyes import balances, bean_check, beancount_agrees, exported, ours, read
from tests.given import a_customer, a_cut, a_settling_buy, btc, btc_at, deposit, exits, settles, usd

pytestmark = pytest.mark.django_db

EVIL = [
    '" ; evil',
    '"\n  Assets:External:B00:USD  999.00 USD\n  Equity:Evil  -999.00 USD',
    'x\\" \\',
    "wire-1\n2020-01-01 * evil\n    Assets:Evil  1 USD\n    Equity:Evil",
    "x\r\n2020-01-01 open Assets:Evil",
    "x ; date:2001-01-01, [2001/1/1] (code) ! | a  b",
    "tab\there, a \x00-less \x1b[31mred\x7f, and \u2028 a line",
    "=HYPERLINK(1)",
    "%0A%3B",
    "😀 ñ",
]


@pytest.fixture
def alice() -> Customer:
    """Deposits, trades, an exit, a batch and a price."""
    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="50_000.00")
    deposit(alice, "ETH", "1.000000000000000001")
    bought = a_settling_buy(alice, btc("0.1"))
    a_settling_buy(alice, btc("0.00000001"))
    exits(bought)
    settles(a_cut())
    services.withdraw(alice, "USD", usd("12.34"), "wire-out", timezone.now(), "test")
    Candle.objects.create(
        instrument_id="BTC-USD",
        minute=timezone.now(),
        open=1,
        high=Decimal("42350.755"),
        low=1,
        close=Decimal("42350.755"),
    )
    return alice


def said(text: str) -> None:
    """A movement whose key says this; keys are the freest texts of the ledger."""
    bob = a_customer("bob")
    outside, own = ledger.house(bob.pk, "USD", "external"), ledger.customers(bob.pk, "USD", "available")
    ledger.post([Movement(outside, own, 100, "deposit", text, bob.pk, None, timezone.now())])


# --- beancount --------------------------------------------------------------------------------------


def test_beancount_agrees_with_every_balance(alice: Customer, tmp_path: Path) -> None:
    beancount_agrees()
    path = tmp_path / "ledger.beancount"
    path.write_text(exported())
    assert bean_check(path) == (0, "")


def test_a_balance_that_is_off_by_the_smallest_unit_is_found(alice: Customer, tmp_path: Path) -> None:
    """Guard: `~ 0` in the assertions. Without it beancount lets one unit of the last decimal pass."""
    row = alice.ledger_accounts.get(type="available", asset="USD")
    tampered("UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE id = %s", row.pk)
    path = tmp_path / "ledger.beancount"
    path.write_text(exported())

    code, text = bean_check(path)

    assert code == 1
    assert re.findall(r"Balance failed for '(\S+)'", text) == [f"Liabilities:Customers:C-{alice.pk.hex}:Available:USD"]


def test_a_transfer_that_is_gone_is_found_at_its_two_accounts(alice: Customer, tmp_path: Path) -> None:
    transfer = Transfer.objects.get(customer=alice, asset="ETH")
    tampered("DELETE FROM accounts_transfer WHERE id = %s", transfer.pk)
    path = tmp_path / "ledger.beancount"
    path.write_text(exported())

    assert bean_check(path)[1].count("Balance failed") == 2


def test_it_tells_each_transfers_kind_key_reference_and_subject(alice: Customer) -> None:
    told = {entry.meta["id"]: entry for entry in read(exported()) if isinstance(entry, Transaction)}

    for transfer in Transfer.objects.all():
        entry = told[transfer.pk.hex]
        assert (entry.payee, entry.narration) == (transfer.kind, transfer.key)
        assert entry.meta.get("subject") == (transfer.subject.hex if transfer.subject else None)
        assert entry.meta["at"] == transfer.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    out = next(entry for entry in told.values() if entry.payee == "withdrawal")
    assert out.meta["reference"] == "wire-out"


def test_it_tells_the_price_of_each_days_end(alice: Customer) -> None:
    (price,) = [entry for entry in read(exported()) if isinstance(entry, PriceOf)]

    assert (price.currency, price.amount.number, price.amount.currency) == ("BTC", Decimal("42350.755"), "USD")


@pytest.mark.parametrize("text", EVIL)
def test_no_text_becomes_a_line_of_its_own(text: str) -> None:
    """Guard: `names.quoted`."""
    text = text.replace("\x00", "")
    said(text)

    entries = read(exported())

    (entry,) = [entry for entry in entries if isinstance(entry, Transaction)]
    kept = "".join(
        c if c in "\n\r\t" or not re.match(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", c) else f"\\u{ord(c):04x}" for c in text
    )
    assert entry.narration == kept
    assert [posting.units.number for posting in entry.postings] == [Decimal("1.00"), Decimal("-1.00")]
    assert len(entries) == 1 + 2 * LedgerAccount.objects.count() + Asset.objects.count()


def test_an_empty_ledger_is_valid() -> None:
    assert read(exported()) is not None
    beancount_agrees()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("USD", "USD"),
        ("X", "X"),
        ("A.B_C-1", "A.B_C-1"),
        ("1INCH", "X1INCH-"),
        ("usd", "XUSD-"),
        ("TRUE", "XTRUE-"),
        ("A-", "XA-"),
        ('U" SD', "XUSD-"),
        ("É", "X-"),
    ],
)
def test_an_assets_code_becomes_a_name_that_beancount_takes(code: str, name: str) -> None:
    assert commodity(code).startswith(name)
    owner = LedgerAccount(customer_id=None, bucket=3, type="fees")
    place = account(books.Place(owner.customer_id, 3, code, "fees"))
    entries = read(f"2020-01-01 commodity {commodity(code)}\n2020-01-01 open {place} {commodity(code)}\n")
    assert len(entries) == 2


def test_no_two_codes_become_one_name() -> None:
    codes = ["usd", "USD", "U-SD", "uSd", "U_SD", "U SD", "1INCH", "INCH", "ÜSD"]
    assert len({commodity(code) for code in codes}) == len(codes)
    assert len({account(books.Place(None, 1, code, "fees")) for code in codes}) == len(codes)


def test_the_houses_accounts_stand_where_a_bookkeeper_looks_for_them() -> None:
    for type_ in LedgerAccount.Type.values:
        owner = type_ in ("available", "settling", "margin")
        name = account(books.Place(SOMEBODY if owner else None, None if owner else FIRM, "USD", type_))
        assert not name.startswith("Equity") or type_ == "capital", name


SOMEBODY = UUID(int=7)


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (0, 2, "0.00"),
        (-5, 2, "-0.05"),
        (12345, 2, "123.45"),
        (7, 0, "7"),
        (10**37, 18, "1" + "0" * 19 + "." + "0" * 18),
    ],
)
def test_amounts_have_all_their_decimals_exactly(amount: int, decimals: int, text: str) -> None:
    assert decimal(amount, decimals) == text


# --- hledger and the table --------------------------------------------------------------------------


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


@pytest.mark.parametrize("text", EVIL)
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


@pytest.mark.parametrize("text", EVIL)
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


def test_a_reader_that_leaves_early_is_no_error(alice: Customer) -> None:
    script = (
        "import django, os; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'brokerage.settings'); django.setup();"
        "from quotes.management.commands.export_ledger import Command;"
        "import accounts.export.books as b;"
        "import quotes.management.commands.export_ledger as e; from contextlib import nullcontext;"
        "e.in_one_snapshot = nullcontext; e.lines = lambda form, prices: iter(['x' * 100000] * 100); e.closes = list;"
        "from django.core.management import call_command; call_command('export_ledger')"
    )
    run = subprocess.run(
        f'{sys.executable} -c "{script}" | head -c 10', shell=True, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("x" * 10, "")


def test_texts_are_quoted_as_their_readers_want_them() -> None:
    assert quoted('a "b" \\ c\nd') == '"a \\"b\\" \\\\ c\\nd"'
    assert encoded("a;b\nc   d,e[1]") == "a%3Bb%0Ac %20 d%2Ce%5B1%5D"
