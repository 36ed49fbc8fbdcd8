"""What was said of a leg stays said: each report is a row, and one outside reference settles one leg, for ever."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import Malformed
from accounts.identity import SYSTEM, Actor
from accounts.models import Transfer, User
from tests.accounts.sealing import tampered
from tests.caller import Api, a_firm, code
from tests.given import a_customer, a_settling_buy, btc, btc_at, what_the_audit_finds
from trades.errors import ReferenceUsed
from trades.models import LegReference, LegReport, SettlementBatch, SettlementLeg, SettlementWindow
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import fail_leg, reopen_leg, retry_due, settle_leg
from trades.settlement.settle import begin
from trades.settlement.value_dates import value_date_of

pytestmark = pytest.mark.django_db

LEGS = "/api/settlement_legs"


@pytest.fixture
def ann() -> Actor:
    return Actor(User.objects.create_user("ann@firm.example").pk)


def a_leg(asset: str = "BTC") -> SettlementLeg:
    """Of a batch of its own, which waits for reports: 0.1 BTC must come in, 4,000.00 USD go out."""
    btc_at("40_000.00")
    a_settling_buy(a_customer(f"customer{SettlementBatch.objects.count()}", with_usd="10_000.00"), btc("0.1"))
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    begin(batch.pk, timezone.now())
    return SettlementLeg.objects.get(batch=batch, asset_id=asset)


def comes(leg: SettlementLeg, reference: str, by: Actor = SYSTEM, actual: int | None = None) -> SettlementLeg:
    amount = int(leg.expected) if actual is None else actual
    return settle_leg(leg.pk, actual=amount, reference=reference, by=by, at=timezone.now(), final=True)


def what_the_audit_finds_of_legs() -> list[str]:
    """These reversals have no row of a correction, which is another check's business."""
    return [finding for finding in what_the_audit_finds() if not finding.startswith("corrections:")]


def history(leg: SettlementLeg) -> list[str]:
    return list(LegReport.objects.filter(leg=leg).order_by("pk").values_list("kind", flat=True))


def test_every_report_is_a_row_with_who_said_it(ann):
    leg = a_leg()
    failed = fail_leg(leg.pk, failure="no funds there", reason_code="AM04", by=ann, at=timezone.now())
    retry_due(failed.next_attempt_at)
    comes(leg, "wire 1", ann)
    correction = LegReport().pk
    reopen_leg(leg.pk, subject=correction, at=timezone.now())

    assert history(leg) == ["failed", "retried", "settled", "reopened"]
    first, _, settled, last = LegReport.objects.filter(leg=leg).order_by("pk")
    assert (first.reason_code, first.text, first.by_user_id) == ("AM04", "no funds there", ann.user_id)
    assert (int(settled.amount), settled.reference, settled.number) == (btc("0.1"), "wire 1", 2)
    assert (last.text, last.amount) == (correction.hex, None)
    assert what_the_audit_finds_of_legs() == []


def test_one_reference_settles_one_leg_however_it_is_written(ann):
    one, other = a_leg(), a_leg()
    comes(one, "Wire 12")

    for written in ("Wire 12", " WIRE 12 ", "wire12"):
        with pytest.raises(ReferenceUsed):
            comes(other, written)
    assert history(other) == []
    assert comes(one, "Wire 12").attempts == 1
    assert what_the_audit_finds() == []


def test_the_database_refuses_a_reference_of_another_leg_whoever_writes_the_row():
    """Guard: the trigger `claim_reference`; here nothing of Python's looks first."""
    one, other = a_leg(), a_leg()
    comes(one, "wire 1")

    said = LegReport(leg=other, kind="settled", number=1, amount=5, reference="WIRE1", at=timezone.now())
    with pytest.raises(IntegrityError, match="settled another leg"), transaction.atomic():
        said.save(force_insert=True)


