"""`manage.py correct`: what the admin does, from a shell."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from tests.accounts.test_commands import facts, said
from tests.given import a_customer, a_settling_buy, balance, btc, deposit, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_break, a_completed_batch, a_member_of_staff, the_leg
from trades.models import Correction

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice():
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def maker():
    return a_member_of_staff("maker").email


@pytest.fixture
def checker():
    return a_member_of_staff("checker").email


def proposes(*what: str, by: str) -> str:
    """The guid of the new proposal."""
    return facts("correct", "propose", *what, "--reason", "a wrong price", "--by", by)["guid"]


def test_a_trade_a_batch_a_leg_and_a_break_are_corrected(alice, maker, checker):
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    first = a_completed_batch()
    a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    second = a_completed_batch()

    for proposed in (
        proposes("reverse-trade", bought.pk.hex, by=maker),
        proposes("reverse-leg", str(the_leg(first, "BTC").pk), by=maker),
        proposes("reverse-batch", second.pk.hex, by=maker),
    ):
        assert facts("correct", "apply", proposed, "--by", checker)["state"] == "applied"
    found = a_break(first, "BTC", missing=btc("0.01"))
    proposed = proposes("break", found.pk.hex, "written-off", "--reference", "mail of today", by=maker)
    done = facts("correct", "apply", proposed, "--by", checker)

    assert (done["checked_by"], done["movements"], done["amount"]["amount"]) == (checker, 1, 1_000_000)
    assert (balance(alice), balance(alice, asset="BTC")) == (usd("10_000.00"), 0)
    assert what_the_audit_finds() == []


def test_an_adjustment_within_the_limit_is_one_command_and_above_it_two(alice, maker, checker):
    line = said(
        "correct", "propose", "adjust", alice.user.email, "credit", "usd", "25.00", "--reason", "x", "--by", maker
    )
    assert f"adjustment of customer {alice.pk.hex} 25.00 USD credit: applied, made by {maker}, movements: 1" in line

    proposed = proposes("adjust", alice.pk.hex, "debit", "USD", "2000", by=maker)
    with pytest.raises(CommandError, match="can't apply it"):
        call_command("correct", "apply", proposed, "--by", maker)
    facts("correct", "apply", proposed, "--by", checker)

    assert balance(alice) == usd("8_025.00")


def test_proposals_are_listed_and_rejected(alice, maker, checker):
    proposed = proposes("adjust", alice.pk.hex, "credit", "BTC", "1", by=maker)
    assert f"{proposed} adjustment" in said("correct", "list", "--state", "proposed")

    assert facts("correct", "reject", proposed, "--by", checker)["state"] == "rejected"

    assert said("correct", "list", "--state", "proposed") == "There is no such correction.\n"
    (one,) = facts("correct", "list")["corrections"]
    assert (one["made_by"], one["checked_by"], one["reason"]) == (maker, checker, "a wrong price")


@pytest.mark.parametrize(
    "arguments",
    [
        ["apply", "0" * 32, "--by", "{checker}"],
        ["apply", "x", "--by", "{checker}"],
        ["apply", "{proposed}", "--by", "{trader}"],
        ["apply", "{proposed}", "--by", "nobody@firm.example"],
        ["apply", "{proposed}"],
        ["reject", "{proposed}"],
        ["propose", "reverse-trade", "0" * 32, "--reason", "x", "--by", "{maker}"],
        ["propose", "reverse-batch", "0" * 32, "--reason", "x", "--by", "{maker}"],
        ["propose", "reverse-leg", "0" * 32, "--reason", "x", "--by", "{maker}"],
        ["propose", "break", "0" * 32, "paid", "--reason", "x", "--by", "{maker}"],
        ["propose", "adjust", "{trader}", "credit", "USD", "0.001", "--reason", "x", "--by", "{maker}"],
        ["propose", "adjust", "{trader}", "credit", "USD", "1", "--reason", " ", "--by", "{maker}"],
        ["propose", "adjust", "{trader}", "credit", "USD", "1", "--by", "{maker}"],
        ["propose", "adjust", "{trader}", "up", "USD", "1", "--reason", "x", "--by", "{maker}"],
        ["list", "--state", "open"],
        [],
    ],
)
def test_a_correction_that_fails_is_refused_in_one_line(alice, maker, checker, arguments):
    deposit(alice, "BTC", "1")
    names = {"maker": maker, "checker": checker, "trader": alice.user.email}
    names["proposed"] = proposes("adjust", alice.pk.hex, "debit", "BTC", "1", by=maker)

    with pytest.raises(CommandError):
        call_command("correct", *(argument.format(**names) for argument in arguments))
    assert Correction.objects.get().state == "proposed"
    assert balance(alice, asset="BTC") == btc("1")
