"""pain.001.001.09, a customer's order to its bank to pay: built by the schema's own order of elements.

The same orders give the same bytes. Amounts have a point and the asset's decimals; texts have the characters that
every bank takes (the x set of SWIFT), others as what comes nearest. Tests hold it against the published schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Final

from lxml import etree

from accounts.bank_details import plain
from accounts.errors import Refusal
from accounts.models import Asset
from accounts.money import exact, from_base_units

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_MOST_DIGITS: Final = 18


class AmountTooLong(Refusal):
    code = "amount_too_long"
    sentence = "An amount has more digits than a payment file can hold."


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a bank: by IBAN and BIC, or by a number that isn't international, of a bank that a national
    `clearing` system knows as `member`."""

    holder: str
    number: str
    bic: str = ""
    bank_name: str = ""
    clearing: str = ""
    member: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """One payment that is ordered. `amount` is base units."""

    reference: str
    value_date: date
    asset: Asset
    amount: int
    to: Account


@dataclass(frozen=True, slots=True)
class Payer:
    """Who orders, and the account that each asset is paid from."""

    name: str
    accounts: Mapping[str, Account]
    lei: str = ""


def build(message_id: str, orders: Sequence[Order], payer: Payer, at: datetime) -> bytes:
    """The file. Raises AmountTooLong."""
    document = etree.Element("Document", nsmap={None: NAMESPACE})
    message = _child(document, "CstmrCdtTrfInitn")
    header = _child(message, "GrpHdr")
    _text(header, "MsgId", message_id)
    _text(header, "CreDtTm", f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    _sums(header, orders)
    initiator = _child(header, "InitgPty")
    _text(initiator, "Nm", plain(payer.name, 70))
    if payer.lei:
        _text(_child(_child(initiator, "Id"), "OrgId"), "LEI", payer.lei)
    ordered = sorted(orders, key=lambda one: (one.value_date, one.asset.code))
    parts = groupby(ordered, key=lambda one: (one.value_date, one.asset.code))
    for number, ((_, asset), part) in enumerate(parts, start=1):
        _payment(message, f"{message_id}-{number}", list(part), payer.accounts[asset])
    written: bytes = etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def _payment(message: etree._Element, payment_id: str, part: list[Order], own: Account) -> None:
    """What is paid from one account on one day."""
    payment = _child(message, "PmtInf")
    _text(payment, "PmtInfId", payment_id)
    _text(payment, "PmtMtd", "TRF")
    _text(payment, "BtchBookg", "false")
    _sums(payment, part)
    _text(_child(payment, "ReqdExctnDt"), "Dt", f"{part[0].value_date:%Y-%m-%d}")
    _text(_child(payment, "Dbtr"), "Nm", plain(own.holder, 70))
    account = _child(payment, "DbtrAcct")
    _number(account, own)
    _text(account, "Ccy", part[0].asset.code)
    _agent(payment, "DbtrAgt", own)
    _text(payment, "ChrgBr", "SHAR")
    for one in part:
        _transfer(payment, one)


def _transfer(payment: etree._Element, one: Order) -> None:
    transfer = _child(payment, "CdtTrfTxInf")
    ids = _child(transfer, "PmtId")
    _text(ids, "InstrId", one.reference)
    _text(ids, "EndToEndId", one.reference)
    amount = _text(_child(transfer, "Amt"), "InstdAmt", _amount(one))
    amount.set("Ccy", one.asset.code)
    _agent(transfer, "CdtrAgt", one.to)
    _text(_child(transfer, "Cdtr"), "Nm", plain(one.to.holder, 70))
    _number(_child(transfer, "CdtrAcct"), one.to)
    _text(_child(transfer, "RmtInf"), "Ustrd", one.reference)


def _number(parent: etree._Element, account: Account) -> None:
    """Its IBAN, or another number of a bank that has no BIC here."""
    named = _child(parent, "Id")
    if account.bic:
        _text(named, "IBAN", account.number)
    else:
        _text(_child(named, "Othr"), "Id", account.number)


def _agent(parent: etree._Element, tag: str, account: Account) -> None:
    institution = _child(_child(parent, tag), "FinInstnId")
    if account.bic:
        _text(institution, "BICFI", account.bic)
    if account.clearing:
        member = _child(institution, "ClrSysMmbId")
        _text(_child(member, "ClrSysId"), "Cd", account.clearing)
        _text(member, "MmbId", account.member)
    if account.bank_name:
        _text(institution, "Nm", plain(account.bank_name, 70))


def _sums(parent: etree._Element, part: Sequence[Order]) -> None:
    """How many, and the sum of their amounts whatever their currencies: so the standard defines it."""
    _text(parent, "NbOfTxs", str(len(part)))
    _text(parent, "CtrlSum", _sum(part))


@exact
def _sum(part: Sequence[Order]) -> str:
    return _fits(f"{sum(from_base_units(one.amount, one.asset.decimals) for one in part):f}")


def _amount(one: Order) -> str:
    return _fits(f"{from_base_units(one.amount, one.asset.decimals):f}")


def _fits(digits: str) -> str:
    if sum(letter.isdigit() for letter in digits) > _MOST_DIGITS:
        raise AmountTooLong
    return digits


def _child(parent: etree._Element, tag: str) -> etree._Element:
    return etree.SubElement(parent, tag)


def _text(parent: etree._Element, tag: str, text: str) -> etree._Element:
    child = etree.SubElement(parent, tag)
    child.text = text
    return child
