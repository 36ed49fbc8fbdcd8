"""A bank's statements complete payments or take them back; what doesn't fit waits for persons, and moves nothing."""

from __future__ import annotations

import hashlib
import random
from importlib import import_module
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from stdnum import iso11649

from accounts import services
from accounts.errors import ActorRequired, CustomerNotFound, KeyReused, Malformed
from accounts.identity import SYSTEM, Actor
from accounts.models import Asset, Customer, Funding, Transfer
from tests.admin.actions import act, browser_of, said
from tests.commands import ended, told
from tests.given import a_customer, a_funding_quote, a_payment, balance, usd, uses, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, applies, somebody
from tests.trades.payments.bank_files import (
    LIMIT,
    a_payout,
    a_sent_payout,
    account_of,
    alice,
    approves,
    books,
    by_file,
    credit,
    debit,
    imports,
    releases,
)
from tests.trades.recount.forging import unsealed_forged
from tests.trades.settlement.instructions.bank import Booked, csv_line, csv_statement, statement
from tests.trades.settlement.instructions.counterparties import IBAN, OTHER_IBAN, OWN_BANK, OWN_IBAN, agreed
from trades.bank.references import new_reference, new_remittance_reference, references_in
from trades.corrections import decide
from trades.corrections.propose import propose_payment_return
from trades.errors import MakerIsChecker, PaymentNotFound
from trades.models import Correction, Counterparty, LegReference, Payment, StatementEntry
from trades.payments import manual, preview, statements
from trades.payments.matching import CONTRADICTING, REASONS
from trades.settlement.instructions import statements as entries
from trades.settlement.instructions.errors import EntryDecided, EntryDoesNotFit

__all__ = ["alice", "by_file"]
pytestmark = pytest.mark.django_db


def listed() -> StatementEntry:
    return StatementEntry.objects.get(state="listed")


def assigns(entry: StatementEntry, to: Any, by: Actor | None = None) -> StatementEntry:
    return statements.assign(entry.pk, to, note="they wrote so", by=by or somebody(), at=timezone.now())


def forges(entry: StatementEntry, payment: Payment) -> None:
    """Through SQL: this entry completes this payment."""
    StatementEntry.objects.filter(pk=entry.pk).update(state="matched", reason="", payment=payment)
    Payment.objects.filter(pk=payment.pk).update(state="settling", reference="B1")
    Payment.objects.filter(pk=payment.pk).update(state="completed")


def state_of(payment: Payment) -> str:
    return str(Payment.objects.get(pk=payment.pk).state)


# --- references ------------------------------------------------------------------------------------


def test_a_reference_is_an_iso_11649_one_and_is_found_wherever_it_stands() -> None:
    one, other = new_remittance_reference(), new_reference()

    assert iso11649.is_valid(one)
    assert len(one) == 16
    for text in (one, one.lower(), iso11649.format(one), f"invoice{one}x", f"RF RF18 {one}"):
        assert references_in(text) == [one], text
    assert references_in(f"{other} and {one}, {one}") == [other, one]
    wrong = one[:-1] + ("2" if one[-1] != "2" else "3")
    assert references_in(wrong) == []
    assert references_in(one[:-2] + one[-1] + one[-2]) == ([one] if one[-1] == one[-2] else [])


# --- deposits --------------------------------------------------------------------------------------


def test_a_credit_that_names_a_deposit_completes_it_under_the_banks_reference(alice: Customer) -> None:
    payment, ann = a_payment(alice, "deposit", usd("750.00")), somebody()

    assert books(credit(payment, "750.00"), by=ann) == ["matched"]

    payment.refresh_from_db()
    assert (payment.state, payment.reference, balance(alice)) == ("completed", "BANK-1", usd("5_750.00"))
    kept, entry = Funding.objects.get(reference="BANK-1"), StatementEntry.objects.get()
    assert (kept.transfer.subject, kept.made_from, entry.payment) == (payment.pk, "rail bank_file", payment)
    assert what_the_audit_finds() == []


def test_what_no_worker_has_seen_completes_as_well(alice: Customer) -> None:
    payment = uses(a_funding_quote(alice, "deposit", 100))
    assert payment.state == "storing"

    assert books(credit(payment, "1.00")) == ["matched"]


def test_the_same_entry_in_any_file_is_booked_once(alice: Customer) -> None:
    """Guard: the entry's key, and `due` of matching.py, which passes over what is decided."""
    payment = a_payment(alice, "deposit", usd("750.00"))
    content = statement(credit(payment, "750.00"))

    assert len(imports(content).entries) == 1
    again, other = imports(content), imports(statement(credit(payment, "750.00"), number="2"))

    assert (again.is_known, len(again.entries), len(other.entries), other.known) == (True, 0, 0, 1)
    assert books(credit(payment, "750.00", "BANK-2"), number="3") == ["payment_has_ended"]
    assert balance(alice) == usd("5_750.00")


def test_a_preview_changes_nothing(alice: Customer) -> None:
    payment, before = a_payment(alice, "deposit", 100), Transfer.objects.count()

    found = preview.preview_statement(statement(credit(payment, "1.00")), name="x", by=somebody(), at=timezone.now())

    assert [one.state for one in found.entries] == ["matched"]
    assert (Transfer.objects.count(), StatementEntry.objects.count(), state_of(payment)) == (before, 0, "pending")


