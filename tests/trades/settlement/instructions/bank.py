"""A bank: it takes a pain.001 and answers with camt.053, in the version that is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from tests.trades.settlement.instructions.counterparties import OWN_IBAN

BALANCE = (
    "<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy='USD'>0.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>"
    "<Dt><Dt>2026-03-04</Dt></Dt></Bal>"
)
PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"


@dataclass(frozen=True)
class Booked:
    """What the bank booked, as it tells it."""

    name: str  # where the instruction's id stands
    amount: str
    reference: str
    direction: str = "DBIT"
    currency: str = "USD"
    other: str = ""
    status: str = "BOOK"
    reversal: bool = False
    returned: str = ""  # the reason, of what couldn't be delivered


def pays(pain001: bytes) -> list[Booked]:
    """Carry out what the file orders."""
    transfers = etree.fromstring(pain001).iter(f"{PAIN}CdtTrfTxInf")
    return [
        Booked(
            name=str(one.findtext(f"{PAIN}PmtId/{PAIN}EndToEndId")),
            amount=str(one.findtext(f"{PAIN}Amt/{PAIN}InstdAmt")),
            reference=f"BANK{number}",
            other=str(
                one.findtext(f"{PAIN}CdtrAcct/{PAIN}Id/{PAIN}IBAN")
                or one.findtext(f"{PAIN}CdtrAcct/{PAIN}Id/{PAIN}Othr/{PAIN}Id")
            ),
        )
        for number, one in enumerate(transfers, start=1)
    ]


def statement(*entries: Booked, version: str = "08", account: str = OWN_IBAN, number: str = "1") -> bytes:
    """A camt.053; before version 7 an entry's status stands by itself and not in a code."""
    told = "".join(_entry(one, version) for one in entries)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>{number}</MsgId><CreDtTm>2026-03-04T18:00:00</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{number}</Id><CreDtTm>2026-03-04T18:00:00</CreDtTm><Acct><Id><IBAN>{account}</IBAN></Id></Acct>"
        f"{BALANCE}{told}</Stmt>"
        f"</BkToCstmrStmt></Document>"
    ).encode()


def _entry(one: Booked, version: str) -> str:
    status = one.status if version < "07" else f"<Cd>{one.status}</Cd>"
    side = "Cdtr" if one.direction == "DBIT" else "Dbtr"
    other = f"<RltdPties><{side}Acct><Id><IBAN>{one.other}</IBAN></Id></{side}Acct></RltdPties>" if one.other else ""
    amount = f'<Amt Ccy="{one.currency}">{one.amount}</Amt><CdtDbtInd>{one.direction}</CdtDbtInd>'
    own_amount = amount if version > "03" else ""
    reference = f"<AcctSvcrRef>{one.reference}</AcctSvcrRef>" if one.reference else ""
    return (
        f"<Ntry>{amount}"
        f"{'<RvslInd>true</RvslInd>' if one.reversal else ''}<Sts>{status}</Sts>"
        f"<BookgDt><Dt>2026-03-04</Dt></BookgDt>{reference}"
        f"<BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd>"
        f"<NtryDtls><TxDtls><Refs><EndToEndId>{one.name}</EndToEndId></Refs>{own_amount}{other}"
        f"{f'<RtrInf><Rsn><Cd>{one.returned}</Cd></Rsn></RtrInf>' if one.returned else ''}</TxDtls></NtryDtls></Ntry>"
    )


def csv_line(account: str, asset: str, amount: str, direction: str, bank_reference: str, reference: str) -> str:
    return ",".join((account, asset, amount, direction, bank_reference, reference))


def csv_statement(*lines: str) -> bytes:
    return "\r\n".join(("account,asset,amount,direction,bank_reference,reference", *lines, "")).encode()
