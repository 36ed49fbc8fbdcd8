"""All legs of a batch reported by one form: as printed, looked at twice where it differs, all of it or nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import deeds
from accounts.admin.shown import amount_text
from accounts.identity import SYSTEM
from accounts.models import Break, JournalEntry, Transfer
from tests.admin.actions import browser_with, hidden, logged_in, offers, said, shown
from tests.admin.test_pages import queries_of
from tests.given import (
    a_customer,
    a_settling_buy,
    a_trade,
    btc,
    btc_at,
    price_at,
    settles,
    states,
    usd,
    what_the_audit_finds,
)
from trades.models import LegReport, SettlementBatch, SettlementLeg
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import settle_leg
from trades.settlement.legs_together import Odd, oddity
from trades.settlement.settle import settle

pytestmark = pytest.mark.django_db

BATCH = "trades_settlementbatch"


@pytest.fixture
def bought():
    """0.1 BTC for 4,000.00 USD."""
    btc_at("40_000.00")
    return a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"), at_price="40000")


@pytest.fixture
def batch(bought) -> SettlementBatch:
    return waiting()


def waiting() -> SettlementBatch:
    """A batch whose legs wait to be reported."""
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now):
        pass
    batch.refresh_from_db()
    return batch


def leg(asset: str) -> SettlementLeg:
    return SettlementLeg.objects.get(asset=asset)


def address(batch: SettlementBatch) -> str:
    return reverse(f"admin:{BATCH}_report_legs", args=[batch.pk])


def unseen(page: Any) -> dict[str, str]:
    """What the form sends along unseen, and the box below its warnings."""
    text = page.content.decode()
    found = re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', text)
    found += re.findall(r'<input type="checkbox" name="(confirmed)" value="(\w+)">', text)
    return {name: value for name, value in found if name != "csrfmiddlewaretoken"}


def reports(client: Client, batch: SettlementBatch, **answers: str) -> Any:
    """Open the form and send it, BTC_actual as BTC-actual."""
    return sends(client, batch, unseen(client.get(address(batch))), **answers)


def sends(client: Client, batch: SettlementBatch, along: dict[str, str], **answers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in answers.items()}
    return client.post(address(batch), {**along, **given}, follow=True)


def expected(asset: str) -> str:
    """A leg's amount as the page prints it."""
    one = leg(asset)
    return amount_text(one.expected, one.asset)


def nothing_moved() -> bool:
    return not LegReport.objects.exists() and not Transfer.objects.filter(kind="leg_settled").exists()


# --- what it does ------------------------------------------------------------------------------------


def test_every_leg_is_reported_at_once_by_amounts_as_the_page_prints_them(maker, batch, bought):
    opened = shown(maker.get(address(batch)))
    assert "4,0" in expected("USD")
    assert f"{expected('USD')} still expected" in opened

    answer = reports(maker, batch, BTC_actual="0.1", USD_actual=expected("USD"), USD_reference="wire-1")

    assert said(answer) == ["2 reported, 2 of them settled."]
    assert {one.status for one in SettlementLeg.objects.all()} == {"settled"}
    assert leg("USD").reference == "wire-1"
    settles(batch)
    assert states(bought) == ["completed"]
    assert what_the_audit_finds() == []


def test_a_row_without_an_amount_is_not_reported(maker, batch):
    answer = reports(maker, batch, BTC_actual="0.1")

    assert said(answer) == ["1 reported, 1 of them settled."]
    assert leg("USD").status == "pending"
    assert "BTC" not in unseen(maker.get(address(batch)))  # what is settled has no row any more
    assert said(reports(maker, batch)) == ["Nothing was reported: no open leg has an amount."]


def test_one_refused_leg_changes_nothing_and_is_named(maker, batch):
    """Guard: the transaction of `settle_legs`. Without it, BTC would be settled."""
    settles_before = Transfer.objects.count()

    same = {"BTC_reference": "wire-1", "USD_reference": "WIRE -1"}  # the same reference, and so of one leg
    answer = reports(maker, batch, BTC_actual="0.1", USD_actual=expected("USD"), **same)

    assert re.match(r"Nothing was reported\. (BTC|USD): The reference has settled another leg", said(answer)[0])
    assert nothing_moved()
    assert Transfer.objects.count() == settles_before
    assert 'value="0.1"' in answer.content.decode()  # what was typed stands there still


