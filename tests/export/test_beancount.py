"""What beancount makes of the ledger: it agrees with every balance, and nothing becomes what it isn't."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from beancount.core.data import Price as PriceOf
from beancount.core.data import Transaction

from accounts.export import books
from accounts.export.names import account, commodity
from accounts.ids import FIRM
from accounts.models import Asset, Customer, LedgerAccount, Transfer
from accounts.money import printed_amount
from tests.accounts.sealing import tampered
from tests.export.beancount_check import bean_check, beancount_agrees, exported, read
from tests.export.hostile_texts import HOSTILE_TEXTS, said

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
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
    place = account(books.AccountName(owner.customer_id, 3, code, "fees"))
    entries = read(f"2020-01-01 commodity {commodity(code)}\n2020-01-01 open {place} {commodity(code)}\n")
    assert len(entries) == 2


def test_no_two_codes_become_one_name() -> None:
    codes = ["usd", "USD", "U-SD", "uSd", "U_SD", "U SD", "1INCH", "INCH", "ÜSD"]
    assert len({commodity(code) for code in codes}) == len(codes)
    assert len({account(books.AccountName(None, 1, code, "fees")) for code in codes}) == len(codes)


def test_the_houses_accounts_stand_where_a_bookkeeper_looks_for_them() -> None:
    for type_ in LedgerAccount.Type.values:
        owner = type_ in ("available", "settling", "margin", "leaving")
        name = account(books.AccountName(SOMEBODY if owner else None, None if owner else FIRM, "USD", type_))
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
    assert printed_amount(amount, decimals) == text
