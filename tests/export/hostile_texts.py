"""Texts that would like to be something else, and a movement that says one of them."""

from __future__ import annotations

from django.utils import timezone

from accounts import ledger
from accounts.ledger import Movement
from tests.given import a_customer

HOSTILE_TEXTS = [
    '" ; evil',
    '"\n  Assets:External:B00:USD  999.00 USD\n  Equity:Evil  -999.00 USD',
    'x\\" \\',
    "wire-1\n2020-01-01 * evil\n    Assets:Evil  1 USD\n    Equity:Evil",
    "x\r\n2020-01-01 open Assets:Evil",
    "x ; date:2001-01-01, [2001/1/1] (code) ! | a  b",
    "tab\there, a \x00-less \x1b[31mred\x7f, and \u2028 a line",
    "=HYPERLINK(1)",
    "%0A%3B",
    "😀 ñ",
]


def said(text: str) -> None:
    """A movement whose key says this; keys are the freest texts of the ledger."""
    bob = a_customer("bob")
    outside, own = ledger.house(bob.pk, "USD", "external"), ledger.customers(bob.pk, "USD", "available")
    ledger.post([Movement(outside, own, 100, "deposit", text, bob.pk, None, timezone.now())])
