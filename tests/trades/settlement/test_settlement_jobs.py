"""Settlement by scheduled commands: keys of cuts, `--confirm`, `batch`, and what the status calls late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.ids import uuid7
from accounts.management.ages import age, shown
from accounts.models import Customer, User
from tests.commands import ended, ran, told
from tests.given import a_customer, a_settling_buy, btc, btc_at, states, what_the_audit_finds
from tests.moved_clock import moved_ahead
from tests.windows import scheduled
from trades.models import SettlementBatch, SettlementWindow

pytestmark = pytest.mark.django_db

ANN, BEN = "ann@firm.example", "ben@firm.example"
WINDOW = "Crypto, hourly"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    for email in (ANN, BEN):
        User.objects.create_user(email, is_staff=True, is_superuser=True)
    return a_customer(with_usd="90_000.00")


def moved_back(batch: str, **ago: int) -> None:
    """As if it had been cut so long ago; the row itself is never changed so."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE trades_settlementbatch DISABLE TRIGGER USER")
        SettlementBatch.objects.filter(pk=batch).update(cut_at=timezone.now() - timedelta(**ago))
        cursor.execute("ALTER TABLE trades_settlementbatch ENABLE TRIGGER USER")


# --- keys ------------------------------------------------------------------------------------------


def test_a_retry_with_the_same_key_finds_its_batch_and_cuts_nothing_more(alice):
    a_settling_buy(alice, btc("0.1"))
    first = told("cut_batch", "--window", WINDOW, "--key", "night-1")
    a_settling_buy(alice, btc("0.1"))

    again = told("cut_batch", "--window", WINDOW, "--key", "night-1")

    assert again == {**first, "nothing": True}
    assert SettlementBatch.objects.count() == 1
    assert told("cut_batch", "--window", WINDOW, "--key", "night-2")["guid"] != first["guid"]


def test_a_retry_does_not_tell_the_window_that_it_was_cut_once_more(alice):
    a_settling_buy(alice, btc("0.1"))
    told("cut_batch", "--window", WINDOW, "--key", "night-1")
    last = SettlementWindow.objects.get(name=WINDOW).last_cut_at

    told("cut_batch", "--window", WINDOW, "--key", "night-1")

    assert SettlementWindow.objects.get(name=WINDOW).last_cut_at == last


def test_a_key_of_a_night_without_trades_is_free_for_the_retry_that_finds_some(alice):
    assert told("cut_batch", "--key", "k") == {"guid": None, "trades": 0, "nothing": True}
    a_settling_buy(alice, btc("0.1"))

    assert told("cut_batch", "--key", "k")["trades"] == 1


@pytest.mark.parametrize(
    "other",
    [
        *(["--window", "Metals, hourly"], [], ["--report-legs"], ["--report-legs", "--in-order"]),
        *(["--window", WINDOW, "--by", BEN], ["--window", WINDOW]),
    ],
)
def test_a_key_that_asked_for_something_else_is_refused_and_cuts_nothing(alice, other):
    a_settling_buy(alice, btc("0.1"))
    told("cut_batch", "--window", WINDOW, "--key", "k", "--by", ANN)
    waits = a_settling_buy(alice, btc("0.1"))

    code, facts, sentence = ended("cut_batch", "--key", "k", *other)

    assert (code, facts, "otherwise, or by somebody else" in sentence) == (3, {}, True)
    assert SettlementBatch.objects.count() == 1
    waits.refresh_from_db()
    assert waits.batch_id is None


def test_a_key_of_a_batch_in_order_of_time_names_no_other(alice):
    a_settling_buy(alice, btc("0.1"))
    first = told("cut_batch", "--report-legs", "--in-order", "--key", "k")

    assert told("cut_batch", "--report-legs", "--in-order", "--key", "k")["guid"] == first["guid"]
    assert ended("cut_batch", "--report-legs", "--key", "k")[0] == 3


@pytest.mark.parametrize("key", ["", " k", "k k", "ö", "k" * 129, "k\n"])
def test_a_key_that_nobody_could_write_twice_is_usage(alice, key):
    assert ran("cut_batch", "--key", key)[0] == 2


