"""Payouts by a bank's files: approved, handed out once, and completed by what the bank tells."""

from __future__ import annotations

import csv
import io

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from lxml import etree

from accounts import services
from accounts.errors import ActorRequired, BankAccountNotFound
from accounts.identity import SYSTEM, Actor
from accounts.ledger import LEAVING
from accounts.models import Asset, Customer, ExternalBankAccount
from accounts.services.bank_accounts import GivenAccount, add_bank_account, delete_bank_account
from tests.caller import Api, a_firm, code
from tests.given import (
    a_bank_account,
    a_customer,
    a_funding_quote,
    a_payment,
    balance,
    token_of,
    usd,
    uses,
    what_the_audit_finds,
)
from tests.trades.corrections.staff import somebody
from tests.trades.payments.bank_files import (
    LIMIT,
    a_file,
    a_payout,
    a_sent_payout,
    account_of,
    agrees,
    alice,
    approves,
    books,
    by_file,
    debit,
    imports,
)
from tests.trades.payments.test_sandbox import steps_of
from tests.trades.settlement.instructions.bank import pays, statement
from tests.trades.settlement.instructions.test_instructions import PAIN, the_schema
from trades.corrections.propose import propose_adjustment
from trades.errors import BankAccountDoesNotFit, BankAccountRequired, MakerIsChecker, PaymentStateForbids
from trades.models import Payment, PaymentFile
from trades.payments import files, manual, payouts, second_person
from trades.settlement.instructions.errors import MayStillBePaid, NoOwnAccount, NothingToSend

__all__ = ["alice", "by_file"]
pytestmark = pytest.mark.django_db


def an_empty_file() -> PaymentFile:
    told = {"format": "csv", "message_id": "PF1", "instructions_count": 1, "control_sums": {}, "content": b""}
    return PaymentFile.objects.create(**told, sha256="", made_at=timezone.now())


def refuses(payment: Payment, *, is_stopped: bool = False) -> Payment:
    return manual.refuse(payment.pk, by=somebody(), at=timezone.now(), is_stopped=is_stopped)


def stops(payment: Payment, by: Actor) -> Payment:
    return manual.refuse(payment.pk, by=by, at=timezone.now(), is_stopped=True)


# --- from the wish to the bank's statement ---------------------------------------------------------


def test_the_round_from_a_quote_to_what_the_bank_has_paid(alice: Customer) -> None:
    payment, ann = a_payout(alice, usd("500.00")), somebody()
    assert (payment.state, balance(alice, LEAVING)) == ("pending", usd("500.00"))
    approves(payment, ann)

    made = a_file().file

    document = etree.fromstring(bytes(made.content))
    the_schema().assertValid(document)
    said = [document.findtext(f".//{PAIN}{tag}") for tag in ("InstdAmt", "EndToEndId", "Ustrd", "MmbId")]
    assert said == ["500.00", payment.remittance_reference, payment.remittance_reference, "021000021"]
    assert document.findtext(f".//{PAIN}CdtrAcct/{PAIN}Id/{PAIN}Othr/{PAIN}Id") == "123456789"
    assert (made.instructions_count, made.control_sums) == (1, {"USD": str(usd("500.00"))})
    assert balance(alice, LEAVING) == usd("500.00")

    assert [one.state for one in imports(statement(*pays(bytes(made.content)))).entries] == ["matched"]

    payment.refresh_from_db()
    assert (payment.state, payment.reference, payment.made_by_id) == ("completed", "BANK1", ann.user_id)
    assert (balance(alice), balance(alice, LEAVING)) == (usd("4_500.00"), 0)
    assert steps_of(payment)[-2:] == [("settling", made.message_id), ("completed", "BANK1")]
    assert what_the_audit_finds() == []


