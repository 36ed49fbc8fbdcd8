"""Where money goes is agreed by two persons, and never edited; who tries alone, by any way, fails."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import KeyReused
from accounts.ids import uuid7
from tests.given import what_the_audit_finds
from tests.races.together import TIMEOUT_SECONDS, together, wait_until_waiting
from tests.roles import ONE_ROLE, application, refuses
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.settlement.instructions.counterparties import (
    BANK,
    OTHER_IBAN,
    a_counterparty,
    agreed,
    approves,
    proposes,
    the_firm_and_its_provider,
)
from trades.models import StandingInstruction
from trades.settlement.instructions import standing
from trades.settlement.instructions.errors import (
    CounterpartyExists,
    ProposerCantApprove,
    StandingInstructionDecided,
    StandingInstructionWaits,
)

__all__ = ["application"]
pytestmark = pytest.mark.django_db(transaction=True)


def ibans_in_force(**at: timedelta) -> list[str]:
    return [one.iban for one in standing.in_force(timezone.now() + timedelta(**at), ["USD"])]


def test_what_one_proposed_counts_once_another_approved_it() -> None:
    provider = a_counterparty()
    proposed = proposes(provider)
    assert ibans_in_force(days=1) == []

    approves(proposed)

    assert ibans_in_force() == [BANK["iban"]]
    assert standing.defaults(timezone.now(), ["USD"])["USD"].counterparty == provider
    assert what_the_audit_finds() == []


def test_a_new_one_replaces_the_old_from_its_time_on_and_the_old_one_stays_as_it_was() -> None:
    provider = a_counterparty()
    first = agreed(provider, "USD", BANK)
    tomorrow = timezone.now() + timedelta(days=1)

    second = agreed(provider, "USD", {**BANK, "iban": OTHER_IBAN, "bic": "PSSTFRPPXXX"}, not_before=tomorrow)

    assert second.in_force_from == tomorrow
    assert ibans_in_force() == [BANK["iban"]]
    assert ibans_in_force(days=1) == [OTHER_IBAN]
    first.refresh_from_db()
    assert (first.iban, first.state) == (BANK["iban"], "approved")


def test_nothing_comes_into_force_for_the_time_before_it_was_approved() -> None:
    now = timezone.now()

    one = agreed(a_counterparty(), "USD", BANK, not_before=now - timedelta(days=7))

    assert one.in_force_from == one.decided_at
    assert ibans_in_force(days=-1) == []


def test_the_asset_s_default_is_the_last_that_came_into_force_saying_so() -> None:
    first, second = a_counterparty(), a_counterparty()
    agreed(first, "USD", BANK)
    agreed(second, "USD", BANK, is_default=False)
    assert standing.defaults(timezone.now(), ["USD"])["USD"].counterparty == first

    agreed(second, "USD", BANK)
    assert standing.defaults(timezone.now(), ["USD"])["USD"].counterparty == second

    standing.switch_counterparty(second.pk, on=False)
    assert standing.defaults(timezone.now(), ["USD"])["USD"].counterparty == first


def test_the_firm_s_own_account_is_nobody_s_default() -> None:
    provider = the_firm_and_its_provider()

    assert {one.counterparty for one in standing.defaults(timezone.now(), ["USD", "BTC"]).values()} == {provider}
    assert standing.own_accounts(timezone.now(), ["USD"])["USD"].counterparty.is_own
    with pytest.raises(CounterpartyExists):
        a_counterparty("Another own", is_own=True)


# --- whoever tries alone ---------------------------------------------------------------------------


def test_who_proposed_it_can_t_approve_it() -> None:
    thief = a_member_of_staff("thief")
    proposed = proposes(a_counterparty(), given={**BANK, "iban": OTHER_IBAN}, by=thief.pk)

    with pytest.raises(ProposerCantApprove):
        standing.approve(proposed.pk, by=thief.pk, at=timezone.now())

    assert ibans_in_force(days=1) == []


@pytest.mark.parametrize(
    ("statement", "guard"),
    [
        (
            "UPDATE {t} SET state = 'approved', checked_by_id = made_by_id, decided_at = now(), in_force_from = now()",
            "standing_instruction_maker_is_not_checker",
        ),
        (
            "UPDATE {t} SET state = 'approved', decided_at = now(), in_force_from = now()",
            "standing_instruction_approved_by_a_checker",
        ),
        ("UPDATE {t} SET iban = 'FR1420041010050500013M02606'", "refused"),
        ("DELETE FROM {t}", "refused"),
        (
            "INSERT INTO {t} SELECT * FROM jsonb_populate_record(NULL::{t}, (SELECT to_jsonb(s) || jsonb_build_object("
            "'id', gen_random_uuid(), 'state', 'approved', 'checked_by_id', %(other)s, 'decided_at', now(),"
            "'in_force_from', now()) FROM {t} s))",
            "second person",
        ),
    ],
)
def test_nobody_alone_changes_where_money_goes_in_the_database_neither(statement: str, guard: str) -> None:
    """Guards: the CHECKs of maker and checker, `proposed_first`, `never_changed`, `never_deleted`."""
    proposes(a_counterparty())

    with pytest.raises(IntegrityError, match=guard), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(t="trades_standinginstruction"), {"other": str(a_member_of_staff().pk)})


def test_what_was_approved_is_not_touched_again_in_the_database_neither() -> None:
    """Guard: `decided_for_good`."""
    one = agreed(a_counterparty(), "USD", BANK)

    for change in ("in_force_from = now() + interval '1 day'", "state = 'refused', in_force_from = NULL"):
        with pytest.raises(IntegrityError, match="refused"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE trades_standinginstruction SET {change} WHERE id = %s", [one.pk])


@pytest.mark.skipif(ONE_ROLE, reason="this PostgreSQL was given with one role")
def test_the_application_s_role_may_name_no_column_of_a_destination(application) -> None:
    agreed(a_counterparty(), "USD", BANK)

    for column in ("iban", "bic", "address", "memo", "network", "asset_id", "counterparty_id", "is_default"):
        assert refuses(application, f"UPDATE trades_standinginstruction SET {column} = {column}"), column
    assert refuses(application, "DELETE FROM trades_standinginstruction")


def test_an_account_changed_around_the_guards_is_named_by_the_audit() -> None:
    one = agreed(a_counterparty(), "USD", BANK)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trades_standinginstruction DISABLE TRIGGER USER")
        cursor.execute("UPDATE trades_standinginstruction SET iban = %s", [OTHER_IBAN])
        cursor.execute("ALTER TABLE trades_standinginstruction ENABLE TRIGGER USER")

    from accounts import audit

    found = audit.run(timezone.now(), verify=True).findings

    assert [f["row"] for f in found if "trades_standinginstruction" in f["check"]] == [one.pk.hex]
    assert any("iban" in f["sentence"] for f in found)


# --- two at once -----------------------------------------------------------------------------------


def test_one_proposal_waits_at_a_time() -> None:
    provider = a_counterparty()
    proposes(provider)

    with pytest.raises(StandingInstructionWaits):
        proposes(provider)


def test_two_who_decide_at_once_are_one_decision() -> None:
    """Guard: the row's lock in `proposals.undecided`; without it both say that they decided."""
    proposed = proposes(a_counterparty())
    told: list[str] = []

    def decides(decide, who) -> None:
        try:
            told.append(decide(proposed.pk, by=who, at=timezone.now()).state)
        except StandingInstructionDecided:
            told.append("too late")
        finally:
            connection.close()

    threads = [
        threading.Thread(target=decides, args=(decide, a_member_of_staff().pk))
        for decide in (standing.approve, standing.refuse) * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told.count("too late") == 5
    assert StandingInstruction.objects.get().state in told


def test_a_dialog_answered_twice_is_one_proposal_and_answered_otherwise_is_refused() -> None:
    provider, by, once = a_counterparty(), a_member_of_staff().pk, uuid7()
    first = proposes(provider, by=by, once=once)

    assert proposes(provider, by=by, once=once) == first
    with pytest.raises(KeyReused):
        proposes(provider, given={**BANK, "iban": OTHER_IBAN}, by=by, once=once)


def test_a_dialog_that_is_sent_twice_at_once_is_one_proposal_and_both_are_told_of_it() -> None:
    """Guard: `standing.propose` looks at `_made_before` again once its row is refused. Without it the second one is
    told that a standing instruction waits: their own."""
    sends = partial(proposes, a_counterparty(), by=a_member_of_staff().pk, once=uuid7())
    is_written = threading.Event()

    def sent_first() -> StandingInstruction:
        with transaction.atomic():
            made = sends()
            is_written.set()
            wait_until_waiting()
        return made

    def sent_second() -> StandingInstruction:
        is_written.wait(TIMEOUT_SECONDS)
        return sends()

    told = together([sent_first, sent_second])

    assert told == [StandingInstruction.objects.get()] * 2