def test_the_database_keeps_keys_apart_and_as_they_are(alice):
    a_settling_buy(alice, btc("0.1"))
    told("cut_batch", "--key", "k")
    batch = SettlementBatch.objects.get()

    with pytest.raises(IntegrityError, match="never change"), transaction.atomic():
        SettlementBatch.objects.filter(pk=batch.pk).update(key="k9")
    batch.pk = uuid7()
    with pytest.raises(IntegrityError, match="one_batch_per_key"), transaction.atomic():
        batch.save(force_insert=True)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_with_one_key_get_one_batch(alice):
    """Guard: `one_batch_per_key` is unique, and the cut looks for the key after its INSERT gave way."""
    for _ in range(4):
        a_settling_buy(alice, btc("0.1"))
    start = Barrier(4)

    def cuts(_: int) -> tuple[int, str]:
        try:
            start.wait()
            code, facts, sentence = ended("cut_batch", "--key", "night")
            return code, facts.get("guid") or sentence
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        outcomes = set(threads.map(cuts, range(4)))

    assert outcomes == {(0, SettlementBatch.objects.get().pk.hex)}


# --- confirming ------------------------------------------------------------------------------------


def test_confirm_settles_what_was_cut_and_its_retry_does_nothing(alice):
    bought = a_settling_buy(alice, btc("0.1"))

    done = told("cut_batch", "--window", WINDOW, "--confirm", "--key", "k")

    assert (done["state"], done["completed"], states(bought)) == ("completed", 1, ["completed"])
    assert told("cut_batch", "--window", WINDOW, "--confirm", "--key", "k") == {**done, "nothing": True}
    assert told("cut_batch", "--window", WINDOW, "--confirm") == {"guid": None, "trades": 0, "nothing": True}
    assert what_the_audit_finds() == []


def test_an_operator_alone_cuts_and_does_not_confirm(alice):
    bought = a_settling_buy(alice, btc("0.1"))

    code, facts, sentence = ended("cut_batch", "--window", WINDOW, "--confirm", "--by", ANN, "--key", "k")
    assert (code, facts["state"], "a second person" in sentence) == (4, "cut", True)
    for alone in (["batch", "confirm", facts["guid"]], ["batch", "cancel", facts["guid"]]):
        for by in ([], ["--by", ANN]):
            assert ran(*alone, *by)[0] == 4
    assert ran("cut_batch", "--window", WINDOW, "--confirm", "--key", "k")[0] == 3  # as somebody else: another's key
    assert states(bought) == ["settling"]

    assert told("batch", "confirm", facts["guid"], "--by", BEN)["state"] == "confirmed"
    assert ran("batch", "confirm", facts["guid"], "--by", BEN)[0] == 3