def test_an_account_with_an_iban_is_paid_by_its_bic(alice: Customer) -> None:
    given = GivenAccount(alice.pk, "USD", "a", "Álice Møller", "BIC", "COBADEFFXXX", "DE89370400440532013000")
    account = add_bank_account(given, by=SYSTEM, at=timezone.now())
    approves(a_payment(alice, "withdrawal", 100, bank_account_id=account.pk))

    document = etree.fromstring(bytes(a_file().file.content))

    the_schema().assertValid(document)
    assert document.findtext(f".//{PAIN}CdtTrfTxInf//{PAIN}BICFI") == "COBADEFFXXX"
    assert document.findtext(f".//{PAIN}CdtTrfTxInf//{PAIN}IBAN") == "DE89370400440532013000"
    assert document.findtext(f".//{PAIN}Cdtr/{PAIN}Nm") == "Alice Moller"


def test_the_same_payouts_as_csv(alice: Customer) -> None:
    payment = a_payout(alice, usd("12.34"))
    approves(payment)

    made = a_file("csv").file

    (row,) = csv.DictReader(io.StringIO(bytes(made.content).decode()))
    assert (row["payment"], row["amount"], row["account_number"], row["routing_number"], row["clearing"]) == (
        *(payment.remittance_reference, "12.34", "123456789"),
        *("021000021", "USABA"),
    )


def test_above_the_limit_a_second_person_agrees(alice: Customer) -> None:
    """Guards: `is_within_limit` in `approve`, and the look at the maker in `agree`."""
    payment, ann, ben = a_payout(alice, LIMIT + 1), somebody(), somebody()

    approves(payment, ann)
    with pytest.raises(NothingToSend):
        a_file()
    with pytest.raises(MakerIsChecker):
        agrees(payment, ann)
    agrees(payment, ben)
    agrees(payment, ben)  # said again
    with pytest.raises(PaymentStateForbids):
        agrees(payment)

    a_file()
    payment.refresh_from_db()
    assert (payment.state, payment.made_by_id, payment.checked_by_id) == ("settling", ann.user_id, ben.user_id)
    assert what_the_audit_finds() == []


def test_what_is_split_in_parts_takes_two_before_the_bank_has_paid_any(alice: Customer) -> None:
    """Guard: the sum of what was approved in `is_within_limit`. Without it one person approves any number of payouts
    while the bank hasn't told of them."""
    ann = somebody()
    first, second, third = (a_payout(alice, usd("400.00")) for _ in range(3))
    assert approves(first, ann).is_approved
    assert approves(second, ann).is_approved
    assert not approves(third, ann).is_approved
    assert propose_adjustment(
        alice.pk, "USD", usd("400.00"), "credit", reason="x", by=ann, at=timezone.now()
    ).needs_checker

    a_file()
    payment = Payment.objects.get(pk=first.pk)
    assert books(debit(payment, "400.00")) == ["matched"]
    fourth = a_payout(alice, usd("200.01"))
    assert not approves(fourth, ann).is_approved  # counted once, not twice: 800.00 and this


def test_a_completed_payout_counts_once_for_its_approver(alice: Customer) -> None:
    """Guard: `approved_at__isnull` beside what was said of payments by hand in `is_within_limit`."""
    ann = somebody()
    payment = a_payout(alice, usd("600.00"))
    approves(payment, ann)
    a_file()
    assert books(debit(payment, "600.00")) == ["matched"]

    assert approves(a_payout(alice, usd("400.00")), ann).is_approved


@pytest.mark.parametrize("state", ["frozen", "unverified"])
def test_who_is_frozen_is_paid_by_two_whatever_the_amount(alice: Customer, state: str) -> None:
    """Guard: `takes_two` in `approve`."""
    payment = a_payout(alice, 100)
    Customer.objects.filter(pk=alice.pk).update(state=state)

    assert not approves(payment).is_approved
    agrees(payment)
    assert len(a_file().passed_over) == 0


def test_who_was_frozen_after_one_person_approved_is_passed_over_until_a_second_one_has(alice: Customer) -> None:
    """Guards: `_may_go` of files.py, and `takes_two` in `agree`."""
    held_up, going = a_payout(alice, 100), a_payout(a_customer("bob", with_usd="10.00"), 100)
    for payment in (held_up, going):
        approves(payment)
    Customer.objects.filter(pk=alice.pk).update(state="frozen")

    made = a_file()

    assert ([one.pk for one in made.passed_over], made.file.instructions_count) == ([held_up.pk], 1)
    with pytest.raises(NothingToSend, match=held_up.remittance_reference):
        a_file()
    agrees(held_up)
    assert a_file().file.instructions_count == 1
    assert what_the_audit_finds() == []


