"""Legs over HTTP: a machine finds what is due, carries it out, and reports what really moved."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.identity import SYSTEM, Actor
from accounts.models import Break, Customer, Transfer, User
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.given import (
    a_customer,
    a_settling_buy,
    btc,
    btc_at,
    settle_everything,
    states,
    usd,
    what_the_audit_finds,
)
from trades.api import wake_worker
from trades.corrections import decide, propose
from trades.models import SettlementBatch, SettlementLeg
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import retry_due
from trades.settlement.settle import settle

pytestmark = pytest.mark.django_db

LEGS = "/api/settlement_legs"


@pytest.fixture
def machine() -> Api:
    return a_firm()


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


def settled_as_far_as_it_goes(batch: SettlementBatch) -> None:
    for _ in settle(batch.pk, clock=timezone.now):
        pass


@pytest.fixture
def batch(alice) -> SettlementBatch:
    """Confirmed and begun; 0.1 BTC must come in, 4,000.00 USD go out, and nobody reported it."""
    a_settling_buy(alice, btc("0.1"))
    cut = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(cut.pk, by=SYSTEM, at=timezone.now())
    settled_as_far_as_it_goes(cut)
    return cut


def leg(asset: str) -> SettlementLeg:
    return SettlementLeg.objects.get(asset=asset)


def path_of(one: SettlementLeg, action: str) -> str:
    return f"/api/settlement_batches/{one.batch_id.hex}/legs/{one.pk.hex}/{action}"


def due(machine: Api, **query: str) -> list[str]:
    return sorted(one["asset"] for one in machine.get(LEGS, due="true", **query)[1]["objects"])


# --- reporting -------------------------------------------------------------------------------------


def test_a_machine_finds_what_is_due_reports_it_and_the_trades_complete(machine, batch):
    assert due(machine) == ["BTC", "USD"]

    status, told = machine.post(path_of(leg("BTC"), "settle"), {"actual_amount": btc("0.1"), "reference": "wire-1"})
    assert status == 200
    assert (told["status"], told["actual"], told["difference"]) == ("settled", btc("0.1"), 0)
    assert (told["reference"], told["attempts"], told["failure"]) == ("wire-1", 1, "")
    assert told["settled_at"] is not None
    assert due(machine) == ["USD"]

    machine.post(path_of(leg("USD"), "settle"), {"actual_amount": usd("4_000.00")})
    settled_as_far_as_it_goes(batch)
    batch.refresh_from_db()
    assert (batch.state, due(machine)) == ("completed", [])
    assert leg("USD").reported_by_client_id is not None
    assert what_the_audit_finds() == []


def test_a_difference_is_told_and_becomes_a_break(machine, batch):
    _, told = machine.post(
        path_of(leg("BTC"), "settle"), {"actual_amount": btc("0.09"), "reference": "wire-1", "final": True}
    )

    assert (told["actual"], told["expected"], told["difference"]) == (btc("0.09"), btc("0.1"), -btc("0.01"))
    found = Break.objects.get()
    assert (found.kind, int(found.amount), found.subject) == ("leg_difference", -btc("0.01"), leg("BTC").pk)
    assert what_the_audit_finds() == []


def test_nothing_moved_is_an_amount_of_zero(machine, batch):
    _, told = machine.post(path_of(leg("BTC"), "settle"), {"actual_amount": 0, "final": True})

    assert (told["status"], told["actual"], told["difference"]) == ("settled", 0, -btc("0.1"))


def test_the_same_report_again_changes_nothing_and_another_one_is_refused(machine, batch):
    body = {"actual_amount": btc("0.1"), "reference": "wire-1"}
    first = machine.post(path_of(leg("BTC"), "settle"), body)
    moved = Transfer.objects.count()

    assert machine.post(path_of(leg("BTC"), "settle"), body) == first
    assert Transfer.objects.count() == moved
    other = machine.post(path_of(leg("BTC"), "settle"), {**body, "actual_amount": 7})
    assert code(other) == (422, "leg_state")
    assert code(machine.post(path_of(leg("BTC"), "fail"), {"failure": "too late"})) == (422, "leg_state")


def test_a_failed_leg_is_due_again_when_its_pause_is_over(machine, batch):
    status, told = machine.post(path_of(leg("USD"), "fail"), {"failure": "the bank is closed"})

    assert status == 200
    assert (told["status"], told["failure"], told["attempts"]) == ("failed", "the bank is closed", 1)
    assert told["next_attempt_at"] is not None
    assert due(machine) == ["BTC"]
    assert [one["asset"] for one in machine.get(LEGS, status="failed")[1]["objects"]] == ["USD"]

    SettlementLeg.objects.filter(asset="USD").update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert due(machine) == ["BTC", "USD"]  # also before the beat has made it pending again
    assert retry_due(timezone.now()) == 1
    assert due(machine) == ["BTC", "USD"]


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("settle", {}),
        ("settle", []),
        ("settle", {"actual_amount": "1"}),
        ("settle", {"actual_amount": True}),
        ("settle", '{"actual_amount": 1.0}'),
        ("settle", {"actual_amount": -1}),
        ("settle", {"actual_amount": 10**38}),
        ("settle", {"actual_amount": 10**33}),
        ("settle", {"actual_amount": 0, "reference": "x"}),
        ("settle", {"actual_amount": 1}),
        ("settle", {"actual_amount": 1, "reference": " "}),
        ("settle", {"actual_amount": 1, "reference": "x", "final": "yes"}),
        ("settle", {"actual_amount": 1, "reference": "x" * 129}),
        ("settle", {"actual_amount": 1, "reference": 7}),
        ("settle", {"actual_amount": 1, "reference": "a\nb"}),
        ("fail", {}),
        ("fail", {"failure": ""}),
        ("fail", {"failure": "x" * 201}),
        ("fail", {"failure": "a\tb"}),
        ("fail", {"failure": ["late"]}),
        ("fail", "not json"),
    ],
)
def test_a_report_that_nobody_could_mean_is_400_and_changes_nothing(machine, batch, action, body):
    assert code(machine.post(path_of(leg("BTC"), action), body)) == (400, "invalid_parameter")
    assert (leg("BTC").status, leg("BTC").attempts) == ("pending", 0)


def test_before_its_batch_has_begun_to_settle_a_leg_is_neither_due_nor_reported(machine, alice):
    a_settling_buy(alice, btc("0.1"))
    cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)

    assert due(machine) == []
    assert code(machine.post(path_of(leg("BTC"), "settle"), {"actual_amount": 1})) == (422, "leg_state")


def test_a_leg_is_found_in_its_own_batch_only(machine, batch, alice):
    a_settling_buy(alice, btc("0.1"))
    other = cut_now(at=timezone.now(), by=SYSTEM)
    mine = SettlementLeg.objects.get(asset="BTC", batch=batch)

    for action, body in (("settle", {"actual_amount": 1}), ("fail", {"failure": "x"})):
        for one in (other.pk.hex, UNKNOWN, "nonsense"):
            path = f"/api/settlement_batches/{one}/legs/{mine.pk.hex}/{action}"
            assert code(machine.post(path, body)) == (404, "not_found")
        for one in (UNKNOWN, "nonsense"):
            path = f"/api/settlement_batches/{batch.pk.hex}/legs/{one}/{action}"
            assert code(machine.post(path, body)) == (404, "not_found")
    mine.refresh_from_db()
    assert mine.status == "pending"


def test_reporting_needs_the_scope(batch):
    reader = a_firm(frozenset({"settlements:read"}))

    assert reader.get(LEGS)[0] == 200
    assert code(reader.post(path_of(leg("BTC"), "settle"), {"actual_amount": 1})) == (403, "invalid_scope")
    assert code(reader.post(path_of(leg("BTC"), "fail"), {"failure": "x"})) == (403, "invalid_scope")
    assert code(a_firm(frozenset({"trades:read"})).get(LEGS)) == (403, "invalid_scope")


def test_a_worker_is_woken_once_the_report_is_committed(
    machine, batch, monkeypatch, django_capture_on_commit_callbacks
):
    asked = []
    monkeypatch.setattr(wake_worker.wake_ups, "put", asked.append)

    with django_capture_on_commit_callbacks(execute=True):
        machine.post(path_of(leg("BTC"), "settle"), {"actual_amount": btc("0.1")})
    assert asked == [(wake_worker.SETTLE, None)]

    with django_capture_on_commit_callbacks(execute=True):
        machine.post(path_of(leg("USD"), "settle"), {"actual_amount": -1})
    assert asked == [(wake_worker.SETTLE, None)]


# --- the list --------------------------------------------------------------------------------------


def test_legs_are_filtered_and_paged_like_the_other_lists(machine, batch):
    guid = leg("BTC").pk.hex

    def found(**query: str) -> list[str]:
        return [one["asset"] for one in machine.get(LEGS, **query)[1]["objects"]]

    assert found() == ["USD", "BTC"]
    assert found(guid=guid) == found(asset="BTC,EUR") == found(direction="incoming") == ["BTC"]
    assert found(batch_guid=batch.pk.hex, status="pending,failed") == ["USD", "BTC"]
    assert found(due="false") == found(batch_guid=UNKNOWN) == found(status="settled") == []
    page = machine.get(LEGS, per_page="1", page="1")[1]
    assert (page["total"], [one["asset"] for one in page["objects"]]) == (2, ["BTC"])
    own = machine.get(f"/api/settlement_batches/{batch.pk.hex}/legs", status="pending")[1]
    assert own["total"] == 2


@pytest.mark.parametrize("query", [{"due": "yes"}, {"status": "gone"}, {"batch_guid": "x"}, {"asset": "\x00"}])
def test_a_filter_of_legs_that_nobody_could_mean_is_400(machine, query):
    assert code(machine.get(LEGS, **query)) == (400, "invalid_parameter")


def test_legs_of_a_batch_that_was_reversed_as_a_whole_are_not_due_and_one_taken_back_alone_is(machine, alice):
    """Guard: `~Exists(reversed_whole)` in selectors.is_due; without it a machine would pay for a batch undone."""
    bought = a_settling_buy(alice, btc("0.1"))
    settle_everything()
    ann, ben = (Actor(User.objects.create_superuser(f"{name}@firm.example").pk) for name in ("ann", "ben"))
    now = timezone.now()

    alone = propose.propose_leg_reversal(leg("BTC").pk, reason="reported wrongly", by=ann, at=now)
    decide.apply(alone.pk, by=ben, at=now)
    assert due(machine) == ["BTC"]

    whole = propose.propose_batch_reversal(bought.__class__.objects.get().batch_id, reason="all wrong", by=ann, at=now)
    decide.apply(whole.pk, by=ben, at=now)
    assert leg("USD").status == "pending"
    assert due(machine) == []
    assert states(bought) == ["completed"]
