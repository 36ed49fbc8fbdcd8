"""What a statement brings in above the limit of whoever imported it waits for a second person (decision 0078)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import ActorRequired
from accounts.identity import SYSTEM, Actor
from accounts.models import Asset, Customer, Funding, User
from tests.admin.actions import act, browser_of, said
from tests.commands import ended, told
from tests.given import a_customer, a_payment, balance, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, somebody
from tests.trades.payments.bank_files import (
    LIMIT,
    a_sent_payout,
    alice,
    books,
    by_file,
    credit,
    debit,
    imports,
    releases,
)
from tests.trades.recount.forging import found as findings
from tests.trades.recount.forging import told as told_by_the_audit
from tests.trades.recount.forging import unsealed_forged
from tests.trades.settlement.instructions.bank import Booked, statement
from trades.errors import MakerIsChecker
from trades.models import Correction, Payment, StatementEntry, StatementFile, StatementRelease
from trades.payments import manual, preview, release, statements
from trades.settlement.instructions import statements as entries
from trades.settlement.instructions.errors import NothingToRelease, StatementNotFound

__all__ = ["alice", "by_file"]
pytestmark = pytest.mark.django_db

ABOVE = LIMIT + 1
UNITS = "1000.01"


def stands(*payments: Payment) -> list[str]:
    rows = {one.pk: one for one in Payment.objects.filter(pk__in=[one.pk for one in payments])}
    return [rows[one.pk].state for one in payments]


def agrees(payment: Payment, by: Actor | None = None) -> Payment:
    return manual.agree(payment.pk, by=by or somebody(), at=timezone.now())


def kept_alone(content: bytes, by: Actor) -> None:
    """Killed before the payments are looked at."""
    entries.import_statement(content, name="x", by=by, at=timezone.now())


# --- one person's limit ----------------------------------------------------------------------------


def test_a_deposit_above_the_importers_limit_waits_for_a_second_person(alice: Customer) -> None:
    """Guards: `is_within_limit` in `manual.imported`, the look at the maker in `agree`. Else one person, with a file of
    their own making, books deposits of any amount."""
    payment, ann, ben = a_payment(alice, "deposit", ABOVE), somebody(), somebody()

    assert books(credit(payment, UNITS, "B1"), by=ann) == ["matched"]

    payment.refresh_from_db()
    assert (payment.state, payment.made_by_id, payment.reference) == ("settling", ann.user_id, "")
    assert balance(alice) == usd("5_000.00")
    with pytest.raises(MakerIsChecker):
        agrees(payment, ann)
    agrees(payment, ben)
    payment.refresh_from_db()
    assert (payment.state, payment.checked_by_id, payment.reference) == ("completed", ben.user_id, "B1")
    assert Funding.objects.get(reference="B1").made_from == "rail bank_file"
    assert balance(alice) == usd("5_000.00") + ABOVE
    assert what_the_audit_finds() == []


def test_within_the_limit_one_person_imports_alone(alice: Customer) -> None:
    payment, ann = a_payment(alice, "deposit", LIMIT), somebody()

    books(credit(payment, "1000.00"), by=ann)

    payment.refresh_from_db()
    assert (payment.state, payment.made_by_id, payment.needs_checker) == ("completed", ann.user_id, False)
    assert what_the_audit_finds() == []


def test_split_into_many_entries_and_files_it_comes_to_the_same(alice: Customer) -> None:
    """Guard: `made_by`, by which the sum in `is_within_limit` knows what this person has imported."""
    payments, ann = [a_payment(alice, "deposit", usd("400.00")) for _ in range(5)], somebody()

    books(*(credit(one, "400.00", f"B{number}") for number, one in enumerate(payments[:3])), by=ann)
    books(credit(payments[3], "400.00", "B3"), number="2", by=ann)
    books(credit(payments[4], "400.00", "B4"), number="3")

    assert stands(*payments) == ["completed", "completed", "settling", "settling", "completed"]
    books(Booked("from alice", "300.00", "B5", direction="CRDT"), number="4")
    entry = StatementEntry.objects.get(bank_reference="B5")
    statements.assign(entry.pk, alice.pk, note="x", by=ann, at=timezone.now())
    assert Payment.objects.latest("pk").state == "settling"
    assert what_the_audit_finds() == []


def test_what_a_payout_moves_is_the_banks_word_alone(alice: Customer) -> None:
    """It was approved, and held, before."""
    Asset.objects.filter(pk="USD").update(adjustment_limit=usd("2_000.00"))
    payment = a_sent_payout(alice, ABOVE)
    Asset.objects.filter(pk="USD").update(adjustment_limit=0)

    assert books(debit(payment, UNITS)) == ["matched"]
    assert stands(payment) == ["completed"]


@pytest.mark.parametrize("limit", [0, 10 * ABOVE])
def test_a_limit_that_is_changed_meanwhile_changes_nothing_of_what_waits(alice: Customer, limit: int) -> None:
    payment = a_payment(alice, "deposit", ABOVE)
    content = statement(credit(payment, UNITS))
    imports(content)

    Asset.objects.filter(pk="USD").update(adjustment_limit=limit)
    imports(content)

    assert stands(payment) == ["settling"]
    agrees(payment)
    assert stands(payment) == ["completed"]
    assert what_the_audit_finds() == []


def test_a_limit_lowered_later_makes_nothing_wrong_of_what_was_booked(alice: Customer) -> None:
    """Guard: the limit as it was then, in the recount."""
    books(credit(a_payment(alice, "deposit", LIMIT), "1000.00"))
    Asset.objects.filter(pk="USD").update(adjustment_limit=1)

    assert what_the_audit_finds() == []


def test_refused_by_the_second_person_the_entry_waits_again(alice: Customer) -> None:
    payment = a_payment(alice, "deposit", ABOVE)
    books(credit(payment, UNITS))

    manual.refuse(payment.pk, by=somebody(), at=timezone.now())

    entry = StatementEntry.objects.get()
    assert (entry.state, entry.reason, entry.payment) == ("listed", "assignment_refused", None)
    assert (stands(payment), balance(alice)) == (["failed"], usd("5_000.00"))
    assert what_the_audit_finds() == []


def test_who_goes_on_with_somebodys_import_is_not_made_its_first_person(alice: Customer) -> None:
    """Guard: `_importer`. Else whoever imports next stands behind the file of who then agrees to it."""
    payment, ann, ben = a_payment(alice, "deposit", ABOVE), somebody(), somebody()
    gone = a_payment(alice, "deposit", 100)
    books(credit(gone, "1.00", "IN"))
    back = debit(gone, "1.00", "BACK", reversal=True)
    kept_alone(statement(credit(payment, UNITS), back, number="2"), ann)

    found = imports(statement(Booked("a fee", "1.00", "FEE"), number="3"), by=ben)

    assert [(one.state, one.reason) for one in found.earlier] == [("matched", ""), ("matched", "a_reversal")]
    payment.refresh_from_db()
    assert (payment.state, payment.made_by_id) == ("settling", ann.user_id)
    assert Correction.objects.get().made_by_id == ann.user_id
    with pytest.raises(MakerIsChecker):
        agrees(payment, ann)
    agrees(payment, ben)
    assert what_the_audit_finds() == []


def test_what_nobody_imported_by_name_waits_for_somebody_who_does(alice: Customer) -> None:
    """Guards: the look at the importer in `_complete`; NEEDS_A_PERSON and RETURN_NEEDS_A_PERSON in DUE."""
    payment, gone, ann = a_payment(alice, "deposit", 100), a_payment(alice, "deposit", 200), somebody()
    books(credit(gone, "2.00", "IN"))
    told_of = (credit(payment, "1.00"), debit(gone, "2.00", "BACK", reversal=True))
    assert books(*told_of, number="2", by=SYSTEM) == ["payment_needs_a_person", "return_needs_a_person"]

    found = imports(statement(number="3"), by=ann)

    assert [one.state for one in found.earlier] == ["matched", "matched"]
    payment.refresh_from_db()
    assert (payment.state, payment.made_by_id) == ("completed", ann.user_id)
    assert Correction.objects.get().made_by_id == ann.user_id
    assert what_the_audit_finds() == []


# --- released --------------------------------------------------------------------------------------


def test_a_second_person_releases_the_whole_statement(alice: Customer) -> None:
    payments, ann, ben = [a_payment(alice, "deposit", ABOVE) for _ in range(3)], somebody(), somebody()
    books(*(credit(one, UNITS, f"B{number}") for number, one in enumerate(payments)), by=ann)

    done = releases(ben)

    assert (done.completed, done.waiting, stands(*payments)) == (3, [], ["completed"] * 3)
    assert set(Payment.objects.values_list("made_by", "checked_by")) == {(ann.user_id, ben.user_id)}
    assert (releases(ben).completed, releases().completed) == (0, 0)
    assert StatementRelease.objects.get().released_by_id == ben.user_id
    assert balance(alice) == usd("5_000.00") + 3 * ABOVE
    assert what_the_audit_finds() == []


def test_what_a_second_person_released_counts_no_more(alice: Customer) -> None:
    """Guard: `released` in `is_within_limit`. Else who imports millions a day does nothing else alone."""
    first, second, ann = a_payment(alice, "deposit", LIMIT), a_payment(alice, "deposit", LIMIT), somebody()
    books(credit(first, "1000.00", "B1"), by=ann)
    releases()

    books(credit(second, "1000.00", "B2"), number="2", by=ann)

    assert stands(second) == ["completed"]


def test_nobody_releases_what_they_imported(alice: Customer) -> None:
    """Guards: the look at the importer in `release`; the trigger `by_a_second_person`."""
    payment, ann = a_payment(alice, "deposit", ABOVE), somebody()
    books(credit(payment, UNITS), by=ann)
    file = StatementFile.objects.get()

    with pytest.raises(MakerIsChecker):
        releases(ann)
    with pytest.raises(ActorRequired):
        release.release(file.sha256, by=SYSTEM, at=timezone.now())
    with pytest.raises(StatementNotFound):
        release.release(hashlib.sha256(b"another").hexdigest(), by=somebody(), at=timezone.now())
    for user_id in (ann.user_id, None):
        with pytest.raises(IntegrityError, match="another person"), transaction.atomic():
            StatementRelease.objects.create(file=file, released_by_id=user_id, released_at=timezone.now())
    assert stands(payment) == ["settling"]


def test_what_nobody_imported_by_name_is_not_released(alice: Customer) -> None:
    books(credit(a_payment(alice, "deposit", ABOVE), UNITS), by=SYSTEM)

    with pytest.raises(NothingToRelease):
        releases()


def test_released_before_it_was_compared_it_is_booked_by_the_two(alice: Customer) -> None:
    """Guard: `release.go_on` in `statements.go_on`."""
    payment, ann, ben = a_payment(alice, "deposit", ABOVE), somebody(), somebody()
    content = statement(credit(payment, UNITS))
    kept_alone(content, ann)
    assert releases(ben).completed == 0

    imports(content, by=ann)

    payment.refresh_from_db()
    assert (payment.state, payment.made_by_id, payment.checked_by_id) == ("completed", ann.user_id, ben.user_id)
    assert what_the_audit_finds() == []


def test_killed_after_the_release_the_next_import_goes_on(alice: Customer) -> None:
    """Guard: `release.go_on` in `statements.go_on`."""
    payment, ben = a_payment(alice, "deposit", ABOVE), somebody()
    books(credit(payment, UNITS))
    file = StatementFile.objects.get()
    StatementRelease.objects.create(file=file, released_by_id=ben.user_id, released_at=timezone.now())  # and no further

    books(number="2")

    payment.refresh_from_db()
    assert (payment.state, payment.checked_by_id) == ("completed", ben.user_id)


def test_a_customer_frozen_meanwhile_is_agreed_to_alone(alice: Customer) -> None:
    """Guard: the look at the customer in `release._complete`: who releases a file hasn't seen whose money it is."""
    payment = a_payment(alice, "deposit", ABOVE)
    books(credit(payment, UNITS))
    Customer.objects.filter(pk=alice.pk).update(state="frozen")

    done = releases()

    assert (done.completed, done.waiting, stands(payment)) == (0, [payment], ["settling"])
    agrees(payment)
    assert stands(payment) == ["completed"]


