"""camt.053, a bank's statement: versions 2 to 14 of it, which differ in where a few things stand.

A file from outside is believed in nothing: no document type (so no entity, inside or outside), no other namespace, no
more bytes and entries than a statement has. What can't be matched is no error: it is an entry with a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from lxml import etree

from accounts.errors import Malformed
from accounts.money import parse_decimal
from trades.bank.entries import MOST_BYTES, MOST_ENTRIES, Entry

_NAMESPACE: Final = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.(0[2-9]|1[0-4])", re.ASCII)
_DIRECTIONS: Final = {"CRDT": "incoming", "DBIT": "outgoing"}
_COUNT: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_LONGEST: Final = 500


def read(content: bytes) -> list[Entry]:
    """The entries of a statement, in its order. Raises Malformed."""
    if len(content) > MOST_BYTES:
        raise Malformed(f"A statement has at most {MOST_BYTES:,} bytes.")
    document = _parsed(content)
    name = etree.QName(document)
    if name.localname != "Document" or not _NAMESPACE.fullmatch(name.namespace or ""):
        raise Malformed("This is no camt.053 of version 2 to 14: its namespace says something else.")
    _refuse_mixed(document, name.namespace)
    ns = {"c": name.namespace}
    found = [entry for statement in document.iterfind("c:BkToCstmrStmt/c:Stmt", ns) for entry in _of(statement, ns)]
    if len(found) > MOST_ENTRIES:
        raise Malformed(f"A statement has at most {MOST_ENTRIES:,} entries.")
    return found


def _parsed(content: bytes) -> etree._Element:
    if b"\0" in content or b"<!DOCTYPE" in content.upper():
        raise Malformed("A statement has no document type and no entities, and is no UTF-16.")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,  # a text would end at one: 40 of 40<!-- -->00.00
        remove_pis=True,
    )
    try:
        document = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as failure:
        raise Malformed(f"This is no XML: {str(failure)[:200]}") from None
    if document.getroottree().docinfo.doctype:  # in an encoding that hid it
        raise Malformed("A statement has no document type and no entities.")
    return document


def _refuse_mixed(document: etree._Element, namespace: str) -> None:
    """Text beside elements, which this format has nowhere: what is read would end at the first of them."""
    for element in document.iter(f"{{{namespace}}}*"):
        texts = (element.text, *(child.tail for child in element))
        if len(element) and any(text and text.strip() for text in texts):
            raise Malformed(
                f"This is no camt.053: text stands between the elements of {etree.QName(element).localname}."
            )


def _of(statement: etree._Element, ns: dict[str, str]) -> Iterator[Entry]:
    account = _first(statement, ns, "c:Acct/c:Id/c:IBAN", "c:Acct/c:Id/c:Othr/c:Id").replace(" ", "")
    for entry in statement.iterfind("c:Ntry", ns):
        details = entry.findall("c:NtryDtls/c:TxDtls", ns)
        if len(details) > 1 or _stands_for_more(entry, details, ns):
            yield from _parts(entry, details, account, ns)
        else:
            yield _entry(entry, details[0] if details else None, account, ns, _bank_reference(entry, ns))


def _parts(entry: etree._Element, details: list[etree._Element], account: str, ns: dict[str, str]) -> Iterator[Entry]:
    """An entry over several payments: each by itself, where each says how much, and all come to the entry's amount."""
    reference = _bank_reference(entry, ns)
    parts = [(part, _amount_of(part, ns)) for part in details]
    if not reference or any(amount is None for _, amount in parts) or _stands_for_more(entry, details, ns):
        yield _entry(entry, None, account, ns, reference, problem="several_payments_without_amounts")
        return
    if not _come_to_it(entry, parts, ns):
        yield _entry(entry, None, account, ns, reference, problem="payments_come_to_another_amount")
        return
    for number, (part, amount) in enumerate(parts, start=1):
        own = _first(part, ns, "c:Refs/c:AcctSvcrRef")
        yield _entry(entry, part, account, ns, own or f"{reference}-{number}", amount=amount)