def test_killed_between_the_entries_and_the_payments_the_next_import_goes_on(alice: Customer) -> None:
    """Guard: `go_on`, which looks at what waits and not at the file. An import that is known goes on, too."""
    payment = a_payment(alice, "deposit", 100)
    content = statement(credit(payment, "1.00"))
    entries.import_statement(content, name="x", by=somebody(), at=timezone.now())  # and no further
    assert (listed().reason, state_of(payment)) == ("payment_waits", "pending")

    imports(content)

    assert state_of(payment) == "completed"


def test_an_import_tells_what_it_goes_on_with_and_ends_as_with_its_own(alice: Customer, tmp_path) -> None:
    """Guard: `earlier`, in the findings as well. Of the same file again nothing is its own."""
    ann = a_member_of_staff().email
    wrong = a_payment(alice, "deposit", 100)
    content = statement(credit(wrong, "2.00", "B1"))
    entries.import_statement(content, name="x", by=somebody(), at=timezone.now())  # and no further
    (tmp_path / "again.xml").write_bytes(content)

    code, facts, sentence = ended("payments", "import", str(tmp_path / "again.xml"), "--by", ann)

    assert (code, facts["known"], facts["entries"]) == (1, 1, [])
    assert [one["reason"] for one in facts["earlier"]] == ["payment_other_amount"]
    assert sentence == "1 contradict what they name, the first: B1, it is another amount than the payment's."
    assert ended("payments", "import", str(tmp_path / "again.xml"), "--by", ann)[0] == 0


def test_what_is_booked_later_is_another_entry_than_while_it_was_not(alice: Customer) -> None:
    """Guard: `is_booked` in `Entry.key`. Else the entry is known already, or has another's reference, for ever."""
    payment = a_payment(alice, "deposit", 100)
    assert books(credit(payment, "1.00", status="PDNG")) == ["not_booked"]
    assert books(credit(payment, "1.00", status="PDNG"), number="2") == []

    assert books(credit(payment, "1.00"), number="3") == ["matched"]

    assert state_of(payment) == "completed"
    assert listed().reason == "not_booked"
    with pytest.raises(EntryDoesNotFit):
        assigns(listed(), alice.pk)


def test_what_was_not_booked_before_got_the_key_that_it_has_now(alice: Customer) -> None:
    """Guard: the migration 0102 reckons as `Entry.key` does."""
    books(credit(a_payment(alice, "deposit", 100), "1.00", status="PDNG"))
    now, before = listed().key, hashlib.sha256("\x1f".join((OWN_IBAN, "BANK-1")).encode()).hexdigest()
    unsealed_forged("UPDATE trades_statemententry SET key = %s", before)

    with connection.cursor() as cursor:
        cursor.execute(import_module("trades.migrations.0102_entries_not_booked").OTHER_KEYS)

    assert (listed().key, now != before) == (now, True)


@pytest.mark.parametrize("reference", ["B1", ""])
def test_reversals_of_before_got_the_digests_that_they_have_now(alice: Customer, reference: str) -> None:
    """Guard: the migration 0111 reckons as `Entry.facts` and `Entry.key` do."""
    payment = a_payment(alice, "deposit", 100)
    books(credit(payment, "1.00", reference, reversal=True))
    now = (listed().key, listed().facts)
    texts = (OWN_IBAN, "USD", "1.00", "incoming", reference, payment.remittance_reference, "", "2026-03-04")
    facts = hashlib.sha256("\x1f".join(texts).encode()).hexdigest()
    key = hashlib.sha256("\x1f".join((OWN_IBAN, reference or facts)).encode()).hexdigest()
    unsealed_forged("UPDATE trades_statemententry SET key = %s, facts = %s", key, facts)

    with connection.cursor() as cursor:
        cursor.execute(import_module("trades.migrations.0111_who_was_passed_over").DIGESTS)

    assert facts != now[1]
    assert (listed().key, listed().facts) == now


def test_what_is_not_booked_yet_is_nothing_by_hand_whatever_else_is_wrong(alice: Customer) -> None:
    """Guard: `not_booked` before all else in `camt053._entry`. Else it is assigned, and once it is booked again."""
    payment = a_payment(alice, "deposit", 100)
    content = statement(credit(payment, "1.00", status="PDNG"))
    several = content.replace(b"<NtryDtls>", b"<NtryDtls><Btch><NbOfTxs>2</NbOfTxs></Btch>")

    assert [one.reason for one in imports(several).entries] == ["not_booked"]


def test_an_account_that_became_the_firms_since_books_what_came_to_it(alice: Customer) -> None:
    """Guard: `reconsider` in `go_on`. Else what came in before the account was agreed on waits for ever."""
    payment = a_payment(alice, "deposit", 100)
    named, unnamed = credit(payment, "1.00", "B1"), Booked("from alice", "3.00", "B2", direction="CRDT")
    early = statement(named, unnamed).replace(OWN_IBAN.encode(), OTHER_IBAN.encode())
    assert [one.reason for one in imports(early).entries] == ["not_our_account"] * 2
    books(number="2")
    assert state_of(payment) == "pending"
    agreed(Counterparty.objects.get(), "USD", {**OWN_BANK, "iban": OTHER_IBAN}, is_default=False)

    found = imports(statement(number="3"))

    assert [one.reason or one.state for one in found.earlier] == ["matched", "nothing_named"]
    assigns(listed(), alice.pk)
    assert (state_of(payment), balance(alice)) == ("completed", usd("5_004.00"))
    assert what_the_audit_finds() == []