def test_who_was_left_by_the_release_is_completed_by_no_later_import(alice: Customer) -> None:
    """Guards: `is_left_by_release` in `release._complete`, the trigger `left_for_good`. Else it is booked in the name
    of who never agreed to that one, once its customer is verified again."""
    payment = a_payment(alice, "deposit", ABOVE)
    books(credit(payment, UNITS))
    Customer.objects.filter(pk=alice.pk).update(state="frozen")
    releases()
    Customer.objects.filter(pk=alice.pk).update(state="verified")

    books(number="2")

    assert stands(payment) == ["settling"]
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(is_left_by_release=False)
    agrees(payment)
    assert (stands(payment), what_the_audit_finds()) == (["completed"], [])


def test_who_may_not_log_in_any_more_completes_nothing(alice: Customer) -> None:
    """Guard: `is_active` in `release.go_on`."""
    payment, ben = a_payment(alice, "deposit", ABOVE), somebody()
    content = statement(credit(payment, UNITS))
    kept_alone(content, somebody())
    releases(ben)
    User.objects.filter(pk=ben.user_id).update(is_active=False)

    imports(content)

    assert stands(payment) == ["settling"]


def test_what_a_person_assigned_is_not_released_with_the_file(alice: Customer) -> None:
    """Guard: `decided_by` in `release._entries`: whose money it is nobody says by a hash."""
    payment = a_payment(alice, "deposit", ABOVE)
    books(Booked("from alice", UNITS, "B1", direction="CRDT"))
    entry = StatementEntry.objects.get()
    statements.assign(entry.pk, payment.remittance_reference, note="x", by=somebody(), at=timezone.now())

    assert (releases().completed, stands(payment)) == (0, ["settling"])


