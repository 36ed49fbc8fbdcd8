"""What is an IBAN, a BIC, an LEI and an address. The examples are those of the standards, and each with a slip."""

from __future__ import annotations

import pytest

from accounts.bank_details import checked_bic, checked_iban
from accounts.errors import Malformed
from accounts.models import Asset
from trades.settlement.instructions.addresses import NETWORKS
from trades.settlement.instructions.formats import checked_lei, destination

pytestmark = pytest.mark.django_db

# BIP 13, BIP 173, BIP 350, EIP-55, and well-known accounts of the networks.
GOOD = [
    ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("bitcoin", "3P14159f73E4gFr7JterCCQh9QjiTjiZrG"),
    ("bitcoin", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
    ("bitcoin", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
    ("bitcoin", "bc1sw50qgdz25j"),
    ("ethereum", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
    ("ethereum", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"),
    ("ethereum", "0x52908400098527886E0F7030069857D2E4169EE7"),
    ("litecoin", "LQTpS3VaYTjCr4s9Y1t5zbeY26zevf7Fb3"),
    ("dogecoin", "DBXu2kgc3xtvCUWFcxFE3r9hEYgmuaaCyD"),
    ("tron", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
    ("xrpl", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"),
]


@pytest.mark.parametrize(("network", "address"), GOOD)
def test_an_address_of_its_network_is_one_and_of_no_other(network: str, address: str) -> None:
    assert [name for name in NETWORKS if NETWORKS[name].is_address(address)] == [network]


def slips(address: str) -> list[str]:
    """The address with one character typed wrongly, in many ways."""
    typed = (address[:place] + letter + address[place + 1 :] for place in range(3, len(address)) for letter in "q2Z9a")
    return [slipped for slipped in typed if slipped.lower() != address.lower()]


@pytest.mark.parametrize(("network", "address"), [one for one in GOOD if one[0] != "ethereum"])
def test_one_character_typed_wrongly_is_no_address(network: str, address: str) -> None:
    assert [slipped for slipped in slips(address) if NETWORKS[network].is_address(slipped)] == []


def test_ethereum_s_checksum_finds_nearly_every_slip_but_not_all() -> None:
    """EIP-55 has a bit for each letter, and digits carry none: that is why a second person compares."""
    tried = [slipped for network, address in GOOD if network == "ethereum" for slipped in slips(address)]

    assert sum(NETWORKS["ethereum"].is_address(slipped) for slipped in tried) <= len(tried) / 100


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("bitcoin", ""),
        ("bitcoin", "bc1"),
        ("bitcoin", "bc1qW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),  # two cases
        ("bitcoin", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"),  # the test network's
        ("bitcoin", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"),
        ("bitcoin", "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4"),  # BIP 350's invalid ones
        ("bitcoin", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd"),  # bech32 in place of bech32m
        ("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh"),  # bech32m in place of bech32
        ("bitcoin", "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P"),  # version 0 with 16 bytes
        ("bitcoin", "bc1gmk9yu"),
        ("ethereum", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"),  # without EIP-55 nothing can be checked
        ("ethereum", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"),
        ("ethereum", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\n"),
        ("bitcoin", "１A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ],
)
def test_what_only_looks_like_an_address_is_none(network: str, address: str) -> None:
    assert not NETWORKS[network].is_address(address)


def test_ibans_bics_and_leis_are_checked_and_written_in_one_way() -> None:
    assert checked_iban("de89 3704 0044 0532 0130 00") == "DE89370400440532013000"
    assert checked_bic("cobadeff") == "COBADEFF"
    assert checked_lei("5493001KJTIIGC8Y1R12") == "5493001KJTIIGC8Y1R12"
    assert checked_lei("") == ""


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (checked_iban, "DE88370400440532013000"),
        (checked_iban, "DE8937040044053201300"),
        (checked_iban, "XX89370400440532013000"),
        (checked_iban, "ＤＥ89370400440532013000"),
        (checked_iban, ""),
        (checked_bic, "COBADEF"),
        (checked_bic, "COBADEFFXX"),
        (checked_bic, "C0BA DEFF"),
        (checked_bic, "COBAXX1!"),
        (checked_lei, "5493001KJTIIGC8Y1R13"),
        (checked_lei, "5493001KJTIIGC8Y1R"),
    ],
)
def test_what_is_wrong_with_them_is_said(check, text: str) -> None:
    with pytest.raises(Malformed, match="is not a"):
        check(text)


@pytest.mark.parametrize(
    ("asset", "given", "said"),
    [
        ("USD", {"network": "bitcoin", "address": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"}, "goes to a bank account"),
        ("BTC", {"iban": "DE89370400440532013000"}, "goes to a wallet"),
        ("BTC", {"network": "ethereum", "address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, "moves on bitcoin"),
        ("ETH", {"network": "ethereum", "address": "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"}, "checksum must fit"),
        ("USD", {"iban": "DE89370400440532013000", "bic": "COBADEFF"}, "Say its holder"),
        ("USD", {"holder": "A\nB", "iban": "DE89370400440532013000", "bic": "COBADEFF"}, "on one line"),
        ("XAU", {"holder": "A", "iban": "DE89370400440532013000", "bic": "COBADEFF"}, "reported by hand"),
    ],
)
def test_an_asset_goes_where_it_can_go(asset: str, given: dict[str, str], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        destination(Asset.objects.get(pk=asset), given)
