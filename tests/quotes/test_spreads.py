"""A price whose bid and ask are too far apart is none: whoever says it, holds it or accepts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import streams
from accounts.models import User
from quotes import prices
from quotes.errors import NoRefusedPrice, RefusedPriceTooWide
from quotes.feeds.simulator import SimulatorTerms, quoted
from quotes.judging import Fault, PriceLimits, is_too_wide
from quotes.models import Instrument, PriceHold
from quotes.price_scripts import PAUSE
from quotes.prices import Price
from quotes.services import accept_price

pytestmark = pytest.mark.django_db

BTC = "BTC-USD"
DEFAULTS = PriceLimits()


def test_an_instrument_of_before_whose_own_spread_is_wider_gets_room_for_it() -> None:
    """With the default none of its prices would count any more after the migration."""
    Instrument.objects.filter(pk=BTC).update(spread_bps=600)
    Instrument.objects.filter(pk="ETH-USD").update(spread_bps=500)

    import_module("quotes.migrations.0014_price_rules").room_for_its_own_spread(apps, None)

    found = Instrument.objects.in_bulk([BTC, "ETH-USD"])
    assert [found[BTC].max_spread_percent, found["ETH-USD"].max_spread_percent] == [12, 5]


def says(bid: str, ask: str, limits: PriceLimits = DEFAULTS, at: datetime | None = None) -> Fault | None:
    """What the feed says of BTC-USD, and what is wrong with it."""
    return prices.publish([(BTC, Decimal(bid), Decimal(ask))], limits={BTC: limits}, at=at).get(BTC)


def stands() -> tuple[Decimal, Decimal] | None:
    price = prices.latest().by_symbol.get(BTC)
    return (price.bid, price.ask) if price else None


# --- a feed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        (PriceLimits(jump=Decimal(5)), Fault.SPREAD),
        (PriceLimits(jump=Decimal(5), spread=Decimal(200)), Fault.JUMP),
        (PriceLimits(jump=Decimal(1000)), Fault.SPREAD),
    ],
)
def test_a_price_with_both_sides_moved_apart_is_refused_though_its_middle_stands(limits, fault):
    """Guards: `is_wide` and `jumps` in the script, each by itself. Their middles are 40,186.55 both."""
    says("40176.50", "40196.60")

    assert says("20000", "60373.10", limits) == fault

    assert stands() == (Decimal("40176.50"), Decimal("40196.60"))
    assert prices.refused()[BTC].ask == Decimal("60373.10")


def test_exactly_the_greatest_spread_is_a_price():
    assert says("97.5", "102.5") is None
    assert says("97.49", "102.5") == Fault.SPREAD
    assert stands() == (Decimal("97.5"), Decimal("102.5"))


@settings(max_examples=150, deadline=None)
@given(
    bid=st.decimals("0.00001", "100000000", places=5),
    share=st.decimals("0", "2", places=6),
    limit=st.decimals("0.001", "199.999", places=3),
)
def test_the_script_and_python_have_one_rule(bid, share, limit):
    ask = bid + bid * share
    prices.forget()

    is_refused = says(f"{bid:f}", f"{ask:f}", PriceLimits(Decimal(1000), limit)) == Fault.SPREAD

    assert is_refused == is_too_wide(bid, ask, limit)


@pytest.mark.parametrize("pause", [timedelta(0), PAUSE + timedelta(seconds=1)])
def test_not_even_a_first_price_may_be_too_wide_nor_one_after_a_pause(pause):
    now = datetime.now(UTC)
    assert says("90", "110", at=now - pause) == Fault.SPREAD
    says("100", "100", at=now - pause)

    assert says("90", "110", at=now) == Fault.SPREAD


def test_behind_a_hold_a_price_that_is_too_wide_is_not_followed():
    says("100", "101")
    prices.hold(BTC, Decimal(200), Decimal(201))

    says("90", "110")
    prices.release(BTC)

    assert streams.client().hget("prices:behind", BTC).startswith("100|101|")
    assert says("100", "101") is None


def test_the_simulator_itself_is_refused_at_the_spread_that_closed_94_positions():
    row = Instrument.objects.get(pk=BTC)
    terms = SimulatorTerms(row.simulator_price, Decimal(2), Decimal(9999), row.price_decimals)
    bid, ask = quoted(row.simulator_price, terms)

    assert says(f"{bid}", f"{ask}") == Fault.SPREAD


# --- an operator -----------------------------------------------------------------------------------


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann@firm.example", "a long enough word", is_staff=True, is_superuser=True)


def test_accepting_a_jump_does_not_accept_a_spread(ann):
    """Guards: the service's look at what was seen, and the script's at what stands there when it is asked."""
    says("100", "101")
    says("900", "1100")

    with pytest.raises(RefusedPriceTooWide):
        accept_price(Instrument.objects.get(pk=BTC), seen=prices.refused()[BTC], by=ann.pk)
    with pytest.raises(RefusedPriceTooWide):
        prices.accept(BTC)
    with pytest.raises(CommandError, match="wider than the instrument's greatest spread"):
        call_command("accept_price", "BTC", "--yes", "--by", "ann@firm.example")

    assert stands() == (100, 101)
    assert not LogEntry.objects.exists()


def test_a_jump_is_accepted_by_the_instruments_own_limits(ann):
    """Guard: `limits` in `accept_price`. By the defaults nothing of an instrument with a wider spread could be."""
    Instrument.objects.filter(pk=BTC).update(max_spread_percent=20, jump_limit_percent=90)
    wide = PriceLimits(Decimal(90), Decimal(20))
    says("100", "101", wide)
    says("9", "10", wide)
    seen = prices.refused()[BTC]
    says("4", "4.4", wide)  # from 9 and 10 that is more than the default jump, and 90 % at most

    accept_price(Instrument.objects.get(pk=BTC), seen=seen, by=ann.pk)

    assert stands() == (4, Decimal("4.4"))


def test_a_crossed_price_that_somebody_wrote_there_can_not_be_accepted(ann):
    says("100", "101")
    streams.client().hset("prices:refused", BTC, "1100|900|1700000000000")

    with pytest.raises(NoRefusedPrice):
        accept_price(
            Instrument.objects.get(pk=BTC),
            seen=Price(BTC, Decimal(900), Decimal(900), datetime.now(UTC)),
            by=ann.pk,
        )

    assert stands() == (100, 101)


def test_nobody_holds_a_price_that_is_too_wide():
    with pytest.raises(CommandError, match="wider than the instrument's greatest spread: it isn't held"):
        call_command("set_price", "BTC", "40000", "42500")

    assert not PriceHold.objects.exists()
    assert stands() is None


@pytest.mark.parametrize("spread", ["0", "-1"])
def test_the_greatest_spread_is_above_zero(spread):
    with pytest.raises(IntegrityError, match="instrument_max_spread_positive"), transaction.atomic():
        Instrument.objects.filter(pk=BTC).update(max_spread_percent=Decimal(spread))


def test_an_instrument_comes_with_five_percent():
    assert set(Instrument.objects.values_list("max_spread_percent", flat=True)) == {Decimal(5)}