def test_after_a_reversal_its_reference_settles_that_leg_again_and_no_other():
    one, other = a_leg(), a_leg()
    comes(one, "wire 1", actual=5)
    reopen_leg(one.pk, subject=LegReport().pk, at=timezone.now())

    with pytest.raises(ReferenceUsed):
        comes(other, "wire 1")
    again = comes(one, "wire 1")
    assert (again.status, again.reversals, int(again.actual)) == ("settled", 1, btc("0.1"))
    assert LegReference.objects.get(key="WIRE1").leg_id == one.pk
    assert what_the_audit_finds_of_legs() == []


def test_nobody_writes_what_came_without_a_report():
    """Guard: the trigger `says_what_was_reported`. The leg alone could say that something had come."""
    leg = a_leg()

    for change in ({"actual": 1}, {"actual": 1, "status": "settled", "settled_at": timezone.now()}):
        with pytest.raises(IntegrityError, match="sum of its reports"), transaction.atomic():
            SettlementLeg.objects.filter(pk=leg.pk).update(**change)
    comes(leg, "wire 1")
    with pytest.raises(IntegrityError, match="sum of its reports"), transaction.atomic():
        SettlementLeg.objects.filter(pk=leg.pk).update(actual=7)


def test_history_is_never_changed_nor_removed():
    comes(a_leg(), "wire 1")

    for rows in (LegReport.objects, LegReference.objects):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(leg=LegReport().pk)
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.all().delete()


@pytest.mark.parametrize("reason", ["", "XXXX", "am04"])
def test_a_code_that_is_none_is_refused(ann, reason):
    leg = a_leg()

    with pytest.raises(Malformed):
        fail_leg(leg.pk, failure="x", reason_code=reason, by=ann, at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        LegReport(leg=leg, kind="failed", number=1, reason_code=reason, at=timezone.now()).save(force_insert=True)


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("UPDATE trades_legreport SET amount = amount + 1", "leg reports"),
        (
            "UPDATE trades_legreport SET kind = 'settled', amount = 0, reason_code = '' WHERE amount IS NULL",
            "leg reports",
        ),
        ("DELETE FROM trades_legreport", "leg reports"),
        ("UPDATE trades_settlementleg SET actual = actual + 1", "leg reports"),
        ("DELETE FROM accounts_transfer WHERE kind = 'leg_settled'", "leg reports"),
        ("DELETE FROM trades_legreference", "leg references"),
        ("UPDATE trades_legreference SET leg_id = gen_random_uuid()", "leg references"),
    ],
)
def test_the_audit_names_a_history_that_was_tampered_with(ann, sql, check):
    leg = a_leg()
    comes(leg, "wire 1")
    fail_leg(a_leg("USD").pk, failure="x", by=ann, at=timezone.now())
    assert what_the_audit_finds() == []

    tampered("ALTER TABLE trades_legreference DISABLE TRIGGER USER")
    tampered(sql)

    assert check in {finding.split(":")[0] for finding in what_the_audit_finds()}


# --- value dates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cut_at", "days", "calendar", "day", "ends_at"),
    [
        ("2026-03-03T03:00Z", 0, "", "2026-03-02", "2026-03-03T05:00Z"),  # in New York it is the evening before
        ("2026-03-06T15:00Z", 1, "NYSE", "2026-03-09", "2026-03-10T04:00Z"),  # over a weekend, into summer time
        ("2026-04-02T15:00Z", 2, "NYSE", "2026-04-07", "2026-04-08T04:00Z"),  # over Good Friday
        ("2026-03-06T15:00Z", 2, "", "2026-03-08", "2026-03-09T04:00Z"),  # without a calendar every day counts
    ],
)
def test_a_value_date_is_so_many_business_days_from_the_cut(cut_at, days, calendar, day, ends_at):
    window = SettlementWindow(name="w", time_zone="America/New_York", calendar=calendar, value_days=days)

    found = value_date_of(SettlementBatch(window=window, cut_at=datetime.fromisoformat(cut_at)))

    assert (found.day, found.ends_at) == (date.fromisoformat(day), datetime.fromisoformat(ends_at))