def test_a_preview_says_what_would_wait_and_what_is_told_twice(alice: Customer) -> None:
    """Guard: `_beside_the_others`."""
    payments, ann = [a_payment(alice, "deposit", usd("400.00")) for _ in range(3)], somebody()
    told_of = [credit(one, "400.00", f"B{number}") for number, one in enumerate(payments)]
    content = statement(*told_of, credit(payments[0], "400.00", "AGAIN"))

    would_be = preview.preview_statement(content, name="x", by=ann, at=timezone.now()).entries
    assert not StatementEntry.objects.exists()
    does = imports(content, by=ann).entries

    for found in (would_be, does):
        assert [one.reason or one.payment.state for one in found] == [
            *("completed", "completed", "settling", "payment_has_ended")
        ]


# --- through SQL -----------------------------------------------------------------------------------


def completes(payment: Payment, **columns: Any) -> None:
    row = Payment.objects.filter(pk=payment.pk)
    row.update(state="settling", reference="B1", **columns)
    row.update(state="completed")


def matched_by(payment: Payment, ann: Actor, units: str) -> None:
    """An entry of Ann's file is this payment's, and nothing else was done."""
    kept_alone(statement(credit(payment, units)), ann)
    StatementEntry.objects.update(state="matched", reason="", payment=payment)