def test_a_csv_statement_does_the_same(alice: Customer) -> None:
    came, out = a_payment(alice, "deposit", 100), a_sent_payout(alice, 200)
    first = csv_line(OWN_IBAN, "USD", "1.00", "incoming", "B1", f"invoice {came.remittance_reference}")
    second = csv_line(OWN_IBAN, "USD", "2.00", "outgoing", "B2", out.remittance_reference)

    assert [one.state for one in imports(csv_statement(first, second)).entries] == ["matched", "matched"]

    assert [state_of(one) for one in (came, out)] == ["completed", "completed"]
    back = (
        b"account,asset,amount,direction,bank_reference,reference,is_return\r\n"
        + f"{OWN_IBAN},USD,2.00,incoming,B3,{out.remittance_reference},yes\r\n".encode()
    )
    assert [one.state for one in imports(back).entries] == ["matched"]
    with pytest.raises(Malformed, match="is_return"):
        imports(back.replace(b"yes", b"perhaps"))
    assert what_the_audit_finds() == []


# --- what doesn't fit ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"amount": "749.99"}, "payment_other_amount"),
        ({"amount": "750.01"}, "payment_other_amount"),
        ({"amount": "-750.00"}, "bad_amount"),
        ({"amount": "NaN"}, "bad_amount"),
        ({"currency": "XXX"}, "unknown_asset"),
        ({"currency": "EUR"}, "not_our_account"),
        ({"direction": "DBIT"}, "payment_other_direction"),
        ({"name": "RF00 0000 0000 0000"}, "nothing_named"),
        ({"name": "thanks"}, "nothing_named"),
        ({"status": "PDNG"}, "not_booked"),
        ({"reference": ""}, "no_bank_reference"),
        ({"reference": "Überweisung"}, "payment_refused"),
        ({"reversal": True}, "return_other_direction"),
        ({"other": IBAN}, "payment_other_account"),
    ],
)
def test_a_credit_that_does_not_fit_moves_nothing(alice: Customer, changed: dict[str, Any], why: str) -> None:
    """Guards: each rule of `matching.misfit`, `misfit_of_a_return` and `problem_of`."""
    payment = a_payment(alice, "deposit", usd("750.00"), bank_account_id=account_of(alice).pk)

    got = books(credit(payment, **{"amount": "750.00", **changed}))

    assert (got, balance(alice), state_of(payment)) == ([why], usd("5_000.00"), "pending")
    assert REASONS[why]
    assert what_the_audit_finds() == []


def test_a_reference_that_nobody_has_is_listed(alice: Customer) -> None:
    told_of = Booked(new_remittance_reference(), "1.00", "B1", direction="CRDT")

    assert books(told_of) == ["unknown_payment"]


def test_an_entry_that_names_two_is_nobodys(alice: Customer) -> None:
    first, second = (a_payment(alice, "deposit", 100) for _ in range(2))

    assert books(credit(first, "1.00", name=f"{first.remittance_reference} {second.remittance_reference}")) == [
        "several_named"
    ]


@pytest.mark.parametrize("state", ["frozen", "unverified", "rejected"])
def test_money_for_who_is_not_verified_waits_for_a_person(alice: Customer, state: str) -> None:
    """Guard: the look at the customer in `misfit`; by hand it takes two, by `takes_two` in `manual.said` for those who
    aren't even frozen."""
    payment = a_payment(alice, "deposit", 100)
    Customer.objects.filter(pk=alice.pk).update(state=state)

    assert books(credit(payment, "1.00")) == ["customer_not_verified"]

    assigns(listed(), payment.remittance_reference)
    assert state_of(payment) == ("completed" if state == "frozen" else "settling")


def test_a_reference_that_settled_a_leg_or_moved_other_money_completes_nothing(alice: Customer) -> None:
    """Guards: the look at `LegReference` in `_unclaimed`, that at `Funding` in `manual._settling`."""
    services.deposit(a_customer("bob"), "USD", 100, "TAKEN", timezone.now(), "test")
    LegReference.objects.create(key="LEG1", leg_id=alice.pk)
    came, out = a_payment(alice, "deposit", 100), a_sent_payout(alice, 200)

    got = books(credit(came, "1.00", "TAKEN"), debit(out, "2.00", "LEG 1"))

    assert got == ["payment_refused", "payment_refused"]
    assert (state_of(came), state_of(out)) == ("pending", "settling")


def test_a_reference_that_settled_several_legs_completes_nothing(alice: Customer) -> None:
    """Guard: the number behind it in `_unclaimed`, as `report_legs` gives each leg one."""
    LegReference.objects.create(key="SPLIT/1", leg_id=alice.pk)

    assert books(credit(a_payment(alice, "deposit", 100), "1.00", "Split")) == ["payment_refused"]


@pytest.mark.parametrize(
    ("prepare", "why"), [("asked", "payment_never_sent"), ("approved", "payment_never_sent"), ("sent", "matched")]
)
def test_a_debit_completes_what_was_sent_alone(alice: Customer, prepare: str, why: str) -> None:
    """Guard: `_not_now` of matching.py."""
    payment = a_sent_payout(alice, 100) if prepare == "sent" else a_payout(alice, 100)
    if prepare == "approved":
        approves(payment)

    assert books(debit(payment, "1.00")) == [why]
    assert why == "matched" or why in CONTRADICTING