def test_without_a_window_it_is_the_utc_day():
    leg = a_leg()

    assert leg.value_date == leg.batch.cut_at.astimezone(UTC).date()
    assert leg.due_by == datetime.combine(leg.value_date + timedelta(days=1), datetime.min.time(), UTC)


# --- over HTTP -------------------------------------------------------------------------------------


@pytest.fixture
def machine() -> Api:
    return a_firm()


def long_ago(leg: SettlementLeg) -> None:
    """As if its value date had been the day before yesterday."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE trades_settlementleg DISABLE TRIGGER never_changed")
        cursor.execute(
            "UPDATE trades_settlementleg SET value_date = value_date - 2, due_by = due_by - interval '2 days'"
            " WHERE id = %s",
            [leg.pk],
        )
        cursor.execute("ALTER TABLE trades_settlementleg ENABLE TRIGGER never_changed")


def test_what_is_overdue_is_listed_until_it_is_settled(machine, ann):
    leg = a_leg()
    assert machine.get(LEGS, overdue="true")[1]["objects"] == []
    long_ago(leg)
    fail_leg(leg.pk, failure="closed", reason_code="AC04", by=ann, at=timezone.now())

    found = machine.get(LEGS, overdue="true", reason_code="AC04")[1]["objects"]
    assert [one["guid"] for one in found] == [leg.pk.hex]
    assert (found[0]["reason_code"], found[0]["value_date"]) == ("AC04", (leg.value_date - timedelta(2)).isoformat())
    assert [one["asset"] for one in machine.get(LEGS, overdue="false")[1]["objects"]] == ["USD"]
    comes(leg, "wire 1")
    assert machine.get(LEGS, overdue="true")[1]["objects"] == []


def test_a_legs_history_is_read_newest_first(machine):
    leg = a_leg()
    path = f"{LEGS}/{leg.pk.hex}"
    status, told = machine.post(f"{path}/fail", {"failure": "no funds", "reason_code": "AM04"})
    assert (status, told["reason_code"]) == (200, "AM04")
    machine.post(f"{path}/settle", {"actual_amount": btc("0.1"), "reference": "wire 1"})

    settled, failed = machine.get(f"{path}/reports")[1]["objects"]
    assert (settled["kind"], settled["amount"], settled["attempt"]) == ("settled", btc("0.1"), 2)
    assert (failed["kind"], failed["reason_code"], failed["amount"]) == ("failed", "AM04", None)
    assert settled["by_client_guid"] is not None
    below = f"/api/settlement_batches/{leg.batch_id.hex}/legs/{leg.pk.hex}/reports"
    assert [one["kind"] for one in machine.get(below, kind="failed")[1]["objects"]] == ["failed"]


def test_whoever_reports_somebodys_reference_first_is_known_and_nothing_is_booked_twice(machine):
    """A thief's try: a partner's machine claims for its own leg the payment that was made for another."""
    mine, theirs = a_leg(), a_leg()
    machine.post(f"{LEGS}/{theirs.pk.hex}/settle", {"actual_amount": btc("0.1"), "reference": "wire 1"})
    moved = Transfer.objects.count()

    refused = machine.post(f"{LEGS}/{mine.pk.hex}/settle", {"actual_amount": btc("0.1"), "reference": "WIRE 1"})

    assert code(refused) == (422, "reference_used")
    assert theirs.pk.hex in refused[1]["error_message"]
    assert LegReport.objects.get(leg=theirs).by_client_id is not None
    assert Transfer.objects.count() == moved


@pytest.mark.parametrize("body", [{"failure": "x", "reason_code": "NOPE"}, {"failure": "x", "reason_code": 4}])
def test_a_reason_that_is_none_is_400(machine, body):
    leg = a_leg()

    assert code(machine.post(f"{LEGS}/{leg.pk.hex}/fail", body)) == (400, "invalid_parameter")
    assert history(leg) == []
