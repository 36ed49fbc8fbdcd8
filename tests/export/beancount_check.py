"""beancount reads what `export_ledger` writes: is it valid, and does every account hold there what it holds here?"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from beancount import loader
from beancount.core.data import Balance, Transaction

from accounts.export import FORMS, lines
from accounts.export.names import account, commodity
from accounts.models import LedgerAccount, Transfer
from quotes.daily import closes


def exported(form: str = "beancount") -> str:
    return "".join(lines(FORMS[form], closes()))


def read(text: str) -> list[Any]:
    """What beancount makes of it; it must find nothing wrong."""
    entries, errors, _ = loader.load_string(text)
    assert [error.message for error in errors] == []
    return list(entries)


def balances(entries: list[Any]) -> dict[tuple[str, str], Decimal]:
    """By account and commodity what its postings come to."""
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in entries:
        for posting in entry.postings if isinstance(entry, Transaction) else ():
            sums[posting.account, posting.units.currency] += posting.units.number
    return sums


class _Named:
    def __init__(self, row: LedgerAccount) -> None:
        self.customer_id, self.bucket, self.asset, self.type = row.customer_id, row.bucket, row.asset_id, row.type


def ours() -> dict[tuple[str, str], Decimal]:
    """The same from our own rows, with beancount's sign."""
    return {
        (account(_Named(row)), commodity(row.asset_id)): Decimal(-row.balance).scaleb(-row.asset.decimals)
        for row in LedgerAccount.objects.select_related("asset")
    }


def beancount_agrees() -> None:
    """Beancount finds nothing wrong, has every transfer, asserts every account, and comes to the same balances."""
    entries = read(exported())
    assert sum(isinstance(entry, Transaction) for entry in entries) == Transfer.objects.count()
    assert sum(isinstance(entry, Balance) for entry in entries) == LedgerAccount.objects.count()
    found, wanted = balances(entries), ours()
    assert {place: found.get(place, Decimal(0)) for place in wanted} == wanted
    assert found.keys() <= wanted.keys()


def bean_check(path: Path) -> tuple[int, str]:
    """The program itself: its exit code and what it says."""
    run = subprocess.run(
        [sys.executable, "-m", "beancount.scripts.check", "--no-cache", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr
