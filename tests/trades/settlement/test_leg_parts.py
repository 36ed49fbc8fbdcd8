"""A leg that comes in parts: each is booked at once, and a batch's trades wait for the whole or go in order of time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import ledger
from accounts.errors import Malformed
from accounts.identity import SYSTEM, Actor
from accounts.models import Break, Customer, Transfer, User
from tests.accounts.sealing import tampered
from tests.caller import Api, a_firm, code
from tests.given import a_customer, a_settling_buy, a_trade, btc, btc_at, exits, price_at, states, what_the_audit_finds
from tests.trades.settlement.test_legs_and_rounds import comes_in, firm_balance, goes_on, leg_of
from trades.corrections.propose import propose_leg_reversal
from trades.errors import LegStateForbids, ReferenceUsed
from trades.models import LegReport, SettlementBatch, SettlementLeg
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import fail_leg, reopen_leg, retry_due, settle_leg
from trades.settlement.settle import begin, settle_chunk

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    price_at("XAU-USD", "2_000.00")
    return a_customer(with_usd="1_000_000.00")


def a_batch(*, in_order: bool = True) -> SettlementBatch:
    """Everything that is settling, cut and begun, with legs that wait for their reports."""
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False, completes_in_order=in_order)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    begin(batch.pk, timezone.now())
    batch.refresh_from_db()
    return batch


def a_part(batch: SettlementBatch, asset: str, amount: int, reference: str = "") -> SettlementLeg:
    leg = leg_of(batch, asset)
    name = reference or f"part {LegReport.objects.count()}"
    return settle_leg(leg.pk, actual=amount, reference=name, by=SYSTEM, at=timezone.now())


def ends(batch: SettlementBatch, asset: str, amount: int = 0) -> SettlementLeg:
    """Nothing more comes."""
    leg, name = leg_of(batch, asset), f"last {LegReport.objects.count()}"
    return settle_leg(leg.pk, actual=amount, reference=name, by=SYSTEM, at=timezone.now(), final=True)


# --- what a part is --------------------------------------------------------------------------------


def test_a_part_is_booked_at_once_and_the_last_one_settles_the_leg(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()

    leg = a_part(batch, "BTC", btc("0.04"))
    assert (leg.status, int(leg.actual), leg.settled_at) == ("partially_settled", btc("0.04"), None)
    assert leg_of(batch, "BTC").difference is None
    assert firm_balance("BTC", ledger.EXTERNAL) == -btc("0.04")
    assert what_the_audit_finds() == []

    leg = a_part(batch, "BTC", btc("0.06"))
    assert (leg.status, int(leg.actual), leg_of(batch, "BTC").difference) == ("settled", btc("0.1"), 0)
    assert firm_balance("BTC", ledger.LIQUIDITY) == 0
    assert list(LegReport.objects.filter(leg=leg).order_by("pk").values_list("kind", flat=True)) == ["part", "settled"]
    assert Transfer.objects.filter(subject=leg.pk).count() == 2
    assert what_the_audit_finds() == []


@pytest.mark.parametrize(("last", "missing"), [("0", "0.06"), ("0.01", "0.05")])
def test_only_a_final_report_ends_a_leg_of_which_something_is_missing(alice, last, missing):
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    a_part(batch, "BTC", btc("0.04"))

    leg = ends(batch, "BTC", btc(last) if last != "0" else 0)

    assert leg.status == "settled"
    assert int(Break.objects.get().amount) == -btc(missing) == firm_balance("BTC", ledger.DIFFERENCES)
    assert firm_balance("BTC", ledger.LIQUIDITY) == 0
    assert what_the_audit_finds() == []


def test_more_than_expected_settles_the_leg_with_a_difference(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    a_part(batch, "BTC", btc("0.04"))

    leg = a_part(batch, "BTC", btc("0.07"))

    assert (leg.status, int(leg.actual)) == ("settled", btc("0.11"))
    assert int(Break.objects.get().amount) == btc("0.01")
    assert what_the_audit_finds() == []


def test_the_same_part_again_changes_nothing_and_another_one_by_its_reference_is_refused(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    a_part(batch, "BTC", btc("0.04"), "wire 1")

    assert a_part(batch, "BTC", btc("0.04"), "wire 1").attempts == 1
    with pytest.raises(ReferenceUsed):
        a_part(batch, "BTC", btc("0.05"), "WIRE 1")
    leg = leg_of(batch, "BTC")
    with pytest.raises(ReferenceUsed):  # it was told as a part, and not as the last one
        settle_leg(leg.pk, actual=btc("0.04"), reference="wire 1", by=SYSTEM, at=timezone.now(), final=True)
    assert a_part(batch, "BTC", btc("0.06"), "wire 2").status == "settled"
    assert a_part(batch, "BTC", btc("0.04"), "wire 1").attempts == 2  # late, but the same
    assert what_the_audit_finds() == []


def test_who_waited_for_the_leg_reports_no_earlier_than_whoever_came_first(alice):
    """Guard: `_no_earlier`. Of two parts at once the one that read the clock first may be booked last; without it the
    audit accuses the leg."""
    a_settling_buy(alice, btc("0.1"))
    batch, read = a_batch(), timezone.now()
    first = a_part(batch, "BTC", btc("0.04"))

    leg = settle_leg(first.pk, actual=btc("0.06"), reference="wire 2", by=SYSTEM, at=read)

    assert leg.settled_at == leg.updated_at == first.updated_at > read
    assert what_the_audit_finds() == []


def test_no_part_comes_after_the_last_one(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    ends(batch, "BTC", btc("0.04"))

    with pytest.raises(LegStateForbids):
        a_part(batch, "BTC", btc("0.06"))
    assert int(leg_of(batch, "BTC").actual) == btc("0.04")


@pytest.mark.parametrize(("amount", "reference"), [(0, "wire 1"), (5, ""), (5, " ")])
def test_a_part_is_above_zero_and_has_a_reference(alice, amount, reference):
    """So that the same part twice is told from two parts. The database wants it, too."""
    a_settling_buy(alice, btc("0.1"))
    leg = leg_of(a_batch(), "BTC")

    with pytest.raises(Malformed):
        settle_leg(leg.pk, actual=amount, reference=reference, by=SYSTEM, at=timezone.now())
    said = LegReport(leg=leg, kind="part", number=1, amount=amount, reference=reference.strip(), at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        said.save(force_insert=True)


def test_the_database_counts_a_reference_once_whoever_writes_the_rows(alice):
    """Guard: `one_report_per_reference`; here nothing of Python's looks first."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    leg = a_part(batch, "BTC", 5, "wire 1")

    said = LegReport(leg=leg, kind="part", number=9, amount=5, reference="WIRE1", at=timezone.now())
    with pytest.raises(IntegrityError, match="one_report_per_reference"), transaction.atomic():
        said.save(force_insert=True)


