"""What is checked of an LEI, a bank account and a wallet before anybody can be asked to approve it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from stdnum import lei

from accounts.bank_details import checked_bic, checked_holder, checked_iban, checked_name, printable
from accounts.errors import Malformed
from accounts.models import Asset
from trades.settlement.instructions.addresses import LARGEST_TAG, LONGEST_ADDRESS, NETWORKS, networks_of

LONGEST_MEMO: Final = 64


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an asset goes, by the columns of `StandingInstruction`: a bank account's or a wallet's, never both's."""

    kind: str
    holder: str = ""
    iban: str = ""
    bic: str = ""
    bank_name: str = ""
    network: str = ""
    address: str = ""
    memo: str = ""

    def columns(self) -> dict[str, Any]:
        return asdict(self)


def destination(asset: Asset, given: dict[str, str]) -> Destination:
    """What somebody wrote as a destination of this asset, checked and in one spelling. Raises Malformed.

    `given` has the columns' names; a fiat asset goes to a bank account, a crypto asset to a wallet, metal nowhere.
    """
    given = {name: text.strip() for name, text in given.items() if text and text.strip()}
    if asset.type == Asset.Type.FIAT:
        _only(given, {"holder", "iban", "bic", "bank_name"}, f"{asset.code} goes to a bank account")
        return _bank_account(given)
    if asset.type == Asset.Type.CRYPTO:
        _only(given, {"network", "address", "memo"}, f"{asset.code} goes to a wallet")
        return _wallet(asset.code, given)
    raise Malformed(f"{asset.code} is neither paid by a bank nor sent to a wallet: its legs are reported by hand.")


def checked_lei(text: str) -> str:
    """An LEI with its check digits (ISO 17442), or an empty text. Raises Malformed."""
    text = text.strip().upper()
    if text and not (text.isascii() and lei.is_valid(text) and len(text) == 20):
        raise Malformed(f"{text[:40]!r} is not an LEI: 20 characters, the last two of them check digits.")
    return text


def _bank_account(given: dict[str, str]) -> Destination:
    _needs(given, "holder", "iban", "bic")
    return Destination(
        kind="bank",
        holder=checked_holder(given["holder"]),
        iban=checked_iban(given["iban"]),
        bic=checked_bic(given["bic"]),
        bank_name=checked_name(given["bank_name"], "A bank's name") if "bank_name" in given else "",
    )


def _wallet(asset: str, given: dict[str, str]) -> Destination:
    _needs(given, "network", "address")
    name, address, memo = given["network"], given["address"], given.get("memo", "")
    if name not in networks_of(asset):
        raise Malformed(f"{asset} moves on {' or '.join(networks_of(asset))}, not on {name[:40]!r}.")
    network = NETWORKS[name]
    if len(address) > LONGEST_ADDRESS or not network.is_address(address):
        raise Malformed(f"{address[:LONGEST_ADDRESS]!r} is not an address of {name}: its checksum must fit.")
    if memo:
        printable(memo, "A memo", LONGEST_MEMO)
    if memo and network.takes_tag and not (memo.isascii() and memo.isdigit() and int(memo) <= LARGEST_TAG):
        raise Malformed(f"A destination tag is a whole number up to {LARGEST_TAG}.")
    return Destination(kind="wallet", network=name, address=address, memo=memo)


def _only(given: dict[str, str], names: set[str], why: str) -> None:
    if extra := sorted(set(given) - names):
        raise Malformed(f"{why}, which has no {extra[0].replace('_', ' ')}.")


def _needs(given: dict[str, str], *names: str) -> None:
    if missing := [name for name in names if name not in given]:
        raise Malformed(f"Say its {missing[0].replace('_', ' ')}.")