def _stands_for_more(entry: etree._Element, details: list[etree._Element], ns: dict[str, str]) -> bool:
    """Whether it says that it is of more payments than it tells of."""
    told = [(text.text or "").strip() for text in entry.iterfind("c:NtryDtls/c:Btch/c:NbOfTxs", ns)]
    return sum(int(text) for text in told if _COUNT.fullmatch(text)) > max(len(details), 1)


def _come_to_it(
    entry: etree._Element, parts: list[tuple[etree._Element, etree._Element | None]], ns: dict[str, str]
) -> bool:
    """Whether the payments, those the other way subtracted, are the entry's amount, and of its currency."""
    whole, direction = entry.find("c:Amt", ns), _first(entry, ns, "c:CdtDbtInd")
    left = _number(whole)
    if whole is None or left is None or left < 0:
        return False
    for part, amount in parts:
        one = _number(amount)
        if amount is None or one is None or one <= 0 or amount.get("Ccy") != whole.get("Ccy"):
            return False
        left -= one if _first(part, ns, "c:CdtDbtInd") in ("", direction) else -one
    return left == 0


def _number(amount: etree._Element | None) -> Decimal | None:
    return None if amount is None else parse_decimal((amount.text or "").strip())


def _entry(
    entry: etree._Element,
    part: etree._Element | None,
    account: str,
    ns: dict[str, str],
    reference: str,
    *,
    amount: etree._Element | None = None,
    problem: str = "",
) -> Entry:
    said = amount if amount is not None else entry.find("c:Amt", ns)
    of_part = _first(part, ns, "c:CdtDbtInd") if part is not None and amount is not None else ""
    direction = _DIRECTIONS.get(of_part or _first(entry, ns, "c:CdtDbtInd"), "")
    other = "Dbtr" if direction == "incoming" else "Cdtr"
    paths = (f"c:RltdPties/c:{other}Acct/c:Id/c:IBAN", f"c:RltdPties/c:{other}Acct/c:Id/c:Othr/c:Id")
    is_booked = _first(entry, ns, "c:Sts/c:Cd", "c:Sts") == "BOOK"
    return Entry(
        account=account,
        currency=said.get("Ccy", "") if said is not None else "",
        amount=((said.text or "") if said is not None else "").strip(),
        direction=direction,
        bank_reference=reference,
        names=() if part is None else _names(part, ns),
        other_account="" if part is None else _first(part, ns, *paths).replace(" ", ""),
        booked_on=_day(_first(entry, ns, "c:BookgDt/c:Dt", "c:BookgDt/c:DtTm")),
        problem=(problem or _problem(entry, part, direction, reference, ns)) if is_booked else "not_booked",
        is_booked=is_booked,
    )


def _problem(
    entry: etree._Element, part: etree._Element | None, direction: str, reference: str, ns: dict[str, str]
) -> str:
    if not direction:
        return "no_direction"
    if _first(entry, ns, "c:RvslInd") in ("true", "1") or (part is not None and part.find("c:RtrInf", ns) is not None):
        return "a_reversal"
    return "" if reference else "no_bank_reference"


def _names(part: etree._Element, ns: dict[str, str]) -> tuple[str, ...]:
    """What it says of the payment: the ids that the payer gave, then the text."""
    paths = ("c:Refs/c:InstrId", "c:Refs/c:EndToEndId", "c:RmtInf/c:Ustrd", "c:RmtInf/c:Strd/c:CdtrRefInf/c:Ref")
    texts = (found.text or "" for path in paths for found in part.iterfind(path, ns))
    return tuple(text.strip()[:_LONGEST] for text in texts if text.strip())[:20]


def _amount_of(part: etree._Element, ns: dict[str, str]) -> etree._Element | None:
    for path in ("c:Amt", "c:AmtDtls/c:TxAmt/c:Amt"):
        if (found := part.find(path, ns)) is not None:
            return found
    return None


def _bank_reference(entry: etree._Element, ns: dict[str, str]) -> str:
    return _first(entry, ns, "c:AcctSvcrRef", "c:NtryDtls/c:TxDtls/c:Refs/c:AcctSvcrRef", "c:NtryRef")


def _first(element: etree._Element, ns: dict[str, str], *paths: str) -> str:
    """The first of these that says something."""
    for path in paths:
        if text := (element.findtext(path, "", ns) or "").strip():
            return text
    return ""


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