def test_a_leg_that_fails_between_its_parts_keeps_what_has_come(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    a_part(batch, "BTC", btc("0.04"))

    failed = fail_leg(leg_of(batch, "BTC").pk, failure="x", reason_code="LACK", by=SYSTEM, at=timezone.now())
    assert (failed.status, int(failed.actual)) == ("failed", btc("0.04"))
    assert what_the_audit_finds() == []
    assert retry_due(failed.next_attempt_at) == 1
    assert leg_of(batch, "BTC").status == "partially_settled"
    assert what_the_audit_finds() == []
    assert a_part(batch, "BTC", btc("0.06")).status == "settled"
    assert what_the_audit_finds() == []


def test_parts_that_are_taken_back_may_be_reported_anew(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    a_part(batch, "BTC", btc("0.04"), "wire 1")
    a_part(batch, "BTC", btc("0.03"), "wire 2")
    by = Actor(User.objects.create_user("ann@firm.example").pk)
    correction = propose_leg_reversal(leg_of(batch, "BTC").pk, reason="wrong", by=by, at=timezone.now())

    assert reopen_leg(leg_of(batch, "BTC").pk, subject=correction.pk, at=timezone.now()) == 2

    assert (leg_of(batch, "BTC").status, leg_of(batch, "BTC").actual) == ("pending", None)
    assert [firm_balance("BTC", name) for name in (ledger.EXTERNAL, ledger.DIFFERENCES)] == [0, 0]
    with pytest.raises(LegStateForbids):
        reopen_leg(leg_of(batch, "BTC").pk, subject=correction.pk, at=timezone.now())
    assert int(a_part(batch, "BTC", btc("0.05"), "wire 1").actual) == btc("0.05")
    assert ends(batch, "BTC", btc("0.05")).status == "settled"


def test_a_leg_of_zero_settles_with_its_batch_by_itself(alice):
    sold = exits(a_settling_buy(alice, btc("0.1")))
    batch = a_batch()

    for asset in ("BTC", "USD"):  # of the latter, the fees stay with the firm
        assert (leg_of(batch, asset).expected, leg_of(batch, asset).status) == (0, "settled")
    assert (goes_on(batch).state, states(sold)) == ("completed", ["completed"])
    assert what_the_audit_finds() == []


# --- which trades complete -------------------------------------------------------------------------


def test_by_itself_no_trade_completes_until_the_whole_has_come(alice):
    trades = [a_settling_buy(alice, btc("0.1")) for _ in range(3)]
    batch = a_batch(in_order=False)
    comes_in(batch, "USD")
    a_part(batch, "BTC", btc("0.25"))

    assert settle_chunk(batch.pk, at=timezone.now()).waits_for == ("BTC",)
    assert (goes_on(batch).completed_count, set(states(*trades))) == (0, {"settling"})
    a_part(batch, "BTC", btc("0.05"))
    assert (goes_on(batch).state, set(states(*trades))) == ("completed", {"completed"})


def test_in_order_of_time_trades_complete_up_to_what_has_come(alice):
    trades = [a_settling_buy(alice, btc("0.1")) for _ in range(3)]
    batch = a_batch()
    comes_in(batch, "USD")

    for amount, completed in (("0.09", 0), ("0.01", 1), ("0.09", 1), ("0.02", 2)):
        a_part(batch, "BTC", btc(amount))
        goes_on(batch)
        assert states(*trades) == ["completed"] * completed + ["settling"] * (3 - completed)
        assert batch.state == ("partially_settled" if completed else "settling")
        assert what_the_audit_finds() == []
    rounds = goes_on(batch).round
    assert goes_on(batch).round == rounds  # nothing more has come: nothing is gone through again
    ends(batch, "BTC")
    assert (goes_on(batch).state, batch.completed_count) == ("completed", 3)
    assert Transfer.objects.filter(kind="trade_settled").count() == 3
    assert what_the_audit_finds() == []


def test_a_pair_is_never_split_and_stands_where_its_original_stands(alice):
    first, second, third = (a_settling_buy(alice, btc("0.1")) for _ in range(3))
    sold = exits(first)
    batch = a_batch()
    comes_in(batch, "USD")

    a_part(batch, "BTC", btc("0.1"))
    goes_on(batch)

    assert states(first, sold, second, third) == ["completed", "completed", "completed", "settling"]
    assert what_the_audit_finds() == []


def test_both_assets_decide_and_another_asset_waits_for_its_own_alone(alice):
    first = a_settling_buy(alice, btc("0.1"))  # 4,000.00 USD
    gold = a_trade(alice, symbol="XAU-USD", receive=1_000_000)
    last = a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    comes_in(batch, "XAU")
    a_part(batch, "BTC", btc("0.15"))
    goes_on(batch)
    assert batch.completed_count == 0  # nothing was paid yet

    a_part(batch, "USD", int(first.deliver_amount - first.fee))
    goes_on(batch)
    assert states(first, gold, last) == ["completed", "settling", "settling"]
    a_part(batch, "USD", int(gold.deliver_amount - gold.fee))
    goes_on(batch)
    assert states(first, gold, last) == ["completed", "completed", "settling"]
    comes_in_the_rest(batch, "USD")
    goes_on(batch)
    assert states(last) == ["settling"]
    comes_in_the_rest(batch, "BTC")
    assert (goes_on(batch).state, states(last)) == ("completed", ["completed"])
    assert what_the_audit_finds() == []


def comes_in_the_rest(batch: SettlementBatch, asset: str) -> None:
    leg = leg_of(batch, asset)
    a_part(batch, asset, int(leg.expected - (leg.actual or 0)))


def test_what_a_customer_sold_serves_those_who_come_later(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    comes = a_batch()
    comes_in(comes, "BTC", "USD")
    goes_on(comes)
    sold = a_trade(alice, side="sell", deliver=btc("0.1"))
    again, more = a_settling_buy(alice, btc("0.1")), a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    comes_in(batch, "USD")

    a_part(batch, "BTC", btc("0.05"))
    goes_on(batch)

    assert states(bought, sold, again, more) == ["completed", "completed", "completed", "settling"]
    assert what_the_audit_finds() == []


# --- over HTTP, and who would cheat ----------------------------------------------------------------


def path_of(leg: SettlementLeg, action: str) -> str:
    return f"/api/settlement_legs/{leg.pk.hex}/{action}"


@pytest.fixture
def machine() -> Api:
    return a_firm()


def test_parts_are_told_over_http(machine, alice):
    a_settling_buy(alice, btc("0.1"))
    leg = leg_of(a_batch(), "BTC")

    _, told = machine.post(path_of(leg, "settle"), {"actual_amount": btc("0.04"), "reference": "wire 1"})
    assert (told["status"], told["actual"], told["difference"], told["parts"]) == (
        "partially_settled",
        btc("0.04"),
        None,
        1,
    )
    again = machine.post(path_of(leg, "settle"), {"actual_amount": btc("0.05"), "reference": "wire 1"})
    assert code(again) == (422, "reference_used")
    assert [
        one["asset"]
        for one in machine.get("/api/settlement_legs", status="partially_settled", due="true")[1]["objects"]
    ] == ["BTC"]
    _, told = machine.post(path_of(leg, "settle"), {"actual_amount": 0, "reference": "no more", "final": True})
    assert (told["status"], told["difference"], told["parts"]) == ("settled", -btc("0.06"), 2)
    assert what_the_audit_finds() == []


def test_a_batch_that_is_cut_over_http_says_whether_it_goes_in_order(machine, alice):
    a_settling_buy(alice, btc("0.1"))

    status, batch = machine.post("/api/settlement_batches", {"legs_are_automatic": False, "completes_in_order": True})

    assert (status, batch["completes_in_order"]) == (201, True)
    with pytest.raises(IntegrityError), transaction.atomic():
        SettlementBatch.objects.update(completes_in_order=False)


def test_one_who_splits_a_payment_brings_no_more_in_than_it_was(machine, alice):
    """A thief's try: an operator alone tells one payment as many parts, each under a bit of its reference's name."""
    a_settling_buy(alice, btc("0.1"))
    leg = leg_of(a_batch(), "BTC")
    for spelled in ("wire 1", "wire  1", "WIRE1", " w i r e 1 "):
        machine.post(path_of(leg, "settle"), {"actual_amount": btc("0.02"), "reference": spelled})

    leg.refresh_from_db()
    assert (int(leg.actual), leg.attempts) == (btc("0.02"), 1)


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("UPDATE trades_settlementleg SET actual = actual + 1 WHERE status = 'partially_settled'", "leg money"),
        ("UPDATE trades_settlementleg SET actual = actual + 1 WHERE status = 'partially_settled'", "leg reports"),
        ("UPDATE trades_settlementleg SET status = 'settled' WHERE status = 'partially_settled'", "leg reports"),
        ("DELETE FROM accounts_transfer WHERE kind = 'leg_settled' AND amount = 5", "leg money"),
        ("UPDATE accounts_transfer SET amount = 11 - amount WHERE kind = 'leg_settled'", "leg reports"),
        ("DELETE FROM trades_legreport WHERE amount = 5", "leg reports"),
    ],
)
def test_the_audit_names_parts_that_were_tampered_with(alice, sql, check):
    """The second to last: two parts of 5 and 6 that were swapped come to the same."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    a_part(batch, "BTC", 5)
    a_part(batch, "BTC", 6)
    assert what_the_audit_finds() == []

    tampered(sql)

    assert check in {finding.split(":")[0] for finding in what_the_audit_finds()}


def test_a_part_long_after_its_value_date_is_still_due(machine, alice):
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    a_part(batch, "BTC", 5)

    assert leg_of(batch, "BTC").due_by > timezone.now() - timedelta(days=1)
    assert len(machine.get("/api/settlement_legs", due="true")[1]["objects"]) == 2
