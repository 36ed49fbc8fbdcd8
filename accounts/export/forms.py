"""The ledger in the words of three kinds of program. A form says a line, or a few, about each thing it is given.

Amounts have the other sign than ours: what is debited is positive there, so a customer's money is a negative liability.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final, Protocol

from accounts.export.books import ExportedAccount, ExportedAsset, ExportedPrice, ExportedTransfer
from accounts.export.names import account, commodity, encoded, quoted
from accounts.money import printed, printed_amount


class Form(Protocol):
    def head(self, assets: Sequence[ExportedAsset], first_day: str) -> str: ...
    def account(self, one: ExportedAccount, first_day: str) -> str: ...
    def price(self, one: ExportedPrice) -> str: ...
    def transfer(self, one: ExportedTransfer) -> str: ...
    def balance(self, one: ExportedAccount, day: str) -> str: ...


class Beancount:
    """beancount 3: `bean-check` compares every balance, to the last digit, and reckons with 28 digits."""

    def head(self, assets: Sequence[ExportedAsset], first_day: str) -> str:
        return 'option "title" "Ledger"\n' + "".join(f"{first_day} commodity {commodity(one.code)}\n" for one in assets)

    def account(self, one: ExportedAccount, first_day: str) -> str:
        return f"{first_day} open {account(one)} {commodity(one.asset)}\n"

    def price(self, one: ExportedPrice) -> str:
        return f"{one.day} price {commodity(one.base)} {printed(one.price)} {commodity(one.counter)}\n"

    def transfer(self, one: ExportedTransfer) -> str:
        amount, asset = printed_amount(one.amount, one.decimals), commodity(one.asset)
        facts = {"id": one.id.hex, "at": one.at, "reference": one.reference}
        if one.subject is not None:
            facts["subject"] = one.subject.hex
        told = "".join(f"  {name}: {quoted(text)}\n" for name, text in facts.items() if text)
        return (
            f"\n{one.day} * {quoted(one.kind)} {quoted(one.key)}\n{told}"
            f"  {account(one.debit)}  {amount} {asset}\n  {account(one.credit)}  -{amount} {asset}\n"
        )

    def balance(self, one: ExportedAccount, day: str) -> str:
        return (
            f"{day} balance {account(one)}  {printed_amount(-one.balance, one.decimals)} ~ 0 {commodity(one.asset)}\n"
        )


class Hledger:
    """A journal for hledger. Texts are percent-encoded, for it knows no quotation marks."""

    def head(self, assets: Sequence[ExportedAsset], first_day: str) -> str:
        return "; Ledger\n" + "".join(f'commodity 1.{"0" * one.decimals} "{commodity(one.code)}"\n' for one in assets)

    def account(self, one: ExportedAccount, first_day: str) -> str:
        return f"account {account(one)}\n"

    def price(self, one: ExportedPrice) -> str:
        return f'P {one.day} "{commodity(one.base)}" {printed(one.price)} "{commodity(one.counter)}"\n'

    def transfer(self, one: ExportedTransfer) -> str:
        amount, asset = printed_amount(one.amount, one.decimals), commodity(one.asset)
        subject = f", subject:{one.subject.hex}" if one.subject is not None else ""
        reference = f", reference:{encoded(one.reference)}" if one.reference else ""
        return (
            f"\n{one.day} * {encoded(one.kind)} | {encoded(one.key)}  ; id:{one.id.hex}{reference}{subject}\n"
            f'    {account(one.debit)}  {amount} "{asset}"\n    {account(one.credit)}  -{amount} "{asset}"\n'
        )

    def balance(self, one: ExportedAccount, day: str) -> str:
        held, asset = printed_amount(-one.balance, one.decimals), commodity(one.asset)
        return f'\n{day} * balance\n    {account(one)}  0 "{asset}" = {held} "{asset}"\n'


class Csv:
    """A table, a row for each thing; a text that begins like a formula gets an apostrophe before it."""

    columns: Final = (
        *("record", "day", "at", "id", "kind", "key", "reference", "customer", "subject", "debit", "credit"),
        *("amount", "asset", "in"),
    )

    def head(self, assets: Sequence[ExportedAsset], first_day: str) -> str:
        return self._row(**{name: name for name in self.columns})

    def account(self, one: ExportedAccount, first_day: str) -> str:
        return self._row(record="account", id=one.id.hex, debit=account(one), asset=one.asset)

    def price(self, one: ExportedPrice) -> str:
        fields = {"day": str(one.day), "asset": one.base, "in": one.counter, "amount": printed(one.price)}
        return self._row(record="price", **fields)

    def transfer(self, one: ExportedTransfer) -> str:
        return self._row(
            record="transfer",
            day=one.day,
            at=one.at,
            id=one.id.hex,
            kind=one.kind,
            key=one.key,
            reference=one.reference,
            customer=one.customer_id.hex if one.customer_id else "",
            subject=one.subject.hex if one.subject else "",
            debit=account(one.debit),
            credit=account(one.credit),
            amount=printed_amount(one.amount, one.decimals),
            asset=one.asset,
        )

    def balance(self, one: ExportedAccount, day: str) -> str:
        amount = printed_amount(-one.balance, one.decimals)
        return self._row(record="balance", day=day, id=one.id.hex, debit=account(one), amount=amount, asset=one.asset)

    def _row(self, **fields: str) -> str:
        out = io.StringIO()
        amount = fields.get("amount", "")
        csv.writer(out, lineterminator="\n").writerow(
            text if text == amount else _no_formula(text) for text in (fields.get(name, "") for name in self.columns)
        )
        return out.getvalue()


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


FORMS: Final[dict[str, Form]] = {"beancount": Beancount(), "hledger": Hledger(), "csv": Csv()}
