"""One's own request approved by oneself: refused by the service, and by the tables to whoever goes around it.

Each refusal of a table is caused by SQL alone and names the constraint or trigger that made it.
"""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.identity import Actor
from accounts.models import ApiClient, Asset
from tests.given import a_customer, a_settling_buy, balance, btc, btc_at, usd
from tests.trades.corrections.staff import a_completed_batch, a_member_of_staff, applies, somebody, why
from trades.corrections.decide import apply
from trades.corrections.propose import propose_adjustment, propose_trade_reversal
from trades.errors import MakerIsChecker
from trades.models import Correction, TradeEvent

pytestmark = pytest.mark.django_db

NOW = timezone.now()
APPLIED = "UPDATE trades_correction SET state = 'applied', decided_at = now(), {set} WHERE id = %(id)s"


@pytest.fixture
def proposed() -> Correction:
    alice = a_customer(with_usd="10.00")
    return propose_adjustment(alice.pk, "USD", usd("5_000.00"), "credit", **why())


def refused_by(sql: str, **given: object) -> str:
    """Which constraint, or which trigger's sentence, refuses this statement."""
    with pytest.raises(IntegrityError) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, given)
    return str(refused.value)


@pytest.mark.faults
def test_a_maker_can_not_check_through_the_service(proposed):
    with pytest.raises(MakerIsChecker):
        apply(proposed.pk, by=Actor(user_id=proposed.made_by_id), at=NOW)

    proposed.refresh_from_db()
    assert proposed.state == "proposed"


@pytest.mark.faults
def test_a_maker_can_not_check_through_a_program_of_theirs(proposed):
    with pytest.raises(MakerIsChecker):
        apply(proposed.pk, by=Actor(user_id=proposed.made_by_id, client_id=uuid.uuid4()), at=NOW)


@pytest.mark.faults
def test_a_maker_can_not_check_through_sql(proposed):
    own = APPLIED.format(set="checked_by_id = made_by_id")

    assert "correction_maker_is_not_checker" in refused_by(own, id=proposed.pk)


@pytest.mark.faults
def test_a_program_that_made_it_can_not_check_through_sql():
    client = ApiClient.objects.create(name="partner", client_id="partner", secret_sha256="0" * 64, scopes=[])
    alice = a_customer()
    made = propose_adjustment(alice.pk, "BTC", btc("1"), "credit", **why(by=Actor(client_id=client.pk)))
    own = APPLIED.format(set="checked_by_client_id = made_by_client_id")

    assert "correction_maker_client_is_not_checker" in refused_by(own, id=made.pk)


@pytest.mark.faults
def test_nobody_is_no_second_person(proposed):
    assert "correction_applied_by_a_checker" in refused_by(APPLIED.format(set="reason = reason"), id=proposed.pk)


@pytest.mark.parametrize(
    "change",
    [
        "needs_checker = false",
        "made_by_id = NULL",
        "amount = amount - 1",
        "direction = 'debit'",
        "customer_id = NULL",
        "reason = 'another one'",
        "reference = 'another one'",
        "made_at = now()",
    ],
)
def test_the_terms_of_a_proposal_never_change(proposed, change):
    text = refused_by(f"UPDATE trades_correction SET {change} WHERE id = %(id)s", id=proposed.pk)

    assert "never changed" in text


def test_the_maker_of_a_proposal_never_changes(proposed):
    someone = a_member_of_staff()
    sql = "UPDATE trades_correction SET made_by_id = %(who)s WHERE id = %(id)s"

    assert "never changed" in refused_by(sql, id=proposed.pk, who=someone.pk)


def test_a_decision_is_final(proposed):
    applies(proposed)

    for change in ("state = 'rejected'", "state = 'proposed', decided_at = NULL", "movements_count = 7"):
        text = refused_by(f"UPDATE trades_correction SET {change} WHERE id = %(id)s", id=proposed.pk)
        assert "never changed" in text or "may not move" in text


def test_a_correction_is_never_removed(proposed):
    assert "never changed or removed" in refused_by("DELETE FROM trades_correction WHERE id = %(id)s", id=proposed.pk)


def test_a_correction_does_not_begin_as_anything_but_a_proposal(proposed):
    checker = a_member_of_staff("checker")

    def inserted(**change):
        row = Correction.objects.filter(pk=proposed.pk).values().get() | {"id": uuid.uuid4()} | change
        with pytest.raises(IntegrityError) as refused, transaction.atomic():
            Correction.objects.create(**row)
        return str(refused.value)

    assert "begins as a proposal" in inserted(state="applied", decided_at=NOW, checked_by_id=checker.pk)
    assert "begins as a proposal" in inserted(checked_by_id=checker.pk)
    assert "needs a second person" in inserted(needs_checker=False)
    assert "needs a second person" in inserted(needs_checker=False, kind="reverse_trade", subject=uuid.uuid4())
    assert "correction_has_a_maker" in inserted(made_by_id=None)
    assert "correction_has_a_reason" in inserted(reason="")
    assert "correction_names_its_subject" in inserted(kind="reverse_batch")
    assert "adjustment_says_whose_and_how_much" in inserted(customer_id=None)


def test_a_limit_that_is_lowered_later_does_not_undo_what_was_within_it(proposed):
    Asset.objects.filter(pk="USD").update(adjustment_limit=usd("9_000.00"))
    alone = propose_adjustment(proposed.customer_id, "USD", usd("9_000.00"), "credit", **why())
    Asset.objects.filter(pk="USD").update(adjustment_limit=0)

    alone.refresh_from_db()
    assert alone.state == "applied"
    assert "never changed" in refused_by("UPDATE trades_correction SET needs_checker = true")


def test_a_trade_has_one_event_of_its_reversal():
    """Guard: unique (trade, became). Here the service's own look is gone around."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("40_000.00")
    bought = a_settling_buy(alice, btc("0.1"))
    a_completed_batch()
    applies(propose_trade_reversal(bought.pk, **why()))

    with pytest.raises(IntegrityError, match="one_event_per_step"), transaction.atomic():
        TradeEvent.objects.create(trade=bought, customer=alice, became="reversed", detail="x", at=NOW)


def test_one_open_proposal_per_subject():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    a_completed_batch()
    row = Correction.objects.filter(pk=propose_trade_reversal(bought.pk, **why()).pk).values().get()

    with pytest.raises(IntegrityError, match="one_open_proposal_per_subject"), transaction.atomic():
        Correction.objects.create(**row | {"id": uuid.uuid4(), "made_by_id": somebody().user_id})
    assert balance(alice, asset="BTC") == btc("0.1")
