"""Addresses of the common networks, checked by the checksum that each of them has. Of the main networks alone.

| network | form | checked by | source |
| --- | --- | --- | --- |
| bitcoin, litecoin | base58check; bech32, from version 1 on bech32m | SHA-256 twice; a BCH code | BIP 13, 173, 350 |
| dogecoin, tron | base58check | SHA-256 twice | |
| xrpl | base58check with an alphabet of its own; the memo is a destination tag | SHA-256 twice | |
| ethereum | 40 hex digits in EIP-55's mix of cases | Keccak-256 | EIP-55 |

A network whose addresses carry no checksum (Solana's) isn't offered: a digit typed wrongly is somebody else's wallet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from Crypto.Hash import keccak

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE58_XRPL: Final = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_SUM, _BECH32M_SUM = 1, 0x2BC830A3
LONGEST_ADDRESS: Final = 100
LARGEST_TAG: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Network:
    """A network's addresses. `assets`: those that move on it alone; none: it carries tokens of any."""

    is_address: Callable[[str], bool]
    assets: frozenset[str] = frozenset()
    takes_tag: bool = False


def _with_base58(*versions: int, alphabet: str = BASE58) -> Callable[[str], bool]:
    return lambda text: is_base58check(text, versions, alphabet)


def _with_segwit(prefix: str, *versions: int) -> Callable[[str], bool]:
    return lambda text: is_base58check(text, versions) or is_segwit(text, prefix)


def is_base58check(text: str, versions: tuple[int, ...], alphabet: str = BASE58) -> bool:
    """Version byte, hash of 20 bytes, the first four bytes of their double SHA-256."""
    if not 25 <= len(text) <= 35 or not set(text) <= set(alphabet):
        return False
    number = 0
    for digit in text:
        number = number * 58 + alphabet.index(digit)
    if number >= 1 << 200:
        return False
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    decoded = number.to_bytes(25)
    payload, checksum = decoded[:-4], decoded[-4:]
    leading = len(decoded) - len(decoded.lstrip(b"\0"))
    return zeros == leading and payload[0] in versions and sha256(sha256(payload).digest()).digest()[:4] == checksum


def is_segwit(text: str, prefix: str) -> bool:
    """BIP 173 for version 0, BIP 350 above; all in one case, a program of the right length, no bits left over."""
    if text not in (text.lower(), text.upper()) or not 14 <= len(text) <= 74:
        return False
    text = text.lower()
    if not text.startswith(f"{prefix}1") or not set(text[len(prefix) + 1 :]) <= set(BECH32):
        return False
    values = [BECH32.index(letter) for letter in text[len(prefix) + 1 :]]
    version, program = values[0], _of_five_bits(values[1:-6])
    if version > 16 or program is None or not 2 <= len(program) <= 40:
        return False
    if (version == 0 and len(program) not in (20, 32)) or (version == 1 and len(program) != 32):
        return False
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    return _polymod(expanded + values) == (_BECH32M_SUM if version else _BECH32_SUM)


def is_ethereum(text: str) -> bool:
    """0x and 40 hex digits; a letter is upper case where its digit of the lower case's Keccak-256 is 8 or more.

    All in lower case says nothing that could be checked, so it is none.
    """
    digits = text[2:]
    if not text.startswith("0x") or len(digits) != 40 or not set(digits.lower()) <= set("0123456789abcdef"):
        return False
    hashed = keccak.new(digest_bits=256, data=digits.lower().encode()).hexdigest()
    return all(
        letter == (letter.upper() if int(nibble, 16) >= 8 else letter.lower())
        for letter, nibble in zip(digits, hashed, strict=False)
    )


NETWORKS: Final = {
    "bitcoin": Network(_with_segwit("bc", 0x00, 0x05), frozenset({"BTC"})),
    "dogecoin": Network(_with_base58(0x1E, 0x16), frozenset({"DOGE"})),
    "ethereum": Network(is_ethereum),
    "litecoin": Network(_with_segwit("ltc", 0x30, 0x32), frozenset({"LTC"})),
    "tron": Network(_with_base58(0x41)),
    "xrpl": Network(_with_base58(0x00, alphabet=BASE58_XRPL), takes_tag=True),
}
_HOME: Final = {
    "BTC": "bitcoin",
    "DOGE": "dogecoin",
    "ETH": "ethereum",
    "LTC": "litecoin",
    "TRX": "tron",
    "XRP": "xrpl",
}


def networks_of(asset: str) -> list[str]:
    """The networks on which an asset moves: its own one alone, or those that carry tokens."""
    if asset in _HOME:
        return [_HOME[asset]]
    return [name for name, network in NETWORKS.items() if not network.assets]


def _of_five_bits(values: list[int]) -> bytes | None:
    """Groups of five bits as bytes; None where bits are left that aren't padding."""
    number = 0
    for value in values:
        number = number << 5 | value
    bits = len(values) * 5
    spare = bits % 8
    if spare >= 5 or number & ((1 << spare) - 1):
        return None
    return (number >> spare).to_bytes(bits // 8)


def _polymod(values: list[int]) -> int:
    """The checksum of bech32's BCH code."""
    total = 1
    for value in values:
        top = total >> 25
        total = (total & 0x1FFFFFF) << 5 ^ value
        for position, generator in enumerate(_BECH32_GENERATOR):
            total ^= generator if top >> position & 1 else 0
    return total
