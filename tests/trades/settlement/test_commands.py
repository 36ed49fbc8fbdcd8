"""The operator's command line: the dry run, two persons, legs, flags, and the demo's window."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Break, Customer, User
from brokerage.management.commands.seed import DEMO_WINDOW, switch_demo_window
from tests.commands import ended, ran, told
from tests.given import a_customer, a_settling_buy, btc, btc_at, exits, states, what_the_audit_finds
from tests.trades.settlement.test_leg_history import long_ago
from trades.management.commands import leg as leg_command
from trades.models import SettlementBatch, SettlementLeg, SettlementWindow
from trades.settlement.cut import cut_due

pytestmark = pytest.mark.django_db

ANN, BEN = "ann@firm.example", "ben@firm.example"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture(autouse=True)
def _staff(db: None) -> None:
    for email in (ANN, BEN):
        User.objects.create_user(email, is_staff=True, is_superuser=True)


def said(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def leg(asset: str) -> SettlementLeg:
    return SettlementLeg.objects.get(asset=asset)


# --- the cut ---------------------------------------------------------------------------------------


def test_a_dry_run_prints_what_would_be_cut_and_cuts_nothing(alice):
    exits(a_settling_buy(alice, btc("0.1")))
    a_settling_buy(alice, btc("0.05"))
    said("flag_trade", a_settling_buy(alice, btc("0.01")).pk.hex, "--reason", "odd", "--by", ANN)

    text = said("cut_batch", "--dry-run")

    assert "3 trades, 1 of them exits, of 1 customers" in text
    assert "BTC    incoming  0.05000000" in text
    assert "USD    outgoing  2000.00" in text
    assert "Left out: 1 trades, trade_flagged." in text
    assert told("cut_batch", "--dry-run", "--window", "Metals, hourly")["trades"] == 0
    assert told("cut_batch", "--dry-run")["legs"][0] == {
        "asset": "BTC",
        "direction": "incoming",
        "expected": {"amount": 5_000_000, "asset": "BTC", "decimals": 8},
    }
    assert not SettlementBatch.objects.exists()


def test_a_dry_run_where_nothing_waits_says_so(alice):
    assert "0 trades" in said("cut_batch", "--dry-run")


def test_what_a_person_cut_at_the_command_line_another_one_confirms(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    batch = told("cut_batch", "--by", ANN)["guid"]
    assert SettlementBatch.objects.get().made_by.email == ANN

    for command in (["settle_batch", batch], ["settle_batch", batch, "--by", ANN], ["settle_batch", "--all"]):
        with pytest.raises(CommandError, match="Name another one who confirms it: --by EMAIL"):
            said(*command)
    assert states(bought) == ["settling"]

    assert "completed: 1 of 1 trades completed" in said("settle_batch", batch, "--by", BEN)
    assert SettlementBatch.objects.get().confirmed_by.email == BEN
    assert states(bought) == ["completed"]


@pytest.mark.parametrize("who", ["nobody@firm.example", "trader"])
def test_only_active_staff_cuts_and_confirms(alice, who):
    a_settling_buy(alice, btc("0.1"))
    email = alice.user.email if who == "trader" else who

    with pytest.raises(CommandError, match="no active staff user"):
        said("cut_batch", "--by", email)
    with pytest.raises(CommandError, match="no active staff user"):
        said("settle_batch", "--all", "--by", email)
    assert not SettlementBatch.objects.exists()


def test_a_window_that_is_automatic_is_cut_by_the_command_and_waits(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    assert SettlementWindow.objects.get(name="Crypto, hourly").is_automatic

    batch = told("cut_batch", "--window", "Crypto, hourly")

    assert (batch["state"], batch["trades"]) == ("cut", 1)
    assert "completed" in said("settle_batch", batch["guid"], "--by", BEN)
    assert states(bought) == ["completed"]


@pytest.mark.parametrize("flag", ["--report-legs", "--in-order"])
def test_legs_of_a_window_are_the_windows_own_business(alice, flag):
    with pytest.raises(CommandError, match=f"{flag} is for a cut of every kind"):
        said("cut_batch", "--window", "Crypto, hourly", flag)


def test_a_batch_that_is_cut_in_order_of_time_completes_up_to_the_part_that_came(alice):
    first, second = (a_settling_buy(alice, btc("0.1")) for _ in range(2))
    assert ran("cut_batch", "--in-order")[0] == 2
    batch = told("cut_batch", "--report-legs", "--in-order")["guid"]
    assert ended("settle_batch", batch)[0] == 4
    due = {one["asset"]: one["guid"] for one in told("leg", "list")["legs"]}
    said("leg", "settle", due["USD"], "8000.00", "--by", ANN)

    said("leg", "settle", due["BTC"], "0.1", "--reference", "wire-1", "--by", ANN)
    assert ended("settle_batch", batch)[0] == 4

    assert states(first, second) == ["completed", "settling"]


# --- legs ------------------------------------------------------------------------------------------


def test_a_batch_whose_legs_are_reported_waits_for_them_and_says_so(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    batch = told("cut_batch", "--report-legs")["guid"]

    code, text, sentence = ran("settle_batch", batch)
    assert (code, sentence) == (4, f"{batch}: the legs of BTC, USD are to be reported.")
    assert "0 of 1 trades completed; waits for the legs of BTC, USD" in text
    due = {one["asset"]: one["guid"] for one in told("leg", "list")["legs"]}
    assert set(due) == {"BTC", "USD"}

    report = said("leg", "settle", due["BTC"], "0.09", "--reference", "wire-1", "--final", "--by", ANN)
    assert "settled with 0.09000000, a difference of -0.01000000: there is a break" in report
    failed = said("leg", "fail", due["USD"], "--failure", "the bank is closed", "--by", ANN)
    assert "failed, NARR the bank is closed; due again at" in failed
    code, facts, _ = ended("settle_batch", batch)
    (one,) = facts["batches"]
    assert (code, one["state"], one["waits_for"]) == (4, "settling", ["USD"])

    said("leg", "settle", due["USD"], "4000.00", "--by", BEN)
    (end,) = told("settle_batch", batch)["batches"]
    assert (end["state"], end["completed"], end["waits_for"]) == ("completed", 1, [])
    assert states(bought) == ["completed"]
    assert leg("BTC").reported_by.email == ANN
    assert Break.objects.get().subject == leg("BTC").pk
    assert what_the_audit_finds() == []


def test_legs_are_listed_to_the_end_the_oldest_first_with_their_batches(alice, monkeypatch):
    """Guard: each page begins after the last one's end."""
    monkeypatch.setattr(leg_command, "PAGE", 1)
    batches = []
    for _ in range(2):
        a_settling_buy(alice, btc("0.01"))
        batches.append(told("cut_batch", "--report-legs")["guid"])
        assert ended("settle_batch", batches[-1])[0] == 4

    assert [one["batch_guid"] for one in told("leg", "list")["legs"]] == [batches[0]] * 2 + [batches[1]] * 2
    lines = said("leg", "list").splitlines()
    assert len(lines) == 4
    assert f"batch {batches[0]} of " in lines[0]
    assert "value date" in lines[0]
    assert ended("leg", "list", "--overdue")[:2] == (0, {"legs": [], "nothing": True})
    long_ago(SettlementLeg.objects.get(batch=batches[1], asset="USD"))
    (late,) = said("leg", "list", "--overdue").splitlines()
    assert "overdue for 1 day" in late


