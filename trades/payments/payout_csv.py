"""Payouts as CSV: for banks that take no XML."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Final

from accounts.money import from_base_units
from trades.bank.pain001 import Order, Payer

COLUMNS: Final = (
    *("payment", "value_date", "asset", "amount", "holder"),
    *("account_number", "bic", "clearing", "routing_number", "from_account"),
)


def build(orders: Sequence[Order], payer: Payer) -> bytes:
    """UTF-8 with CRLF, amounts in units of the asset. No cell begins as a formula does: holders that would are refused
    where they are written (`bank_details.printable`)."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in orders:
        writer.writerow(
            [
                one.reference,
                one.value_date.isoformat(),
                one.asset.code,
                f"{from_base_units(one.amount, one.asset.decimals):f}",
                one.to.holder,
                one.to.number,
                one.to.bic,
                one.to.clearing,
                one.to.member,
                payer.accounts[one.asset.code].number,
            ]
        )
    return out.getvalue().encode()
