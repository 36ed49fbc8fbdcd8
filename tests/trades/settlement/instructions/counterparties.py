"""A firm with accounts, a provider who settles USD and BTC, and the people who agreed to that."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

from django.utils import timezone

from tests.trades.corrections.staff import a_member_of_staff
from trades.models import Counterparty, StandingInstruction
from trades.settlement.instructions import standing

_counter = itertools.count(1)

OWN_IBAN, OWN_WALLET = "GB82WEST12345698765432", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
IBAN, OTHER_IBAN = "DE89370400440532013000", "FR1420041010050500013M02606"
WALLET = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
BANK = {"holder": "Provider One Ltd", "iban": IBAN, "bic": "COBADEFFXXX", "bank_name": "Commerzbank"}
OWN_BANK = {"holder": "The Firm Ltd", "iban": OWN_IBAN, "bic": "WESTGB2LXXX"}


def a_counterparty(name: str = "", *, is_own: bool = False) -> Counterparty:
    return standing.add_counterparty(
        name or f"Provider {next(_counter)}", is_own=is_own, by=a_member_of_staff().pk, at=timezone.now()
    )


def proposes(
    counterparty: Counterparty, asset: str = "USD", given: dict[str, str] | None = None, **more: Any
) -> StandingInstruction:
    said = {"reason": "as they wrote", "by": a_member_of_staff().pk, "at": timezone.now(), "is_default": True, **more}
    return standing.propose(counterparty.pk, asset, BANK if given is None else given, **said)


def approves(proposed: StandingInstruction, *, at: datetime | None = None) -> StandingInstruction:
    return standing.approve(proposed.pk, by=a_member_of_staff("checker").pk, at=at or timezone.now())


def agreed(counterparty: Counterparty, asset: str, given: dict[str, str], **more: Any) -> StandingInstruction:
    return approves(proposes(counterparty, asset, given, **more))


def the_firm_and_its_provider() -> Counterparty:
    """The firm with an account and a wallet, and a provider who settles USD and BTC by default."""
    firm = a_counterparty("The Firm Ltd", is_own=True)
    agreed(firm, "USD", OWN_BANK, is_default=False)
    agreed(firm, "BTC", {"network": "bitcoin", "address": OWN_WALLET}, is_default=False)
    provider = a_counterparty("Provider One Ltd")
    agreed(provider, "USD", BANK)
    agreed(provider, "BTC", {"network": "bitcoin", "address": WALLET})
    return provider