@pytest.mark.parametrize(("amount", "other"), [("0.99", ""), ("1.01", ""), ("1.00", "987654321")])
def test_a_debit_that_contradicts_its_payout_is_listed(alice: Customer, amount: str, other: str) -> None:
    payment = a_sent_payout(alice, 100)

    assert books(debit(payment, amount, other=other))[0] in CONTRADICTING
    assert state_of(payment) == "settling"


# --- by hand ---------------------------------------------------------------------------------------


def test_a_person_says_which_deposit_it_is(alice: Customer) -> None:
    payment, ann = a_payment(alice, "deposit", usd("750.00")), somebody()
    books(Booked("from alice", "750.00", "B1", direction="CRDT"))

    one = assigns(listed(), payment.remittance_reference.lower(), ann)

    payment.refresh_from_db()
    assert (one.state, one.payment, one.note) == ("matched", payment, "they wrote so")
    assert (payment.state, payment.made_by_id, payment.reference) == ("completed", ann.user_id, "B1")
    with pytest.raises(EntryDecided):
        assigns(one, payment.remittance_reference)
    assert what_the_audit_finds() == []


def test_what_says_no_direction_is_nobodys_by_hand(alice: Customer) -> None:
    """Guard: `no_direction` in `misfit_by_hand`; the trigger `by_an_entry` refuses it as a fault of the server's."""
    payment = a_payment(alice, "deposit", 100)
    books(Booked("x", "1.00", "B1", direction=""))

    for to in (payment.remittance_reference, alice.pk):
        with pytest.raises(EntryDoesNotFit):
            assigns(listed(), to)
    assert state_of(payment) == "pending"