def test_nobody_completes_more_than_the_limit_alone_through_sql(alice: Customer) -> None:
    """Guard: the trigger `alone_within_limit`."""
    payment, ann = a_payment(alice, "deposit", ABOVE), somebody()
    matched_by(payment, ann, UNITS)

    with pytest.raises(IntegrityError, match="second person"), transaction.atomic():
        completes(payment, made_by_id=ann.user_id)


@pytest.mark.parametrize("whose", ["nobody's", "another's"])
def test_a_deposit_has_its_importer_behind_it_through_sql(alice: Customer, whose: str) -> None:
    """Guard: the trigger `by_an_entry`."""
    payment, ann = a_payment(alice, "deposit", 100), somebody()
    matched_by(payment, ann, "1.00")

    with pytest.raises(IntegrityError, match="by an entry"), transaction.atomic():
        completes(payment, made_by_id=None if whose == "nobody's" else somebody().user_id)
    completes(payment, made_by_id=ann.user_id)


def test_the_audit_finds_a_deposit_that_one_person_stands_behind(alice: Customer) -> None:
    """Guards: each case of `_BEHIND`."""
    alone, others, nobodys, early = (a_payment(alice, "deposit", ABOVE) for _ in range(4))
    books(*(credit(one, UNITS, f"B{number}") for number, one in enumerate((alone, others, nobodys))))
    releases()
    books(credit(early, UNITS, "EARLY"), number="2")
    releases()
    assert findings() == set()

    change = "UPDATE trades_payment SET {} WHERE id = %s"
    unsealed_forged(change.format("needs_checker = false, checked_by_id = NULL"), alone.pk)
    unsealed_forged(change.format("made_by_id = %s"), somebody().user_id, others.pk)
    unsealed_forged(change.format("made_by_id = NULL"), nobodys.pk)
    unsealed_forged(change.format("made_by_id = NULL, needs_checker = false, checked_by_id = NULL"), early.pk)
    assert [told_by_the_audit("deposits by file", one.pk) for one in (alone, others, nobodys, early)] == [
        ["one person alone, above the limit"],
        ["somebody who neither imported nor assigned it"],
        ["nobody"],
        ["nobody"],
    ]

    unsealed_forged(  # as the migration leaves what was imported before it
        "UPDATE trades_statementrelease SET released_by_id = NULL WHERE file_id ="
        " (SELECT file_id FROM trades_statemententry WHERE payment_id = %s)",
        early.pk,
    )
    assert ("deposits by file", early.pk.hex) not in findings()


