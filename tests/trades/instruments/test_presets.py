"""ESMA's caps as a preset: shown first, proposed by one person, applied by another."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from accounts.errors import Malformed
from quotes import symbols
from quotes.models import Instrument, InstrumentChange
from tests.accounts.test_commands import facts, said
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.instruments.staff import applies, now, proposes

pytestmark = pytest.mark.django_db

ESMA = {
    "BTC-USD": ("cryptocurrencies", 2),
    "ETH-BTC": ("cryptocurrencies", 2),
    "EUR-GBP": ("major_currencies", 30),
    "EUR-USD": ("major_currencies", 30),
    "USD-JPY": ("major_currencies", 30),
    "XAU-USD": ("gold", 20),
}


def test_the_preset_is_shown_and_changes_nothing() -> None:
    told = {one["symbol"]: (one["class"], one["cap"]) for one in facts("leverage_preset", "esma")["caps"]}

    assert ESMA.items() <= told.items()
    assert told.keys() == symbols.instruments().keys()
    assert "BTC-USD      cryptocurrencies   none to 2" in said("leverage_preset", "esma").splitlines()
    assert not InstrumentChange.objects.exists()


def test_each_cap_is_proposed_and_another_person_applies_it() -> None:
    """What has its cap already is left alone, and what waits to be decided is named."""
    maker, checker = a_member_of_staff("maker").email, a_member_of_staff("checker").email
    Instrument.objects.filter(pk="XAU-USD").update(retail_leverage_cap=20)
    symbols.forget()
    proposes("EUR-USD", least_distance_bps="5")
    ways = ("leverage_preset", "esma", "--propose", "--reason", "retail", "--by", maker, "--class", "SOL-USD=gold")

    lines = said(*ways).splitlines()

    made = {one.instrument_id: one for one in InstrumentChange.objects.exclude(instrument="EUR-USD")}
    assert made["BTC-USD"].new == {"retail_leverage_cap": "2"}
    assert made["SOL-USD"].new == {"retail_leverage_cap": "20"}
    assert "XAU-USD" not in made
    assert "EUR-USD: another change waits to be decided; decide it and propose anew" in lines
    call_command("change_instrument", "apply", str(made["BTC-USD"].pk), "--by", checker)
    assert Instrument.objects.get(pk="BTC-USD").retail_leverage_cap == 2


@pytest.mark.parametrize(
    "wrong",
    [("--class", "BTC-USD=dogs"), ("--class", "XXX=gold"), ("--class", "BTC-USD"), ("--propose",), ("--reason", "x")],
)
def test_what_makes_no_sense_is_said(wrong: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("leverage_preset", "esma", *wrong)
    assert not InstrumentChange.objects.exists()


def test_caps_and_tiers_are_changed_by_two_and_taken_away_again() -> None:
    """Guard: `terms_beyond_band` takes tiers for no number, and an empty cap for beyond every band."""
    for wanted, kept in (
        ({"retail_leverage_cap": "30", "leverage_tiers": "10000:50,20000:20"}, (30, "10000:50, 20000:20")),
        ({"retail_leverage_cap": "29"}, (29, "10000:50, 20000:20")),
        ({"retail_leverage_cap": "none", "leverage_tiers": "none"}, (None, "")),
    ):
        one = proposes(**wanted)
        assert one.needs_checker
        applies(one)
        assert (now().retail_leverage_cap, now().leverage_tiers) == kept


@pytest.mark.parametrize("wrong", [{"leverage_tiers": "10000:20, 20000:50"}, {"retail_leverage_cap": "0"}])
def test_caps_that_make_no_sense_are_not_proposed(wrong: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        proposes(**wrong)
