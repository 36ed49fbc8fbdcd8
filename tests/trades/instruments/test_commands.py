"""`manage.py change_instrument`: what the admin does, from a shell."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from quotes.models import InstrumentChange
from tests.accounts.test_commands import facts, said
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.instruments.staff import a_hedger, now

pytestmark = pytest.mark.django_db

WIDE = ("BTC", "--set", "spread_bps=9999")


@pytest.fixture
def maker():
    return a_member_of_staff("maker").email


@pytest.fixture
def checker():
    return a_member_of_staff("checker").email


def test_a_change_is_previewed_proposed_and_applied(maker, checker):
    a_hedger()
    told = [
        "At 20007.00 / 60013.00:",
        "2 positions closed by their stop loss",
        "1 customers whose orders it touches",
        "losses of customers: 4002.60",
    ]

    shown = said("change_instrument", "preview", *WIDE).splitlines()
    assert shown == [*told, "This change takes two persons."]
    assert not InstrumentChange.objects.exists()

    line, *stated = said("change_instrument", "propose", *WIDE, "--reason", "a thin market", "--by", maker).splitlines()
    guid = line.split()[0]
    assert line == f"{guid} BTC-USD spread_bps 5 to 9999: proposed, made by {maker}"
    assert stated == told

    with pytest.raises(CommandError, match="Whoever proposed a change can't apply it"):
        call_command("change_instrument", "apply", guid, "--by", maker)
    done = facts("change_instrument", "apply", guid, "--by", checker)
    assert (done["state"], done["checked_by"], done["stated_when_applied"]["stop_losses"]) == ("applied", checker, 2)
    assert now().spread_bps == Decimal("9999")
    assert guid in said("change_instrument", "list", "--state", "applied")


def test_a_narrow_change_is_applied_at_once_and_says_that_nothing_fires(maker):
    a_hedger()

    line, *stated = said(
        "change_instrument", "propose", "BTC-USD", "--set", "spread_bps=6", "--set", "fee_bps=26",
        "--reason", "the venue's new terms", "--by", maker,
    ).splitlines()  # fmt: skip

    assert line.endswith(f"BTC-USD fee_bps 25 to 26, spread_bps 5 to 6: applied, made by {maker}")
    assert stated == ["At 39997.99 / 40022.01:", "Nothing fires."]
    assert now().spread_bps == 6


def test_a_change_is_refused(maker, checker):
    guid = facts("change_instrument", "propose", *WIDE, "--reason", "x", "--by", maker)["guid"]

    assert facts("change_instrument", "refuse", guid, "--by", checker)["state"] == "refused"
    assert facts("change_instrument", "list")["changes"][0]["guid"] == guid


@pytest.mark.parametrize("sandbox", [True, False])
def test_somebody_is_always_named_also_in_a_sandbox(sandbox):
    with override_settings(SANDBOX=sandbox), pytest.raises(CommandError, match="Say who does it"):
        call_command("change_instrument", "propose", *WIDE, "--reason", "x")
    assert not InstrumentChange.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("preview", "XXX", "--set", "spread_bps=9"),
        ("preview", "BTC", "--set", "spread_bps"),
        ("preview", "BTC", "--set", "=9"),
        ("preview", "BTC", "--set", "symbol=X"),
        ("preview", "BTC", "--set", "spread_bps=9", "--set", "spread_bps=10"),
        ("preview", "BTC", "--set", "spread_bps=5"),
        ("preview", "BTC", "--set", "spread_bps=1e9"),
        ("preview", "BTC", "--set", "spread_bps="),
        ("apply", "nonsense", "--by", "MAKER"),
        ("refuse", uuid.uuid4().hex, "--by", "MAKER"),
        ("propose", "BTC", "--set", "spread_bps=9", "--reason", "", "--by", "MAKER"),
        ("propose", "BTC", "--set", "spread_bps=9", "--reason", "x", "--by", ""),
        ("propose", "BTC", "--set", "spread_bps=9", "--reason", "x", "--by", "nobody@firm.example"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_changes_nothing(maker, wrong):
    with pytest.raises(CommandError):
        call_command("change_instrument", *(maker if word == "MAKER" else word for word in wrong))
    assert not InstrumentChange.objects.exists()