def test_a_leg_comes_in_parts_and_its_last_one_is_final(alice):
    a_settling_buy(alice, btc("0.1"))
    assert ended("settle_batch", told("cut_batch", "--report-legs")["guid"])[0] == 4
    guid = leg("BTC").pk.hex

    assert "partially_settled with 0.04000000" in said("leg", "settle", guid, "0.04", "--reference", "1", "--by", ANN)
    last = told("leg", "settle", guid, "0.05", "--reference", "2", "--final", "--by", ANN)
    assert (last["status"], last["parts"]) == ("settled", 2)
    failed = told("leg", "fail", leg("USD").pk.hex, "--failure", "x", "--reason", "AC04", "--by", ANN)
    assert failed["reason_code"] == "AC04"


def test_nothing_came_in_is_reported_as_zero(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = told("cut_batch", "--report-legs")["guid"]
    assert ended("settle_batch", batch)[0] == 4

    assert told("leg", "settle", leg("BTC").pk.hex, "0", "--final", "--by", ANN)["actual"] == {
        "amount": 0,
        "asset": "BTC",
        "decimals": 8,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        ["leg", "settle", "0" * 32, "1", "--by", ANN],
        ["leg", "settle", "LEG", "-1", "--by", ANN],
        ["leg", "settle", "LEG", "0.000000001", "--by", ANN],
        ["leg", "settle", "LEG", "much", "--by", ANN],
        ["leg", "settle", "LEG", "1", "--by", "nobody@firm.example"],
        ["leg", "fail", "LEG", "--failure", "", "--by", ANN],
        ["leg", "fail", "nonsense", "--failure", "x", "--by", ANN],
    ],
)
def test_a_wrong_report_is_refused_in_one_line(alice, wrong):
    a_settling_buy(alice, btc("0.1"))
    assert ended("settle_batch", told("cut_batch", "--report-legs")["guid"])[0] == 4

    with pytest.raises(CommandError):
        said(*[leg("BTC").pk.hex if word == "LEG" else word for word in wrong])
    assert leg("BTC").status == "pending"


# --- flags -----------------------------------------------------------------------------------------


def test_a_flagged_trade_is_left_out_until_the_flag_is_cleared(alice):
    odd = a_settling_buy(alice, btc("0.1"))
    assert "is held back: odd" in said("flag_trade", odd.pk.hex, "--reason", "odd", "--by", ANN)
    with pytest.raises(CommandError, match="flag already"):
        said("flag_trade", odd.pk.hex, "--reason", "odd", "--by", ANN)
    assert said("cut_batch") == "No trade is waiting for a settlement batch.\n"

    assert told("flag_trade", odd.pk.hex, "--clear", "--by", BEN)["flagged"] is False
    assert told("cut_batch")["trades"] == 1
    for wrong in ([odd.pk.hex], [odd.pk.hex, "--clear", "--reason", "x"], ["x", "--clear"], [odd.pk.hex, "--clear"]):
        with pytest.raises(CommandError):
            said("flag_trade", *wrong, "--by", ANN)


# --- the demo's window -----------------------------------------------------------------------------


def test_in_demo_mode_crypto_trades_are_cut_every_minute_and_outside_of_it_not(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    SettlementWindow.objects.update(is_active=False)

    for _ in range(2):
        switch_demo_window(is_on=True)
    window = SettlementWindow.objects.get(name=DEMO_WINDOW)
    assert (window.cron, window.time_zone, window.calendar, window.is_automatic) == ("* * * * *", "UTC", "", True)
    (batch,) = cut_due(timezone.now() + timedelta(minutes=2))
    assert (batch.window, batch.state) == (window, "confirmed")

    switch_demo_window(is_on=False)
    a_settling_buy(alice, btc("0.1"))
    assert cut_due(timezone.now() + timedelta(minutes=9)) == []
    assert states(bought) == ["settling"]


def test_without_demo_mode_no_demo_window_is_made(alice):
    switch_demo_window(is_on=False)

    assert not SettlementWindow.objects.filter(name=DEMO_WINDOW).exists()
