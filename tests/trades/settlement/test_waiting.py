"""Nothing waits unseen: what the audit names, what the status command and the dashboard say."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts import clock
from accounts.models import Customer, User
from tests.aged import aged
from tests.commands import ended
from tests.given import (
    a_customer,
    a_cut,
    a_quote,
    a_settling_buy,
    a_trade,
    btc,
    btc_at,
    deposit,
    executes,
    exits,
    price_at,
    settles,
    states,
    stores,
    what_the_audit_finds,
)
from tests.windows import scheduled
from trades.low_water import STORING, highest, raise_low_water
from trades.models import SettlementBatch, SettlementWindow, Trade
from trades.settlement.cut import cut_due, cut_window
from trades.settlement.waiting import oldest

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_cut_is_due() -> None:
    """Whatever hour it has become since the database was made."""
    scheduled(since=clock.firm_now())


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    price_at("XAU-USD", "2_000.00")
    return a_customer(with_usd="100_000.00")


def a_stored(alice: Customer, *, symbol: str = "BTC-USD", **ago: int) -> Trade:
    price_at("BTC-USD", "40_000.00")
    price_at("XAU-USD", "2_000.00")
    return aged(executes(a_quote(alice, receive=10_000, symbol=symbol)), timedelta(**ago))


def an_old_settling(alice: Customer, *, symbol: str = "BTC-USD", **ago: int) -> Trade:
    trade = a_stored(alice, symbol=symbol, **ago)
    stores(trade)
    assert trade.state == "settling"
    return trade


def status() -> tuple[int, dict]:
    """The exit code and what it says."""
    return ended("settlement_status")[:2]


def named(trade: Trade, why: str) -> list[str]:
    kind = "metal" if trade.instrument_id.startswith("XAU") else "crypto"
    return [f"waiting trades: Trade {trade.pk.hex}, {trade.state}, {kind}, is waiting: {why}."]


# --- the audit -------------------------------------------------------------------------------------


def test_trades_that_wait_for_their_turn_are_no_finding(alice):
    executes(a_quote(alice, receive=10_000))
    exits(a_settling_buy(alice, btc("0.1")))
    an_old_settling(alice, hours=90)
    a_cut()

    assert what_the_audit_finds() == []
    assert status()[0] == 0


def test_a_settling_trade_below_its_kinds_mark_is_named(alice):
    """Guard: the check itself. The cut of its window passes it over, and nothing else would say so."""
    hidden, now = an_old_settling(alice, minutes=30), timezone.now()
    raise_low_water(["crypto"], highest(clock.now()))

    assert what_the_audit_finds() == named(hidden, "it is below the mark at which cuts of its kind begin to look")
    assert cut_window(SettlementWindow.objects.get(asset_kind="crypto"), now, now) is None


def test_a_trade_in_storing_below_the_sweeps_mark_is_named(alice):
    hidden = a_stored(alice, seconds=700)
    raise_low_water([STORING], highest(clock.now()))

    assert what_the_audit_finds() == named(hidden, "it is below the mark at which the sweep begins to look")


def test_a_trade_of_a_kind_that_no_active_window_takes_is_named(alice):
    waiting = a_trade(alice, receive=10_000, symbol="XAU-USD")
    SettlementWindow.objects.filter(asset_kind="metal").update(is_active=False)

    assert what_the_audit_finds() == named(waiting, "no active window takes its kind")


def test_a_window_that_remembers_a_cut_to_come_is_named_and_so_are_the_trades_that_only_it_takes(alice):
    waiting = a_settling_buy(alice, 10_000)
    ahead = timezone.now() + timedelta(days=400)
    SettlementWindow.objects.filter(asset_kind="crypto").update(last_cut_at=ahead)

    assert what_the_audit_finds() == [
        *named(waiting, "every window of its kind remembers a cut that is still to come"),
        f"settlement windows: Window Crypto, hourly remembers a cut of {ahead:%Y-%m-%d %H:%M:%S} UTC, which is still to"
        " come: until then it cuts nothing.",
    ]
    assert status()[1]["windows_ahead"] == ["Crypto, hourly"]


@pytest.mark.parametrize("in_a_batch", [False, True])
def test_a_settling_trade_older_than_its_kinds_limit_is_named_also_in_a_batch_that_waits(alice, in_a_batch):
    late = an_old_settling(alice, hours=97)
    if in_a_batch:
        assert a_cut().trades_count == 1

    (found,) = what_the_audit_finds()
    assert f"Trade {late.pk.hex}, settling, crypto, is waiting: it has waited since {late.created_at:%Y-%m-%d}" in found


def test_the_limits_are_settings_by_kind(alice, settings):
    an_old_settling(alice, hours=3)
    gold = an_old_settling(alice, hours=3, symbol="XAU-USD")
    stored = a_stored(alice, seconds=50)

    settings.SETTLING_LATE_HOURS = {"crypto": 4, "fiat": 4, "metal": 2}
    settings.STORING_LATE_SECONDS = 60
    (found,) = what_the_audit_finds()
    assert gold.pk.hex in found

    settings.SETTLING_LATE_HOURS = {"crypto": 4, "fiat": 4, "metal": 4}
    settings.STORING_LATE_SECONDS = 40
    (found,) = what_the_audit_finds()
    assert stored.pk.hex in found


def test_the_audit_reads_the_trades_once_more_and_no_row_by_itself(alice, django_assert_max_num_queries):
    from trades.settlement.waiting import check_trades, check_windows

    for _ in range(5):
        an_old_settling(alice, hours=97)
    with django_assert_max_num_queries(4):
        assert len(list(check_trades().findings)) == 5
        assert list(check_windows().findings) == []


# --- numbers that can be read ----------------------------------------------------------------------


def test_the_oldest_in_storing_and_of_each_kind_can_be_read(alice):
    stored, gold = a_stored(alice, seconds=90), an_old_settling(alice, hours=2, symbol="XAU-USD")
    old, _ = an_old_settling(alice, hours=5), a_settling_buy(alice, 10_000)

    found = {one.what: one for one in oldest(clock.now())}

    assert {what: one.trade_id for what, one in found.items()} == {
        STORING: stored.pk,
        "crypto": old.pk,
        "fiat": None,
        "metal": gold.pk,
    }
    assert timedelta(seconds=90) <= found[STORING].age < timedelta(seconds=120)
    assert timedelta(hours=5) <= found["crypto"].age < timedelta(hours=5, seconds=30)
    assert not any(one.is_late for one in found.values())


def test_what_waits_in_a_batch_counts_until_the_batch_is_completed(alice):
    old = an_old_settling(alice, hours=5)
    batch = a_cut()
    a_settling_buy(alice, 10_000)
    assert oldest(clock.now())[1].trade_id == old.pk

    settles(batch)

    assert oldest(clock.now())[1].trade_id != old.pk


def test_the_status_says_what_is_late_and_ends_with_one(alice):
    a_stored(alice, seconds=500)
    an_old_settling(alice, hours=100, symbol="XAU-USD")
    a_cut()

    code, told = status()

    assert code == 1
    assert {one["what"]: one["late"] for one in told["oldest"]} == {
        "storing": True,
        "crypto": False,
        "fiat": False,
        "metal": True,
    }
    assert told["oldest"][3]["age_seconds"] // 3600 == 100
    assert told["oldest"][3]["limit_seconds"] == 96 * 3600
    assert len(told["batches_open"]) == 1
    assert (told["late"], len(told["findings"])) == (True, 2)


def test_the_status_in_words(alice):
    out = StringIO()
    trade = a_settling_buy(alice, 10_000)

    call_command("settlement_status", stdout=out)

    assert "storing: nothing waits\n" in out.getvalue()
    assert f"settling crypto: trade {trade.pk.hex} for 0 s\n" in out.getvalue()
    assert "0 batches open" in out.getvalue()


def test_marks_and_windows_that_are_ahead_are_mended_by_one_command(alice):
    hidden = an_old_settling(alice, minutes=30)
    raise_low_water(["crypto"], highest(clock.now()))
    SettlementWindow.objects.update(last_cut_at=timezone.now() + timedelta(days=400))
    assert status()[0] == 1

    call_command("settlement_status", "--forget-marks", stdout=StringIO())

    assert (status()[0], what_the_audit_finds()) == (0, [])
    SettlementWindow.objects.update(cron="* * * * *", calendar="")
    (batch,) = cut_due(timezone.now() + timedelta(minutes=2))
    assert hidden.pk == batch.first_trade_id


def test_the_kind_of_a_window_that_another_kind_used_to_have_hides_nothing(alice):
    """A mark belongs to a kind: what a window of crypto has cut says nothing about metal."""
    gold = an_old_settling(alice, minutes=30, symbol="XAU-USD")
    crypto, metal = (SettlementWindow.objects.get(asset_kind=kind) for kind in ("crypto", "metal"))
    now = timezone.now()

    assert cut_window(crypto, now, now) is None
    assert cut_window(metal, now, now).first_trade_id == gold.pk


# --- settle_batch --all ----------------------------------------------------------------------------


def test_a_batch_that_waits_for_a_person_does_not_stop_the_others(alice):
    ann = User.objects.create_user("ann@firm.example", is_staff=True, is_superuser=True)
    deposit(alice, "USD", "10_000.00")
    waits = a_settling_buy(alice, btc("0.1"))
    call_command("cut_batch", "--by", ann.email, stdout=StringIO())
    settled = a_settling_buy(alice, btc("0.1"))
    a_cut()

    code, told, sentence = ended("settle_batch", "--all")

    assert (states(waits, settled), code) == (["settling", "completed"], 4)
    assert "Name another one who confirms it: --by EMAIL" in sentence
    first, second = told["batches"]
    assert (first["state"], "--by EMAIL" in first["refused"]) == ("cut", True)
    assert (second["state"], "refused" in second) == ("completed", False)
    assert SettlementBatch.objects.filter(state="cut").count() == 1
