"""Outgoing instructions as CSV: for banks that take no XML, and for whoever sends from wallets by hand."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Final

from accounts.money import from_base_units
from trades.models import SettlementInstruction, StandingInstruction

COLUMNS: Final = (
    *("instruction", "value_date", "asset", "amount", "counterparty", "kind"),
    *("holder", "iban", "bic", "bank_name", "network", "address", "memo", "from_account"),
)


def build(instructions: Sequence[SettlementInstruction], own: Mapping[str, StandingInstruction]) -> bytes:
    """UTF-8 with CRLF, amounts in units of the asset. No cell begins as a formula does: names that would are refused
    where they are written (`formats.printable`)."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in instructions:
        where, source = one.standing, own.get(one.asset_id)
        writer.writerow(
            [
                one.reference,
                one.value_date.isoformat(),
                one.asset_id,
                f"{from_base_units(one.amount, one.asset.decimals):f}",
                one.counterparty.name,
                where.kind,
                where.holder,
                where.iban,
                where.bic,
                where.bank_name,
                where.network,
                where.address,
                where.memo,
                (source.iban or source.address) if source else "",
            ]
        )
    return out.getvalue().encode()