def test_who_was_frozen_after_two_had_approved_is_passed_over_until_a_person_agrees_to_that(alice: Customer) -> None:
    """Guards: `is_agreed_unverified` in `_may_go` and in `agree`. Else what two persons said of a good customer pays
    one whose deposit was taken back since then."""
    payment, ann, bob = a_payout(alice, LIMIT + 1), somebody(), somebody()
    approves(payment, ann)
    agrees(payment, bob)
    Customer.objects.filter(pk=alice.pk).update(state="frozen")

    with pytest.raises(NothingToSend, match=payment.remittance_reference):
        a_file()
    with pytest.raises(MakerIsChecker):
        agrees(payment, ann)
    agrees(payment, bob)  # knows it now
    agrees(payment, bob)
    assert a_file().file.instructions_count == 1
    assert what_the_audit_finds() == []


def test_a_limit_that_was_lowered_holds_up_its_payout_and_no_other(alice: Customer) -> None:
    """Guards: the limit in `_may_go`, and in `agree`. Else no file can be made any more."""
    held_up, going = a_payout(alice, LIMIT), a_payout(a_customer("bob", with_usd="10.00"), 100)
    for payment in (held_up, going):
        approves(payment)
    Asset.objects.filter(pk="USD").update(adjustment_limit=LIMIT // 2)

    made = a_file()

    assert ([one.pk for one in made.passed_over], made.file.instructions_count) == ([held_up.pk], 1)
    agrees(held_up, somebody())
    assert a_file().file.instructions_count == 1
    assert what_the_audit_finds() == []


# --- where it goes ---------------------------------------------------------------------------------


def test_a_payout_needs_an_account_of_its_customer_in_its_asset(alice: Customer) -> None:
    """Guards: `_bank_account` of execute.py, and the trigger `of_its_bank_account`."""
    bobs, euros = a_bank_account(a_customer("bob")), a_bank_account(alice, "EUR")
    gone = delete_bank_account(account_of(alice).pk, at=timezone.now())
    for named, why in (
        (None, BankAccountRequired),
        (bobs.pk, BankAccountNotFound),
        (alice.pk, BankAccountNotFound),
        (euros.pk, BankAccountDoesNotFit),
        (gone.pk, BankAccountDoesNotFit),
    ):
        with pytest.raises(why):
            uses(a_funding_quote(alice, "withdrawal", 100), bank_account_id=named)
    assert not Payment.objects.exists()
    assert uses(a_funding_quote(alice, "deposit", 100)).state == "storing"  # what comes in needs none


def test_the_api_says_so_in_the_contracts_words(alice: Customer, settings) -> None:
    mine, bobs = Api(token_of(alice)), a_bank_account(a_customer("bob")).pk.hex
    own = account_of(alice).pk.hex

    def asks(api: Api = mine, **more: str) -> tuple[int, object]:
        quote = a_funding_quote(alice, "withdrawal", 100).pk.hex
        return api.post("/api/transfers", {"quote_guid": quote, "transfer_type": "funding", **more})

    assert code(asks()) == (422, "external_bank_account_required")
    assert code(asks(external_bank_account_guid=bobs)) == (404, "not_found")
    assert code(asks(a_firm(), external_bank_account_guid=bobs)) == (404, "not_found")
    assert code(asks(external_bank_account_guid="x")) == (400, "invalid_parameter")
    assert code(asks(transfer_type="book", external_bank_account_guid=own)) == (400, "invalid_parameter")
    status, made = asks(external_bank_account_guid=own)
    assert (status, made["external_bank_account_guid"]) == (201, own)
    assert made["destination_account"] == {
        "guid": own,
        "type": "external_bank_account",
        "customer_guid": alice.pk.hex,
    }
    assert made["remittance_reference"].startswith("RF")
    mine.http.delete(f"/api/external_bank_accounts/{own}")
    assert code(asks(external_bank_account_guid=own)) == (422, "external_bank_account_mismatch")


def test_an_account_that_was_deleted_after_the_payout_was_asked_for_is_paid_nothing(alice: Customer) -> None:
    """Guards: `_refuse_deleted_account` of payouts.py, `_may_go` of files.py, and the trigger
    `sent_to_its_bank_account`."""
    asked, approved = a_payout(alice, 100), a_payout(alice, 200)
    approves(approved)
    delete_bank_account(account_of(alice).pk, at=timezone.now())

    with pytest.raises(BankAccountDoesNotFit):
        approves(asked)
    with pytest.raises(NothingToSend, match="deleted"):
        a_file()
    made = PaymentFile.objects.create(
        format="csv",
        message_id="PF1",
        instructions_count=1,
        control_sums={},
        content=b"",
        sha256="",
        made_at=timezone.now(),
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=approved.pk).update(state="settling", payment_file=made)
    assert {refuses(one).failure_code for one in (asked, approved)} == {"refused"}
    assert (balance(alice), balance(alice, LEAVING)) == (usd("5_000.00"), 0)


def test_the_account_of_a_payout_never_changes(alice: Customer) -> None:
    """Guards: the triggers `never_changed` of payments and of bank accounts, and `of_its_bank_account`."""
    payment, another = a_payout(alice, 100), a_bank_account(alice, number="987654321")
    approves(payment)
    for change in ({"external_bank_account": another}, {"remittance_reference": "RF00"}, {"receive_amount": 1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Payment.objects.filter(pk=payment.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        ExternalBankAccount.objects.filter(pk=payment.external_bank_account_id).update(account_number="987654322")
    bobs = a_bank_account(a_customer("bob"))
    copy = uses(a_funding_quote(alice, "withdrawal", 100), bank_account_id=another.pk)
    copy.pk, copy.quote, copy.external_bank_account = bobs.pk, a_funding_quote(alice, "withdrawal", 100), bobs
    copy.remittance_reference, copy._state.adding = "RF1", True
    with pytest.raises(IntegrityError, match="bank account of its own customer"), transaction.atomic():
        copy.save(force_insert=True)


# --- files -----------------------------------------------------------------------------------------


def test_a_payout_is_in_one_file_and_a_repeat_is_the_same_bytes(alice: Customer) -> None:
    approves(a_payout(alice, 100))
    first = a_file().file

    for form in ("pain001", "csv"):
        with pytest.raises(NothingToSend):
            a_file(form)
    repeat = files.repeat_file("pain001", by=somebody(), at=timezone.now())

    assert (bytes(repeat.content), repeat.message_id, repeat.repeat_of) == (
        bytes(first.content),
        first.message_id,
        first,
    )
    with pytest.raises(NothingToSend):
        files.repeat_file("csv", by=somebody(), at=timezone.now())


def test_a_file_of_one_currency_leaves_the_others(alice: Customer) -> None:
    approves(a_payout(alice, 100))

    with pytest.raises(NothingToSend):
        a_file(asset="EUR")
    assert a_file(asset="USD").file.control_sums == {"USD": "100"}


def test_without_an_account_of_the_firms_nothing_is_sent(alice: Customer) -> None:
    given = GivenAccount(alice.pk, "EUR", "a", "Alice", "BIC", "COBADEFFXXX", "DE89370400440532013000")
    account = add_bank_account(given, by=SYSTEM, at=timezone.now())
    services.deposit(alice, "EUR", 1_000, "k", timezone.now(), "test")
    Asset.objects.filter(pk="EUR").update(adjustment_limit=LIMIT)
    payment = a_payment(alice, "withdrawal", 100, asset="EUR", bank_account_id=account.pk)
    approves(payment)

    with pytest.raises(NoOwnAccount, match="EUR"):
        a_file()
    payment.refresh_from_db()
    assert (payment.state, PaymentFile.objects.count()) == ("pending", 0)


def test_a_thousand_payouts_take_as_many_queries_as_two(alice: Customer, django_assert_max_num_queries) -> None:
    """Guard: `steps.sent`, one statement for all; `_verified`, one for all customers."""
    for _ in range(12):
        approves(a_payout(alice, 100))

    with django_assert_max_num_queries(24):
        assert a_file().file.instructions_count == 12


# --- what was sent may still be paid ---------------------------------------------------------------


def test_what_was_sent_is_refused_by_who_says_that_the_bank_has_stopped_it(alice: Customer) -> None:
    """Guard: the look at the file in `manual.refuse`. Else what is given back is paid by the bank, too."""
    payment = a_sent_payout(alice, usd("500.00"))

    with pytest.raises(MayStillBePaid):
        refuses(payment)
    assert refuses(payment, is_stopped=True).failure_code == "refused"
    assert (balance(alice), balance(alice, LEAVING)) == (usd("5_000.00"), 0)

    payment.refresh_from_db()
    assert books(debit(payment, "500.00")) == ["payment_has_ended"]  # whoever said so was wrong: somebody looks
    assert what_the_audit_finds() == []


def a_large_sent_payout(customer: Customer, amount: int = LIMIT + 1) -> Payment:
    """Approved by two, and in a file."""
    payment = a_payout(customer, amount)
    approves(payment)
    agrees(payment)
    a_file()
    return payment


def test_above_the_limit_two_persons_say_that_the_bank_has_stopped_it(alice: Customer) -> None:
    """Guards: `stops.said`, the look at who says it in `second_person.agree`. Else one person makes a sent payout of
    any size spendable again."""
    payment, ann, ben = a_large_sent_payout(alice), somebody(), somebody()

    for _ in range(2):
        assert stops(payment, ann).state == "settling"
    assert balance(alice, LEAVING) == LIMIT + 1
    with pytest.raises(MakerIsChecker):
        second_person.agree(payment.pk, by=ann, at=timezone.now())
    assert second_person.agree(payment.pk, by=ben, at=timezone.now()).state == "failed"

    payment.refresh_from_db()
    assert (payment.stopped_by_id, payment.stop_checked_by_id) == (ann.user_id, ben.user_id)
    assert (balance(alice), balance(alice, LEAVING)) == (usd("5_000.00"), 0)
    assert what_the_audit_finds() == []


def test_a_second_person_who_says_the_same_agrees(alice: Customer) -> None:
    payment = a_large_sent_payout(alice)
    stops(payment, somebody())

    assert stops(payment, somebody()).state == "failed"


def test_what_one_person_says_is_stopped_counts_for_a_day(alice: Customer) -> None:
    """Guard: `stopped` in `is_within_limit`. Else many payouts within the limit are as good as one above it."""
    first, second, ann = a_sent_payout(alice, LIMIT), a_sent_payout(alice, LIMIT), somebody()

    assert stops(first, ann).state == "failed"
    assert stops(second, ann).state == "settling"


def test_what_is_said_to_be_stopped_and_was_paid_is_completed(alice: Customer) -> None:
    payment = a_large_sent_payout(alice)
    stops(payment, somebody())

    assert books(debit(payment, "1000.01")) == ["matched"]
    with pytest.raises(PaymentStateForbids):
        second_person.agree(payment.pk, by=somebody(), at=timezone.now())
    assert what_the_audit_finds() == []


def test_nobody_stops_more_than_the_limit_alone_through_sql(alice: Customer) -> None:
    """Guards: the triggers `stopped_within_limit`, `stopped_by_somebody`, `stopped_once`, and the constraint."""
    payment, ann = a_large_sent_payout(alice), somebody()
    row, fails = Payment.objects.filter(pk=payment.pk), {"state": "failed", "failure_code": "refused"}
    for said in ({}, {"stopped_by_id": ann.user_id}, {"stopped_by_id": ann.user_id, "stop_checked_by_id": ann.user_id}):
        with pytest.raises(IntegrityError), transaction.atomic():
            row.update(**fails, **said)
    within = a_sent_payout(alice, 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=within.pk).update(**fails)
    stops(payment, ann)
    with pytest.raises(IntegrityError), transaction.atomic():
        row.update(stopped_by_id=somebody().user_id)


def test_what_was_sent_and_then_stopped_still_counts_for_who_approved_it(alice: Customer) -> None:
    """Guard: `payment_file__isnull` in `is_within_limit`. Else one person has the bank pay without end, and says each
    time that it was stopped."""
    ann, unsent = somebody(), a_payout(alice, LIMIT)
    approves(unsent, ann)
    refuses(unsent)
    sent = a_payout(alice, LIMIT)
    assert not approves(sent, ann).needs_checker
    a_file()
    refuses(sent, is_stopped=True)

    assert approves(a_payout(alice, 1), ann).needs_checker


def test_what_was_not_sent_is_refused_at_once_and_never_sent(alice: Customer) -> None:
    payment = a_payout(alice, 100)
    approves(payment)
    refuses(payment)

    with pytest.raises(NothingToSend):
        a_file()
    for act in (approves, agrees, refuses):
        with pytest.raises(PaymentStateForbids):
            act(payment)


# --- rails -----------------------------------------------------------------------------------------


def test_each_asset_takes_its_own_rail(alice: Customer, settings) -> None:
    """Guard: `rail_of`."""
    settings.PAYMENT_RAIL, settings.PAYMENT_RAILS = "manual", {"USD": "bank_file"}
    assert a_payout(alice, 100).rail == "bank_file"
    assert a_payment(alice, "deposit", 100, asset="EUR").rail == "manual"
    settings.PAYMENT_RAIL, settings.PAYMENT_RAILS = "bank_file", {}
    assert a_payment(alice, "deposit", 100, asset="BTC").rail == "manual"  # no bank keeps it


def test_a_payment_by_file_is_not_confirmed_by_hand(alice: Customer) -> None:
    """Guards: `_by_hand`, and `_pending` of payouts.py."""
    payout, deposit = a_payout(alice, 100), a_payment(alice, "deposit", 100)
    for payment in (payout, deposit):
        with pytest.raises(PaymentStateForbids):
            manual.confirm(payment.pk, reference="w1", by=somebody(), at=timezone.now())
        with pytest.raises(PaymentStateForbids):
            manual.agree(payment.pk, by=somebody(), at=timezone.now())
    with pytest.raises(PaymentStateForbids):
        approves(deposit)
    for act in (payouts.approve, payouts.agree):
        with pytest.raises(ActorRequired):
            act(payout.pk, by=SYSTEM, at=timezone.now())


def test_the_database_sends_nothing_that_was_not_approved_and_completes_nothing_without_an_entry(
    alice: Customer,
) -> None:
    """Guards: the constraints of payouts by file, the triggers `alone_within_limit`, `by_an_entry` and `filed_once`."""
    big, small, ann = a_payout(alice, LIMIT + 1), a_payout(alice, 100), somebody()
    made = PaymentFile.objects.create(
        format="csv",
        message_id="PF1",
        instructions_count=1,
        control_sums={},
        content=b"",
        sha256="",
        made_at=timezone.now(),
    )
    now = timezone.now()
    alone = {"made_by_id": ann.user_id, "approved_at": now}
    for payment, change in (
        (small, {"state": "settling"}),
        (small, {"state": "settling", "payment_file": made}),
        (small, {"state": "settling", **alone}),
        (small, {"payment_file": made}),
        (big, {"state": "settling", "payment_file": made, **alone}),
        (big, {"state": "settling", "payment_file": made, "needs_checker": True, **alone}),
        (
            big,
            {"state": "settling", "payment_file": made, "checked_by_id": ann.user_id, "needs_checker": True, **alone},
        ),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Payment.objects.filter(pk=payment.pk).update(**change)

    sent = a_sent_payout(alice, 100)
    for change in ({"state": "completed", "reference": "w1"}, {"payment_file": made}, {"approved_at": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Payment.objects.filter(pk=sent.pk).update(**change)