@pytest.mark.parametrize(
    "actual",
    [
        *("much", "-1", "0.000000001", "1e400", "NaN", "1,00", "0,1", "0,125", "000,125", "1,0000", "1_0", "\u0661"),
        *("0.1 USD", " 1"),
    ],
)
def test_an_amount_that_cant_be_read_is_said_at_its_row_and_nothing_is_reported(maker, batch, actual):
    answer = reports(maker, batch, BTC_actual=actual, USD_actual=expected("USD"))

    assert said(answer) == ["Nothing was reported: see BTC."]
    assert nothing_moved()


def test_a_reference_without_an_amount_is_asked_about(maker, batch):
    assert said(reports(maker, batch, BTC_reference="wire-1")) == ["Nothing was reported: see BTC."]


# --- the warning -------------------------------------------------------------------------------------


def test_what_differs_much_is_reported_only_once_its_warning_is_ticked(maker, batch):
    """Guard: `_is_confirmed`."""
    typed = {"BTC_actual": "0.098", "BTC_final": "on", "USD_actual": expected("USD")}

    warned = reports(maker, batch, **typed)

    assert "0.098 BTC differs by more than 1 % from the 0.10 BTC that is still expected." in shown(warned)
    assert nothing_moved()
    along = unseen(warned)
    sends(maker, batch, {name: value for name, value in along.items() if name != "confirmed"}, **typed)
    assert nothing_moved()
    along = unseen(reports(maker, batch, **typed))
    assert said(sends(maker, batch, along, **typed)) == ["2 reported, 2 of them settled. There is a break of BTC."]
    assert int(Break.objects.get().amount) == -btc("0.002")


def test_a_box_that_was_ticked_for_one_amount_is_none_for_another(maker, batch):
    """Guard: the amounts in `confirmation_of`."""
    along = unseen(reports(maker, batch, BTC_actual="0.05", BTC_final="on"))

    answer = sends(maker, batch, along, BTC_actual="5", BTC_final="on")

    assert "5.00 BTC differs tenfold" in shown(answer)
    assert "is the decimal point in its place?" in shown(answer)
    assert nothing_moved()


@pytest.mark.parametrize(
    ("actual", "left", "odd"),
    [
        (1000, 1000, None),
        (990, 1000, None),
        (1010, 1000, None),
        (989, 1000, Odd.PERCENT),
        (1011, 1000, Odd.PERCENT),
        (101, 1000, Odd.PERCENT),
        (100, 1000, Odd.TENFOLD),
        (0, 1000, Odd.TENFOLD),
        (9_999, 1000, Odd.PERCENT),
        (10_000, 1000, Odd.TENFOLD),
        (1, 0, Odd.TENFOLD),
        (0, 0, None),
    ],
)
def test_more_than_a_hundredth_is_odd_and_a_tenth_or_ten_times_more_so(actual, left, odd):
    assert oddity(actual, left) == odd


# --- once, and over nothing unseen -------------------------------------------------------------------


def test_the_form_sent_twice_is_carried_out_once(maker, batch):
    """Guard: the one-time key, `KeyForm`. Sent twice, a part would count twice."""
    opened = unseen(maker.get(address(batch)))
    part = {"BTC_actual": "0.0999", "BTC_reference": "wire-1"}

    assert said(sends(maker, batch, opened, **part)) == [
        "1 reported, 0 of them settled. The rest is still expected of BTC."
    ]
    assert said(sends(maker, batch, opened, **part)) == ["This was sent already; it was done."]
    assert LegReport.objects.count() == 1


def test_a_form_without_a_key_does_nothing(maker, batch):
    """Guard: `key.is_valid()`."""
    along = {name: value for name, value in unseen(maker.get(address(batch))).items() if name != "once_only"}

    answer = sends(maker, batch, along, BTC_actual="0.1")

    assert said(answer) == ["This form has no one-time key: open it anew."]
    assert nothing_moved()