def test_a_batch_that_was_given_up_is_not_settled_by_its_keys_retry(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = told("cut_batch", "--key", "k")["guid"]
    assert told("batch", "cancel", batch)["state"] == "cancelled"

    assert told("cut_batch", "--key", "k")["state"] == "cancelled"
    assert ended("cut_batch", "--key", "k", "--confirm")[0] == 3


@pytest.mark.parametrize("wrong", [["--key", "k"], ["--confirm"]])
def test_a_dry_run_goes_with_nothing_that_changes(alice, wrong):
    assert ran("cut_batch", "--dry-run", *wrong)[0] == 2


# --- batches ---------------------------------------------------------------------------------------


def test_batches_are_listed_by_state_and_age_to_the_end(alice, monkeypatch):
    monkeypatch.setattr("trades.management.commands.batch.PAGE", 2)
    made = []
    for _ in range(5):
        a_settling_buy(alice, btc("0.01"))
        made.append(told("cut_batch")["guid"])
    told("batch", "cancel", made[0])
    moved_back(made[1], hours=27)

    def listed(*which: str) -> list[str]:
        return [one["guid"] for one in told("batch", "list", *which)["batches"]]

    assert listed() == made
    assert listed("--open") == listed("--state", "cut", "--state", "confirmed") == made[1:]
    assert listed("--open", "--older-than", "26h") == [made[1]]
    first = told("batch", "list", "--limit", "3")
    assert (len(first["batches"]), first["next_after"]) == (3, made[2])
    last = told("batch", "list", "--limit", "3", "--after", first["next_after"])
    assert ([one["guid"] for one in last["batches"]], last["next_after"]) == (made[3:], None)
    assert told("batch", "list", "--state", "completed") == {"batches": [], "next_after": None, "nothing": True}
    assert f"More of them: --after {made[1]}" in ran("batch", "list", "--limit", "2")[1]
    assert ran("batch", "list", "--limit", "0")[0] == ran("batch", "list", "--older-than", "1w")[0] == 2


def test_a_batch_is_shown_with_its_legs_counts_and_who_was_left_out(alice):
    a_settling_buy(alice, btc("0.1"))
    told("flag_trade", a_settling_buy(alice, btc("0.01")).pk.hex, "--reason", "odd", "--by", ANN)
    batch = told("cut_batch", "--report-legs", "--key", "k")["guid"]

    shown_ = told("batch", "show", batch)

    assert (shown_["state"], shown_["trades"], shown_["customers"], shown_["key"]) == ("cut", 1, 1, "k")
    assert [leg["expected"] for leg in shown_["legs"]] == [
        {"amount": 10_000_000, "asset": "BTC", "decimals": 8},
        {"amount": 400_000, "asset": "USD", "decimals": 2},
    ]
    assert shown_["left_out"] == [{"stage": "cut", "reason": "trade_flagged", "trades": 1}]
    text = ran("batch", "show", batch)[1]
    assert "incoming 0.10000000 BTC: pending" in text
    assert "left out cut: 1 trades, trade_flagged" in text
    assert ran("batch", "show", "0" * 32)[0] == 3


# --- what is late ----------------------------------------------------------------------------------


def test_a_batch_and_legs_that_are_open_for_longer_than_max_age_are_late(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = told("cut_batch", "--report-legs")["guid"]
    assert ended("settle_batch", batch)[0] == 4
    code, facts, _ = ended("settlement_status", "--max-age", "26h")
    assert (code, facts["late"], [one["guid"] for one in facts["batches_open"]]) == (0, False, [batch])
    assert facts["legs_due"]["legs"] == 2

    moved_back(batch, hours=27)
    code, facts, sentence = ended("settlement_status", "--max-age", "26h")

    assert (code, facts["late"], facts["batches_open"][0]["late"]) == (1, True, True)
    assert f"batch {batch} settling, cut 27h 0m ago" in sentence
    assert told("settlement_status", "--max-age", "2d")["late"] is False


def test_a_window_whose_cut_was_due_and_one_that_cannot_be_read_are_late(alice):
    SettlementWindow.objects.exclude(name__in=[WINDOW, "Metals, hourly"]).update(is_active=False)
    since = timezone.now() - timedelta(days=9)
    scheduled(SettlementWindow.objects.filter(name=WINDOW), since=since, last_cut_at=since)
    SettlementWindow.objects.filter(name="Metals, hourly").update(cron="61 * * * *")

    code, facts, _ = ended("settlement_status")

    assert (code, [one["window"] for one in facts["windows_late"]]) == (1, [WINDOW, "Metals, hourly"])
    assert facts["windows_late"][0]["due_at"]
    assert facts["windows_late"][1]["due_at"] is None


def test_next_cuts_names_a_window_that_cannot_be_read_and_lists_the_others(alice):
    SettlementWindow.objects.filter(name="Metals, hourly").update(cron="61 * * * *")

    code, facts, sentence = ended("next_cuts", "--count", "2")

    told_of = {one["window"]: one for one in facts["windows"]}
    assert (code, "Metals, hourly" in sentence) == (1, True)
    assert len(told_of[WINDOW]["cuts"]) == 2
    assert "can't be read" in told_of["Metals, hourly"]["unreadable"]
    assert "  UNREADABLE The schedule of Metals, hourly" in ran("next_cuts")[1]


def test_next_cuts_says_the_firms_time_from_which_it_looks():
    """Guard: `at`, which is what a caller compares the cuts with."""
    with moved_ahead(timedelta(days=1)):
        facts = ended("next_cuts", "--count", "1")[1]

    assert datetime.fromisoformat(facts["at"]) - timezone.now() > timedelta(hours=23)


def test_ages_are_read_and_shown():
    assert [age(text) for text in ("26h", "90m", "2d")] == [
        timedelta(hours=26),
        timedelta(minutes=90),
        timedelta(days=2),
    ]
    assert [shown(timedelta(seconds=seconds)) for seconds in (5, 65, 3_700, 200_000)] == [
        "5s",
        "1m 5s",
        "1h 1m",
        "2d 7h",
    ]
