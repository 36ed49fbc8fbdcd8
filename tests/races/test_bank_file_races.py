"""Races of payments by a bank's files. Each names its guard and was seen to fail without it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.ledger import LEAVING
from accounts.models import Customer, LedgerAccount, Transfer
from accounts.services.bank_accounts import delete_bank_account
from tests.given import a_customer, a_payment, balance, usd, what_the_audit_finds
from tests.races.together import together, wait_until_waiting
from tests.trades.corrections.staff import somebody
from tests.trades.payments.bank_files import (
    LIMIT,
    a_file,
    a_payout,
    a_sent_payout,
    account_of,
    alice,
    approves,
    by_file,
    credit,
    debit,
    imports,
    releases,
)
from tests.trades.settlement.instructions.bank import statement
from trades.errors import BankAccountDoesNotFit, PaymentStateForbids
from trades.models import Payment, PaymentFile, StatementEntry
from trades.payments import manual, payouts, preview, statements
from trades.payments.files import Made
from trades.payments.release import Released
from trades.settlement.instructions import statements as entries
from trades.settlement.instructions.errors import EntryDecided, NothingToSend
from trades.settlement.instructions.statements import Imported

__all__ = ["alice", "by_file"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_two_file_makers_at_once_never_both_pay_a_payout(alice: Customer) -> None:
    """Guard: the lock of `_waiting` in files.py; without it the guarded update of `steps.sent` fails the others."""
    for _ in range(3):
        for _ in range(4):
            approves(a_payout(alice, 100))

        results = together([partial(a_file, form) for form in ("pain001", "csv") * 3])

        assert Counter(map(type, results)) == {Made: 1, NothingToSend: 5}
    assert PaymentFile.objects.count() == 3
    assert Counter(Payment.objects.values_list("state", flat=True)) == {"settling": 12}
    assert what_the_audit_finds() == []


def test_the_same_statement_imported_by_many_at_once_is_booked_once(alice: Customer) -> None:
    """Guard: the lock of the entry in `_compare`. Without it two find it waiting."""
    came, out = a_payment(alice, "deposit", usd("10.00")), a_sent_payout(alice, usd("20.00"))
    content = statement(credit(came, "10.00", "B1"), debit(out, "20.00", "B2"))
    other = statement(credit(came, "10.00", "B1"), debit(out, "20.00", "B2"), number="2")

    results = together([partial(imports, one) for one in (content, other) * 4])

    assert [one for one in results if isinstance(one, Exception)] == []
    assert Counter(StatementEntry.objects.values_list("state", flat=True)) == {"matched": 2}
    assert Transfer.objects.filter(kind__in=["deposit", "withdrawal"], subject__isnull=False).count() == 2
    assert (balance(alice), balance(alice, LEAVING)) == (usd("4_990.00"), 0)
    assert what_the_audit_finds() == []


@pytest.mark.parametrize("side", ["withdrawal", "deposit"])
def test_the_banks_word_waits_for_a_refusal_and_finds_the_payment_ended(alice: Customer, side: str) -> None:
    """Guard: the lock of `steps.locked`. Without it the import finds the payment as it was, and fails as a whole."""
    payment = a_sent_payout(alice, 100) if side == "withdrawal" else a_payment(alice, "deposit", 100)
    told = debit(payment, "1.00") if side == "withdrawal" else credit(payment, "1.00")
    imported: list[object] = []

    def imports_it() -> None:
        try:
            imported.append(imports(statement(told)))
        except Exception as failure:
            imported.append(failure)
        finally:
            connection.close()

    importing = threading.Thread(target=imports_it)
    with transaction.atomic():
        manual.refuse(payment.pk, by=somebody(), at=timezone.now(), is_stopped=True)
        importing.start()
        wait_until_waiting()
    importing.join()

    assert isinstance(imported[0], Imported), imported
    assert StatementEntry.objects.get().reason == "payment_has_ended"
    assert (balance(alice), balance(alice, LEAVING)) == (usd("5_000.00"), 0)
    assert what_the_audit_finds() == []


def test_a_refusal_beside_the_banks_word_is_one_of_the_two(alice: Customer) -> None:
    """The same by chance, both ways."""
    for turn in range(3):
        out, came = a_sent_payout(alice, 100), a_payment(alice, "deposit", 100)
        content = statement(debit(out, "1.00", f"O{turn}"), credit(came, "1.00", f"I{turn}"), number=str(turn))
        refuse = partial(manual.refuse, by=somebody(), at=timezone.now(), is_stopped=True)

        results = together([partial(imports, content), partial(refuse, out.pk), partial(refuse, came.pk)])

        assert {type(one) for one in results} <= {Imported, Payment, PaymentStateForbids}
        for payment, entry in ((out, f"O{turn}"), (came, f"I{turn}")):
            payment.refresh_from_db()
            became = StatementEntry.objects.get(bank_reference=entry)
            assert (payment.state, became.state) in {("completed", "matched"), ("failed", "listed")}
    assert balance(alice, LEAVING) == 0
    assert what_the_audit_finds() == []


def test_one_person_who_approves_many_at_once_stays_within_the_limit(alice: Customer) -> None:
    """Guard: `asset_locked` in `approve`. Without it each finds room below the limit."""
    ann, payments = somebody(), [a_payout(alice, usd("400.00")) for _ in range(6)]

    together([partial(approves, payment, ann) for payment in payments])

    assert Payment.objects.filter(needs_checker=False, made_by=ann.user_id).count() == 2


def test_an_account_deleted_while_a_file_is_made_is_paid_before_or_not_at_all(alice: Customer) -> None:
    """Guard: the lock of the account in `_waiting`. Without it the answer `deleted` comes while the file pays it."""
    payment = a_payout(alice, 100)
    approves(payment)
    answered = threading.Event()

    def deletes() -> None:
        try:
            delete_bank_account(account_of(alice).pk, at=timezone.now())
            answered.set()
        finally:
            connection.close()

    deleting = threading.Thread(target=deletes)
    with transaction.atomic():
        a_file()
        deleting.start()
        wait_until_waiting()
        assert not answered.is_set()
    deleting.join()

    payment.refresh_from_db()
    assert (payment.state, answered.is_set()) == ("settling", True)


def test_two_who_assign_an_entry_at_once_assign_it_once(alice: Customer) -> None:
    """Guard: the lock of the entry in `undecided`. Without it the others fail at the trigger `decided_for_good`."""
    first, second = (a_payment(alice, "deposit", 100) for _ in range(2))
    imports(statement(credit(first, "1.00", "B1", name="who?")))
    entry = StatementEntry.objects.get()

    results = together(
        [
            partial(statements.assign, entry.pk, one.remittance_reference, note="x", by=somebody(), at=timezone.now())
            for one in (first, second) * 3
        ]
    )

    assert Counter(map(type, results)) == {StatementEntry: 1, EntryDecided: 5}
    assert balance(alice) == usd("5_001.00")
    assert what_the_audit_finds() == []


def test_a_second_person_and_a_file_at_once_pay_it_once(alice: Customer) -> None:
    """Guard: the locks of `steps.locked` and of `_waiting`."""
    for _ in range(4):
        payment = a_payout(alice, LIMIT + 1)
        approves(payment)
        agree = partial(payouts.agree, payment.pk, by=somebody(), at=timezone.now())
        refuse = partial(manual.refuse, payment.pk, by=somebody(), at=timezone.now())

        together([agree, a_file, refuse, a_file])

        payment.refresh_from_db()
        assert payment.state in ("pending", "settling", "failed")
        assert (payment.state == "settling") == (payment.payment_file_id is not None)
        if payment.state != "failed":
            manual.refuse(payment.pk, by=somebody(), at=timezone.now(), is_stopped=True)
    assert balance(alice) == usd("5_000.00")
    assert what_the_audit_finds() == []


def test_an_account_that_is_deleted_while_a_payout_is_asked_for_does_not_fit(alice: Customer) -> None:
    """Guard: the second look at the bank account in `execute`, once the trigger has refused."""
    account = account_of(alice)
    came: list[object] = []

    def asks() -> None:
        try:
            came.append(a_payout(alice, 100))
        except Exception as failure:
            came.append(failure)
        finally:
            connection.close()

    asking = threading.Thread(target=asks)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE trades_payment IN SHARE MODE")  # it has looked, and can't write yet
        asking.start()
        wait_until_waiting()
        delete_bank_account(account.pk, at=timezone.now())
    asking.join()

    assert isinstance(came[0], BankAccountDoesNotFit), came
    assert not Payment.objects.exists()
    assert balance(alice) == usd("5_000.00")


def test_one_person_who_imports_and_approves_at_once_stays_within_the_limit(alice: Customer) -> None:
    """Guard: `asset_locked` in `manual.imported`. Without it each finds room below the limit."""
    ann, came, out = somebody(), a_payment(alice, "deposit", usd("600.00")), a_payout(alice, usd("600.00"))
    at_once = [
        threading.Thread(target=aside, args=(partial(imports, statement(credit(came, "600.00")), ann),)),
        threading.Thread(target=aside, args=(partial(approves, out, ann),)),
    ]
    with transaction.atomic():
        list(LedgerAccount.objects.filter(customer=alice).select_for_update())
        for number, one in enumerate(at_once, start=1):
            one.start()
            wait_until_waiting(number)
    for one in at_once:
        one.join()

    for payment in (came, out):
        payment.refresh_from_db()
    assert (came.state, came.needs_checker, out.needs_checker) == ("completed", False, True)
    assert what_the_audit_finds() == []


def aside(does: Callable[[], object]) -> None:
    """In a thread of its own."""
    try:
        does()
    finally:
        connection.close()


def test_a_release_beside_second_persons_and_refusals_books_each_deposit_once(alice: Customer) -> None:
    """Guard: the lock of `steps.locked`. Without it the guarded update of `steps._move` fails the others."""
    for turn in range(3):
        payments = [a_payment(alice, "deposit", LIMIT + 1) for _ in range(3)]
        content = statement(
            *(credit(one, "1000.01", f"{turn}-{n}") for n, one in enumerate(payments)), number=f"{turn}"
        )
        imports(content, somebody())

        releasing = [partial(releases, somebody()) for _ in range(2)]
        agreeing = partial(manual.agree, payments[0].pk, by=somebody(), at=timezone.now())
        refusing = partial(manual.refuse, payments[1].pk, by=somebody(), at=timezone.now())
        results = together([*releasing, agreeing, refusing, partial(imports, content)])

        assert {type(one) for one in results} <= {Released, Imported, Payment, PaymentStateForbids}, results
        for one in payments:
            one.refresh_from_db()
        assert [one.state for one in payments][::2] == ["completed"] * 2
        assert payments[1].state in ("completed", "failed")
    done = Payment.objects.filter(state="completed").count()
    assert balance(alice) == usd("5_000.00") + done * (LIMIT + 1)
    assert what_the_audit_finds() == []


def test_a_statement_that_is_released_while_it_is_imported_waits_for_nobody(alice: Customer) -> None:
    """Guard: `release.go_on` in `statements.go_on`: whoever comes second completes it."""
    for turn in range(4):
        payment = a_payment(alice, "deposit", LIMIT + 1)
        content = statement(credit(payment, "1000.01", f"B{turn}"), number=str(turn))
        entries.import_statement(content, name="x", by=somebody(), at=timezone.now())

        together([partial(imports, content, somebody()), partial(releases, somebody())])
        imports(content)

        payment.refresh_from_db()
        assert (payment.state, payment.checked_by_id is None) == ("completed", False)
    assert what_the_audit_finds() == []


def test_a_preview_holds_no_customers_account_while_it_looks_at_another(alice: Customer) -> None:
    """Guard: what `Before.would_be` undoes after each entry. Else alice can't trade until the last one is seen."""
    first, second = a_payment(alice, "deposit", 100), a_payment(a_customer("bob"), "deposit", 100)
    content = statement(credit(first, "1.00", "B1"), credit(second, "1.00", "B2"))
    looked: list[Imported] = []

    def looks() -> None:
        try:
            looked.append(preview.preview_statement(content, name="x", by=somebody(), at=timezone.now()))
        finally:
            connection.close()

    looking = threading.Thread(target=looks)
    with transaction.atomic():
        Payment.objects.select_for_update().get(pk=second.pk)
        looking.start()
        wait_until_waiting()
        account = LedgerAccount.objects.filter(customer=alice, asset="USD", type="available")
        assert len(account.select_for_update(nowait=True)) == 1
        assert Payment.objects.select_for_update(nowait=True).get(pk=first.pk).state == "pending"
    looking.join()

    assert [one.state for one in looked[0].entries] == ["matched", "matched"]