# --- by commands and in the admin ------------------------------------------------------------------


def test_by_commands(alice: Customer, tmp_path) -> None:
    ann, ben = (a_member_of_staff(name).email for name in ("ann", "ben"))
    payment, frozen = a_payment(alice, "deposit", ABOVE), a_customer("bob")
    bobs = a_payment(frozen, "deposit", ABOVE)
    content = statement(credit(payment, UNITS, "B1"), credit(bobs, UNITS, "B2"))
    (tmp_path / "statement.xml").write_bytes(content)
    path, sha256 = str(tmp_path / "statement.xml"), hashlib.sha256(content).hexdigest()

    for dry in (["--dry-run"], []):
        code, facts, sentence = ended("payments", "import", path, *dry, "--by", ann)
        assert (code, facts["sha256"], [one["waits_for_a_person"] for one in facts["entries"]]) == (
            *(4, sha256, [True, True]),
        )
        assert sentence.startswith("2 deposits wait for a second person")
    assert ended("payments", "release", sha256, "--by", ann)[0] == 4
    assert ended("payments", "release", "0" * 64, "--by", ben)[0] == 3
    Customer.objects.filter(pk=frozen.pk).update(state="frozen")
    code, facts, sentence = ended("payments", "release", sha256, "--by", ben)
    assert (code, facts["completed"], facts["waiting"][0]["guid"]) == (4, 1, bobs.pk.hex)
    assert told("payments", "agree", bobs.remittance_reference, "--by", ben)["state"] == "completed"
    assert told("payments", "release", sha256.upper(), "--by", ben)["waiting"] == []
    assert what_the_audit_finds() == []


def test_by_the_admin(alice: Customer) -> None:
    ann = a_member_of_staff()
    maker, checker = browser_of(ann), browser_of(a_member_of_staff("checker"))
    payment = a_payment(alice, "deposit", ABOVE)
    books(credit(payment, UNITS), by=Actor(user_id=ann.pk))
    file = StatementFile.objects.get()

    page = checker.get(f"/admin/trades/statementfile/{file.pk}/change/").content.decode()
    assert file.sha256 in page
    assert UNITS.replace("1000", "1,000") in page or UNITS in page
    assert said(act(maker, "trades_statementfile_release", file.pk, sha256=file.sha256)) == [
        "Whoever imported a statement can't release it: a second person does."
    ]
    assert said(act(checker, "trades_statementfile_release", file.pk, sha256="0" * 64)) == [
        "The file that you have is another one than was imported: compare them, and release nothing."
    ]
    assert stands(payment) == ["settling"]
    assert said(act(checker, "trades_statementfile_release", file.pk, sha256=file.sha256)) == [
        "It is released: 1 deposits completed."
    ]
    assert checker.get("/admin/trades/statementfile/").status_code == 200
    assert b"checker" in checker.get(f"/admin/trades/statementfile/{file.pk}/change/").content
    assert what_the_audit_finds() == []