def test_above_the_limit_a_second_person_agrees_to_it(alice: Customer) -> None:
    """Guards: `is_within_limit` in `manual.said`, and `payment_by_file_is_completed_by_its_checker`."""
    payment, ann = a_payment(alice, "deposit", LIMIT + 1), somebody()
    books(Booked("from alice", "1000.01", "B1", direction="CRDT"))

    assigns(listed(), payment.remittance_reference, ann)

    assert (state_of(payment), balance(alice)) == ("settling", usd("5_000.00"))
    with pytest.raises(MakerIsChecker):
        manual.agree(payment.pk, by=ann, at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(state="completed")
    manual.agree(payment.pk, by=somebody(), at=timezone.now())
    assert (state_of(payment), balance(alice)) == ("completed", usd("5_000.00") + LIMIT + 1)
    assert what_the_audit_finds() == []


def test_refused_by_the_second_person_the_entry_waits_again(alice: Customer) -> None:
    """Guards: `_list_anew` of manual.py, and the trigger `decided_for_good`, which lets no other entry be listed
    anew."""
    wrong, right = (a_payment(alice, "deposit", LIMIT + 1) for _ in range(2))
    books(Booked("from alice", "1000.01", "B1", direction="CRDT"))
    assigns(listed(), wrong.remittance_reference)

    manual.refuse(wrong.pk, by=somebody(), at=timezone.now())

    assert (listed().reason, listed().payment, listed().decided_by) == ("assignment_refused", None, None)
    assigns(listed(), right.remittance_reference)
    with pytest.raises(IntegrityError), transaction.atomic():
        StatementEntry.objects.update(state="listed", payment=None)
    manual.agree(right.pk, by=somebody(), at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        StatementEntry.objects.update(state="listed", payment=None)
    assert balance(alice) == usd("5_000.00") + LIMIT + 1
    assert what_the_audit_finds() == []


def test_a_wrong_amount_is_assigned_to_its_customer_as_what_it_is(alice: Customer) -> None:
    asked = a_payment(alice, "deposit", usd("750.00"))
    assert books(credit(asked, "74.00")) == ["payment_other_amount"]

    with pytest.raises(EntryDoesNotFit, match="another amount"):
        assigns(listed(), asked.remittance_reference)
    one = assigns(listed(), alice.pk)

    made = Payment.objects.get(pk=one.payment_id)
    assert (made.state, made.deliver_amount, made.fee, made.customer_id) == ("completed", usd("74.00"), 0, alice.pk)
    assert (balance(alice), state_of(asked)) == (usd("5_074.00"), "pending")
    assert what_the_audit_finds() == []


def test_what_cannot_be_assigned(alice: Customer) -> None:
    """Guards: `is_never_by_hand`, `misfit_by_hand`, and the looks at who says it."""
    payout = a_payout(alice, 100)
    books(Booked("x", "1.00", "B1", direction="CRDT"))
    one = listed()
    for to, why in (
        (payout.remittance_reference, EntryDoesNotFit),
        (new_remittance_reference(), PaymentNotFound),
        (one.pk, CustomerNotFound),
    ):
        with pytest.raises(why):
            assigns(one, to)
    with pytest.raises(ActorRequired):
        assigns(one, alice.pk, SYSTEM)
    with pytest.raises(Malformed):
        statements.assign(one.pk, alice.pk, note="=1", by=somebody(), at=timezone.now())
    books(Booked("x", "1.00", "B2", status="PDNG", direction="CRDT"), number="2")
    books(Booked("x", "1.00", "B3"), number="3")
    for reference in ("B2", "B3"):
        with pytest.raises(EntryDoesNotFit):
            assigns(StatementEntry.objects.get(bank_reference=reference), alice.pk)
    assert Payment.objects.count() == 1


def test_a_payout_that_the_bank_told_without_its_reference_is_matched_by_hand(alice: Customer) -> None:
    payment = a_sent_payout(alice, 100)
    books(Booked("a payout", "1.00", "B1"))

    assigns(listed(), payment.remittance_reference)

    assert state_of(payment) == "completed"
    assert what_the_audit_finds() == []


def test_what_is_nobodys_is_marked_to_be_sent_back(alice: Customer) -> None:
    books(Booked("who?", "1.00", "B1", direction="CRDT"), Booked("a fee", "1.00", "B2"))
    came, fee = StatementEntry.objects.order_by("number")

    one = statements.mark_to_send_back(came.pk, note="no customer of ours", by=somebody(), at=timezone.now())

    assert one.state == "send_back"
    with pytest.raises(EntryDoesNotFit):
        statements.mark_to_send_back(fee.pk, note="x", by=somebody(), at=timezone.now())
    with pytest.raises(EntryDecided):
        assigns(one, alice.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        StatementEntry.objects.filter(pk=fee.pk).update(state="send_back", note="x", decided_at=timezone.now())


def test_nobody_completes_a_payment_by_an_entry_that_is_not_its_own(alice: Customer) -> None:
    """Guards: the trigger `by_an_entry`, and the constraints `one_entry_completes_a_payment` and
    `entry_matched_with_one_of_ours`."""
    first, second = (a_payment(alice, "deposit", 100) for _ in range(2))
    books(Booked("x", "1.00", "B1", direction="CRDT"), Booked("x", "2.00", "B2", direction="CRDT"))
    right, more = StatementEntry.objects.order_by("number")
    for entry in (right, more):  # no name and no person; another amount
        with pytest.raises(IntegrityError), transaction.atomic():
            forges(entry, first)
    with pytest.raises(IntegrityError), transaction.atomic():
        StatementEntry.objects.update(state="matched", reason="", payment=second)
    with pytest.raises(IntegrityError), transaction.atomic():
        StatementEntry.objects.filter(pk=right.pk).update(state="matched", reason="")


def test_nobody_assigns_more_than_the_limit_alone_through_sql(alice: Customer) -> None:
    """Guard: the trigger `alone_within_limit`."""
    payment, ann = a_payment(alice, "deposit", LIMIT + 1), somebody()
    books(Booked("x", "1000.01", "B1", direction="CRDT"))
    StatementEntry.objects.update(state="matched", reason="", payment=payment, decided_by_id=ann.user_id)
    row = Payment.objects.filter(pk=payment.pk)
    row.update(state="settling", reference="B1", made_by_id=ann.user_id)

    with pytest.raises(IntegrityError, match="second person"), transaction.atomic():
        row.update(state="completed")


# --- what comes back -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"returned": "AC04"}, {"reversal": True}])
def test_a_payout_that_could_not_be_delivered_comes_back(alice: Customer, how: dict[str, Any]) -> None:
    """Guard: `RtrInf` and `RvslInd` in `camt053._problem`."""
    payment, ann = a_sent_payout(alice, usd("500.00")), somebody()

    got = books(
        debit(payment, "500.00", "OUT-1"), credit(payment, "499.00", "BACK-1", **how), by=ann
    )  # the bank keeps a fee

    assert got == ["matched", "a_reversal"]
    assert StatementEntry.objects.filter(state="matched", payment=payment).count() == 2
    correction = Correction.objects.get(kind="payment_returned")
    assert (correction.state, correction.amount, correction.reference) == ("applied", usd("499.00"), "BACK-1")
    assert (correction.made_by_id, balance(alice)) == (ann.user_id, usd("4_999.00"))
    assert what_the_audit_finds() == []


def test_a_deposit_that_the_bank_takes_away_again(alice: Customer) -> None:
    payment = a_payment(alice, "deposit", usd("500.00"))

    got = books(credit(payment, "500.00", "IN-1"), debit(payment, "500.00", "BACK-1", reversal=True))

    assert (got, balance(alice)) == (["matched", "a_reversal"], usd("5_000.00"))
    assert what_the_audit_finds() == []


def test_above_the_limit_a_return_waits_for_its_correction(alice: Customer) -> None:
    """Guard: `RETURN_WAITS` in `due`: the entry is matched once the second person has applied it."""
    applied, rejected = (a_payment(alice, "deposit", LIMIT + 1) for _ in range(2))
    assert books(credit(applied, "1000.01", "IN-1"), credit(rejected, "1000.01", "IN-2")) == ["matched", "matched"]
    releases()

    got = books(
        debit(applied, "1000.01", "BACK-1", reversal=True),
        debit(rejected, "1000.01", "BACK-2", reversal=True),
        number="2",
    )
    assert got == ["return_waits", "return_waits"]
    assert balance(alice) == usd("5_000.00") + 2 * (LIMIT + 1)

    first, second = Correction.objects.order_by("pk")
    applies(first)
    decide.reject(second.pk, by=somebody(), at=timezone.now())
    statements.go_on(by=somebody(), at=timezone.now())
    backs = StatementEntry.objects.filter(bank_reference__startswith="BACK").order_by("number")
    assert [(one.state, one.reason) for one in backs] == [("matched", "a_reversal"), ("listed", "return_rejected")]
    assert balance(alice) == usd("5_000.00") + LIMIT + 1
    assert what_the_audit_finds() == []


def test_what_comes_back_is_nothing_else_by_hand(alice: Customer) -> None:
    """Guards: `is_never_by_hand` by OF_A_RETURN, `UNKNOWN_RETURN`. Money that is another payment's return already would
    be booked twice."""
    payment, other = a_sent_payout(alice, LIMIT), a_payment(alice, "deposit", LIMIT)
    books(debit(payment, "1000.00", "OUT-1"))
    Asset.objects.filter(pk="USD").update(adjustment_limit=0)
    unknown = Booked(new_remittance_reference(), "1000.00", "BACK-2", direction="CRDT", reversal=True)
    got = books(credit(payment, "1000.00", "BACK-1", reversal=True), unknown, number="2")
    assert got == ["return_waits", "return_unknown_payment"]

    for entry in StatementEntry.objects.filter(state="listed"):
        for to in (other.remittance_reference, alice.pk):
            with pytest.raises(EntryDoesNotFit):
                assigns(entry, to)
        with pytest.raises(EntryDoesNotFit):
            statements.mark_to_send_back(entry.pk, note="x", by=somebody(), at=timezone.now())

    applies(Correction.objects.get())
    statements.go_on(by=somebody(), at=timezone.now())
    back = StatementEntry.objects.get(bank_reference="BACK-1")
    assert (back.state, back.reason, back.payment) == ("matched", "a_reversal", payment)
    assert what_the_audit_finds() == []


@pytest.mark.parametrize(
    ("amount", "why"), [("500.01", "return_refused"), ("0.00", "return_bad_amount"), ("500.00", "a_reversal")]
)
def test_no_more_comes_back_than_has_moved_and_once(alice: Customer, amount: str, why: str) -> None:
    payment = a_sent_payout(alice, usd("500.00"))
    books(debit(payment, "500.00", "OUT-1"))

    assert books(credit(payment, amount, "BACK-1", reversal=True), number="2") == [why]
    again = books(credit(payment, "1.00", "BACK-2", reversal=True), number="3")
    assert again == (["return_refused"] if why == "a_reversal" else ["a_reversal"])
    assert Correction.objects.count() == 1


def test_what_came_back_to_an_account_that_became_the_firms_is_looked_at_again(alice: Customer) -> None:
    """Guard: RETURN_NOT_OURS in DUE. Else a return to an account that wasn't agreed on yet waits for ever."""
    payment = a_sent_payout(alice, 100)
    books(debit(payment, "1.00", "OUT"))
    back = statement(credit(payment, "1.00", "BACK", reversal=True), number="2")
    early = back.replace(OWN_IBAN.encode(), OTHER_IBAN.encode())
    assert [one.reason for one in imports(early).entries] == ["return_not_our_account"]
    books(number="3")
    assert listed().reason == "return_not_our_account"
    agreed(Counterparty.objects.get(), "USD", {**OWN_BANK, "iban": OTHER_IBAN}, is_default=False)

    found = imports(statement(number="4"))

    assert [one.reason for one in found.earlier] == ["a_reversal"]
    assert Correction.objects.get().state == "applied"


@pytest.mark.parametrize("reference", ["B1", ""])
def test_a_reversal_is_another_entry_than_the_same_booking(alice: Customer, reference: str) -> None:
    """Guard: A_REVERSAL in `Entry.facts`. Else a forged reversal makes the real booking known, and nobody sees it."""
    payment = a_payment(alice, "deposit", 100)
    imports(statement(credit(payment, "1.00", reference, reversal=True)))

    found = imports(statement(credit(payment, "1.00", reference), number="2"))

    assert found.known == 0
    assert [one.reason for one in found.entries] == ["same_reference" if reference else "no_bank_reference"]


def test_the_real_credit_is_assigned_though_a_forged_file_has_used_its_reference(alice: Customer) -> None:
    """Guards: `same_reference` in no `_NEVER_BY_HAND`, `said` for the limit. Else it is stuck for ever."""
    payment = a_payment(alice, "deposit", LIMIT + 1)
    books(credit(payment, "0.01", "B1"))
    assert books(credit(payment, "1000.01", "B1"), number="2") == ["same_reference"]
    real = StatementEntry.objects.get(reason="same_reference")

    assigns(real, payment.remittance_reference)

    assert (state_of(payment), balance(alice)) == ("settling", usd("5_000.00"))
    manual.agree(payment.pk, by=somebody(), at=timezone.now())
    assert (state_of(payment), balance(alice)) == ("completed", usd("5_000.00") + LIMIT + 1)
    assert what_the_audit_finds() == []


def test_a_reference_that_booked_something_books_nothing_else_by_hand(alice: Customer) -> None:
    """Guard: `reference` of `Funding`, once: the same money told twice is not assigned twice."""
    payment = a_payment(alice, "deposit", 100)
    books(credit(payment, "1.00", "B1"))
    books(credit(payment, "2.00", "B1"), number="2")

    with pytest.raises(KeyReused):
        assigns(listed(), alice.pk)


@pytest.mark.parametrize("told", [{"reversal": True}, {"status": "PDNG"}])
def test_what_is_never_by_hand_is_not_so_by_a_used_reference(alice: Customer, told: dict[str, Any]) -> None:
    """Guard: `is_never_by_hand` in `_by_another_key`. Else a return whose reference was used is a deposit."""
    books(Booked("x", "9.00", "B1", direction="CRDT", **told))
    reasons = books(Booked("x", "1.00", "B1", direction="CRDT", **told), number="2")
    assert reasons == ["same_reference_unclear"]

    with pytest.raises(EntryDoesNotFit):
        assigns(StatementEntry.objects.latest("pk"), alice.pk)


def test_what_has_not_moved_does_not_come_back(alice: Customer) -> None:
    payment = a_sent_payout(alice, 100)

    assert books(credit(payment, "1.00", "BACK", reversal=True)) == ["return_never_moved"]
    assert (state_of(payment), Correction.objects.count()) == ("settling", 0)


def test_what_came_back_before_it_moved_is_looked_at_again(alice: Customer) -> None:
    """Guard: NEVER_MOVED in DUE: the next statement tells of the payout itself."""
    payment = a_sent_payout(alice, 100)
    books(credit(payment, "1.00", "BACK", reversal=True))

    assert books(debit(payment, "1.00", "OUT"), number="2") == ["matched"]
    statements.go_on(by=somebody(), at=timezone.now())

    assert [one.reason for one in StatementEntry.objects.order_by("pk")] == ["a_reversal", ""]
    assert balance(alice) == usd("5_000.00")
    assert what_the_audit_finds() == []


def test_a_return_needs_somebody_who_says_so(alice: Customer) -> None:
    payment = a_payment(alice, "deposit", 100)
    books(credit(payment, "1.00", "IN-1"))

    assert books(debit(payment, "1.00", "BACK", reversal=True), number="2", by=SYSTEM) == ["return_needs_a_person"]


def test_what_an_operator_has_said_came_back_before_is_this_entry(alice: Customer) -> None:
    payment = a_payment(alice, "deposit", 100)
    books(credit(payment, "1.00", "IN-1"))
    propose_payment_return(payment.pk, 100, reference="BACK", reason="x", by=somebody(), at=timezone.now())

    assert books(debit(payment, "1.00", "BACK", reversal=True), number="2") == ["a_reversal"]
    assert balance(alice) == usd("5_000.00")


def test_a_return_that_is_told_twice_is_booked_once_and_holds_up_nobody(alice: Customer) -> None:
    """Guard: the look in `_return` for another entry that is this return. A second account's file has the line."""
    agreed(Counterparty.objects.get(), "USD", {**OWN_BANK, "iban": OTHER_IBAN}, is_default=False)
    payment, good = a_payment(alice, "deposit", 100), a_payment(alice, "deposit", 200)
    books(credit(payment, "1.00", "IN-1"))
    back = statement(debit(payment, "1.00", "BACK", reversal=True), number="2")

    assert [one.state for one in imports(back).entries] == ["matched"]
    again = imports(back.replace(OWN_IBAN.encode(), OTHER_IBAN.encode())).entries
    assert [one.reason for one in again] == ["return_refused"]

    assert books(credit(good, "2.00", "IN-2"), number="3") == ["matched"]
    assert balance(alice) == usd("5_002.00")
    assert what_the_audit_finds() == []


def test_an_entry_that_fails_otherwise_holds_up_no_other(alice: Customer) -> None:
    """Guard: `go_on` catches what is no refusal. It is tried again with the next import."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trades_statemententry ADD CHECK (state <> 'matched' OR bank_reference <> 'BAD')")
    bad, good = a_payment(alice, "deposit", 100), a_payment(alice, "deposit", 200)

    assert books(credit(bad, "1.00", "BAD"), credit(good, "2.00", "GOOD")) == ["payment_waits", "matched"]

    assert (state_of(bad), state_of(good), balance(alice)) == ("pending", "completed", usd("5_002.00"))


@pytest.mark.parametrize("amount", [LIMIT, LIMIT + 1])
def test_a_return_without_a_bank_reference_has_the_entrys_own(alice: Customer, amount: int) -> None:
    """Guards: `outside_reference` in `_return`, and the same in the recount."""
    payment = a_payment(alice, "deposit", amount)
    paid = f"{amount / 100:.2f}"
    books(credit(payment, paid, "IN-1"), by=somebody())
    if amount > LIMIT:
        releases()

    got = books(debit(payment, paid, "", reversal=True), number="2")

    assert got == ["a_reversal" if amount == LIMIT else "return_waits"]
    if amount > LIMIT:
        applies(Correction.objects.get())
        statements.go_on(by=somebody(), at=timezone.now())
    entry = StatementEntry.objects.get(bank_reference="")
    assert (entry.state, entry.reason, balance(alice)) == ("matched", "a_reversal", usd("5_000.00"))
    assert Correction.objects.get().reference == entry.pk.hex
    assert what_the_audit_finds() == []


# --- broken files ----------------------------------------------------------------------------------


def test_broken_files_move_no_wrong_money(alice: Customer) -> None:
    """Bytes changed, lost, doubled: each file is imported or Malformed, and what it completes is what it says."""
    dice = random.Random(20260301)
    payments = [a_payment(alice, "deposit", 100 + number) for number in range(6)]
    whole = statement(*(credit(one, f"{one.deliver_amount / 100:.2f}", f"B{one.pk.hex[-6:]}") for one in payments))
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            at, does = dice.randrange(len(content)), dice.randrange(4)
            if does == 0:
                content[at] = dice.randrange(256)
            elif does == 1:
                del content[at : at + dice.randint(1, 40)]
            elif does == 2:
                content[at:at] = content[at : at + dice.randint(1, 40)]
            else:
                content[at:at] = dice.choice([b"<!DOCTYPE x>", b"&x;", b"<Amt>9</Amt>", b"\0", b"<!--", b"\xff"])
        try:
            imports(bytes(content))
        except Malformed:
            continue
    done = [one for one in payments if state_of(one) == "completed"]
    assert balance(alice) == usd("5_000.00") + sum(int(one.deliver_amount) for one in done)
    assert what_the_audit_finds() == []


# --- by commands and in the admin ------------------------------------------------------------------


def test_by_commands(alice: Customer, tmp_path) -> None:
    ann, ben = (a_member_of_staff(name).email for name in ("ann", "ben"))
    payout, came = a_payout(alice, LIMIT + 1), a_payment(alice, "deposit", 100)
    reference = payout.remittance_reference
    assert [one["stands"] for one in told("payments", "list")["payments"]] == ["waits to be approved", "pending"]

    assert told("payments", "approve", reference, "--by", ann)["stands"] == "waits for a second person"
    assert ended("payments", "agree", reference, "--by", ann)[0] != 0
    assert told("payments", "agree", payout.pk.hex, "--by", ben)["stands"] == "approved"
    order = str(tmp_path / "order.xml")
    made = told("payments", "file", "--format", "pain001", "--output", order, "--by", ann)
    assert (made["payouts_count"], made["passed_over"]) == (1, [])
    again = told("payments", "file", "--format", "pain001", "--output", f"{order}2", "--repeat", "--by", ann)
    assert (again["repeat"], again["message_id"]) == (True, made["message_id"])
    assert ended("payments", "refuse", reference, "--by", ann)[2].startswith("The payout was sent")
    stopped = ended("payments", "refuse", reference, "--stopped", "--by", ann)
    assert (stopped[0], stopped[1]["stands"].split(",")[1]) == (4, " said to be stopped: waits for a second person")

    path = tmp_path / "statement.xml"
    path.write_bytes(statement(debit(payout, "1000.01"), credit(came, "0.99", "B2"), Booked("x", "5.00", "B3")))
    dry = ended("payments", "import", str(path), "--dry-run", "--by", ann)
    assert (dry[0], [one["state"] for one in dry[1]["entries"]]) == (1, ["matched", "listed", "listed"])
    code, facts, sentence = ended("payments", "import", str(path), "--by", ann)
    assert (code, sentence) == (
        1,
        "1 contradict what they name, the first: B2, it is another amount than the payment's.",
    )
    wrong, fee = (one["guid"] for one in facts["entries"][1:])
    assert told("payments", "assign", wrong, alice.pk.hex, "--reason", "too little", "--by", ann)["state"] == "matched"
    assert [one["guid"] for one in told("payments", "entries")["entries"]] == [fee]
    assert ended("payments", "send-back", fee, "--reason", "x", "--by", ann)[0] != 0
    assert ended("payments", "approve", "RF00", "--by", ann)[2] == "There is no payment 'RF00'."
    assert told("payments", "refuse", came.remittance_reference, "--by", ann)["state"] == "failed"
    assert told("payments", "list")["nothing"] is True
    assert what_the_audit_finds() == []


def test_by_the_admin(alice: Customer) -> None:
    maker, checker = browser_of(a_member_of_staff()), browser_of(a_member_of_staff("checker"))
    payout, waits = a_payout(alice, LIMIT + 1), a_payment(alice, "deposit", LIMIT + 1)

    assert said(act(maker, "trades_payment_approve", payout.pk)) == [
        "It is noted; a second person agrees before it is paid."
    ]
    assert said(act(maker, "trades_payment_agree", payout.pk)) == [
        "Whoever approved it first can't be the second person."
    ]
    assert said(act(checker, "trades_payment_agree", payout.pk)) == ["It is approved."]
    assert "1 payouts" in said(act(maker, "trades_payment_make_file", format="pain001"))[0]
    assert (
        "agrees that the bank has stopped it" in said(act(maker, "trades_payment_refuse", payout.pk, stopped="on"))[0]
    )
    assert "can't be the second person" in said(act(maker, "trades_payment_agree", payout.pk))[0]
    assert said(act(checker, "trades_payment_agree", payout.pk)) == ["The payment is failed."]
    books(Booked("x", "1000.01", "B1", direction="CRDT"), Booked("y", "5.00", "B2", direction="CRDT"))
    first, second = StatementEntry.objects.order_by("number")
    given = {"reference": waits.remittance_reference, "reason": "they wrote so"}
    assert said(act(maker, "trades_statemententry_match", first.pk, **given)) == ["The entry is matched."]
    assert said(act(checker, "trades_payment_agree", waits.pk)) == ["The payment is completed."]
    assert said(act(maker, "trades_statemententry_send_back", second.pk, reason="nobody's")) == ["The entry is marked."]
    for path in ("trades/payment", "trades/statemententry", "trades/paymentfile", "accounts/externalbankaccount"):
        assert maker.get(f"/admin/{path}/").status_code == 200
    made = Payment.objects.get(pk=payout.pk).payment_file_id
    assert b"its payouts" in maker.get(f"/admin/trades/paymentfile/{made}/change/").content
    held = maker.get("/admin/trades/payment/", {"payment_file__id__exact": str(made)})
    assert payout.remittance_reference.encode() in held.content
    assert payout.remittance_reference.encode() in maker.get(f"/admin/trades/payment/{payout.pk}/change/").content
    assert waits.remittance_reference.encode() in maker.get(f"/admin/trades/statemententry/{first.pk}/change/").content
    assert what_the_audit_finds() == []