def test_what_somebody_else_reported_meanwhile_is_not_reported_over(maker, checker, batch):
    """Guard: the comparison with `seen` in `_settled`; for a settled leg, `gone`."""
    along = unseen(maker.get(address(batch)))
    settle_leg(leg("BTC").pk, actual=btc("0.0004"), reference="wire-1", by=SYSTEM, at=timezone.now())

    answer = sends(maker, batch, along, BTC_actual="0.0996", USD_actual=expected("USD"))
    assert said(answer) == ["Nothing was reported. BTC: It was reported, or taken back, since this page was opened."]

    along = unseen(maker.get(address(batch)))
    settle_leg(leg("BTC").pk, actual=btc("0.0996"), reference="wire-2", by=SYSTEM, at=timezone.now())
    answer = sends(maker, batch, along, BTC_actual="0.0996", USD_actual=expected("USD"))
    assert said(answer) == ["Nothing was reported: BTC can't be reported any more; look again."]
    assert leg("USD").status == "pending"


# --- who, and what it costs --------------------------------------------------------------------------


def test_who_may_report_a_leg_is_offered_the_form_and_the_journal_names_each_leg(batch):
    maker, checker = browser_with(deeds.MAKER), browser_with(deeds.CHECKER)
    assert "report_legs" in offers(maker, BATCH, batch.pk)
    assert "report_legs" not in offers(checker, BATCH, batch.pk)

    reports(maker, batch, BTC_actual="0.1", USD_actual=expected("USD"))
    entry = JournalEntry.objects.filter(deed=f"{BATCH}_report_legs", outcome="done").get()
    assert {leg("BTC").pk.hex, leg("USD").pk.hex} <= set(entry.objects_named)
    begun = JournalEntry.objects.filter(deed=f"{BATCH}_report_legs").exclude(pk=entry.pk).first()
    assert (begun or entry).asked["BTC-actual"] == "0.1"


def test_a_refusal_is_in_the_journal_as_one(maker, batch):
    reports(maker, batch, BTC_actual="much")

    assert JournalEntry.objects.filter(deed=f"{BATCH}_report_legs", outcome="refused").exists()


def test_a_batch_that_has_not_begun_offers_no_row(maker, bought):
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)

    assert "No leg of this batch can be reported now" in shown(maker.get(address(batch)))
    answer = maker.post(address(batch), {**hidden(maker.get(address(batch))), "BTC-actual": "0.1"}, follow=True)
    assert answer.status_code == 200
    assert nothing_moved()


def cost(client: Client, batch: SettlementBatch, **answers: str) -> int:
    along = unseen(client.get(address(batch)))
    with CaptureQueriesContext(connection) as asked:
        given = {name.replace("_", "-"): value for name, value in answers.items()}
        assert client.post(address(batch), {**along, **given}).status_code == 302
    return len(asked.captured_queries)


def test_the_form_costs_the_same_whatever_the_legs_and_a_report_no_more_than_by_itself(bought):
    """Three legs, and two: the page has no query a row."""
    maker = logged_in("maker@firm.example")
    few = waiting()
    looked = queries_of(maker, address(few))
    one = cost(maker, few, BTC_actual="0.1")
    two = cost(maker, few, USD_actual=expected("USD"))
    price_at("ETH-USD", "2_000.00")
    buyer = a_customer("bob", with_usd="50_000.00")
    for symbol in ("BTC-USD", "ETH-USD"):
        a_trade(buyer, symbol=symbol, deliver=usd("400.00"))
    many = waiting()
    legs = {one_leg.asset_id: one_leg for one_leg in SettlementLeg.objects.filter(batch=many).select_related("asset")}

    assert len(legs) == 3
    assert queries_of(maker, address(many)) == looked <= 12
    all_three = {f"{asset}_actual": amount_text(each.expected, each.asset) for asset, each in legs.items()}
    assert cost(maker, many, **all_three) <= 3 * max(one, two)
