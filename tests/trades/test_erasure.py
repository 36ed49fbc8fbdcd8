"""Personal data is erased by two persons once nothing is owed; the books and their audit stay as they were."""

from __future__ import annotations

import io
import json
from datetime import date
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import services, tokens
from accounts.errors import CustomerStateForbids, InvalidCredentials, InvalidToken, Malformed
from accounts.models import Customer, CustomerDetails, IdentificationNumber, KnownAddress, User
from accounts.services import GivenNumber, NewCustomer, PersonalData
from tests.accounts.calls import Api, the_firm
from tests.accounts.sealing import named, seal, tampered
from tests.admin.actions import act, edited, logged_in, said
from tests.given import a_customer, a_settling_buy, btc, btc_at, deposit, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, why
from trades import erasure
from trades.corrections.propose import propose_adjustment
from trades.errors import MakerIsChecker
from trades.models import Erasure

pytestmark = pytest.mark.django_db

NOW = timezone.now()
# Each is a text that no GUID, digest, salt of a password, session or time has in it by chance.
KNOWN = ("Zebedee", "Quimby", "zebedee@", "1985-12-10", "+12025550123", "Sesame", "vip-zq", "****3ZQX")
ZEBEDEE = PersonalData(
    first_name="Zebedee",
    last_name="Quimby",
    date_of_birth=date(1985, 12, 10),
    phone_number="+12025550123",
    email_address="zebedee@example.com",
    street="1 Sesame Street",
    country_code="US",
    identification_numbers=(GivenNumber("passport", "98Q76543ZQX", "US"),),
)


def zebedee() -> Customer:
    """Of whom everything is known that can be: a login, details, a name of an account, labels, an address."""
    user = User.objects.create_user("zebedee@example.com", "correct horse 7", name="Zebedee Quimby")
    one = NewCustomer(user=user, name="Zebedee Quimby", labels=["vip-zq"], details=ZEBEDEE, state="verified")  # type: ignore[arg-type]
    (customer,) = services.open_customers([one], NOW)
    services.open_account(customer, "BTC", "trading", "Zebedee's coins", ["vip-zq"])
    services.note_address("zebedee@example.com", "192.0.2.77", NOW)
    return customer


def maker_and_checker() -> tuple[User, User]:
    return a_member_of_staff(), a_member_of_staff("checker")


def proposed(customer: Customer, maker: User | None = None) -> Erasure:
    by = maker or a_member_of_staff()
    return erasure.propose(customer.pk, reason="asked for by letter 7", by=by.pk, at=NOW)


def erased(customer: Customer) -> Erasure:
    return erasure.carry_out(proposed(customer).pk, by=a_member_of_staff("checker").pk, at=NOW)


def everything() -> str:
    """Every row of every table, as text."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT coalesce(string_agg(r::text, chr(10)), '') FROM \"{table}\" r")
            rows.append(cursor.fetchone()[0])
    return "\n".join(rows)


# --- what is left ------------------------------------------------------------------------------------


def test_no_row_of_any_table_says_anything_of_the_person_any_more_history_included() -> None:
    """Guards: each line of `accounts.services.erasing.erase`, and the salted digests in versions of rows."""
    customer = zebedee()
    services.decide_on_customer(customer.pk, "frozen", NOW)  # versions of before
    Customer.objects.filter(pk=customer.pk).update(name="Zebedee B. Quimby")
    assert [text for text in KNOWN if text not in everything()] == []

    erased(customer)

    assert [text for text in (*KNOWN, "192.0.2.77") if text in everything()] == []
    assert not CustomerDetails.objects.exists()
    assert not IdentificationNumber.objects.exists()
    assert not KnownAddress.objects.exists()


def test_what_versions_said_of_a_name_cant_be_tried_out_once_the_salt_is_gone() -> None:
    """Guard: the new salts in `erase`. A name has few possibilities: a digest whose salt is known is as good as it."""
    customer = zebedee()
    salts = {str(Customer.objects.get(pk=customer.pk).salt), str(User.objects.get(pk=customer.user_id).salt)}

    erased(customer)

    assert [salt for salt in salts if salt in everything()] == []


def test_the_books_stay_and_the_audit_finds_nothing_before_and_after() -> None:
    customer = zebedee()
    deposit(customer, "USD", "100.00")
    services.withdraw(customer, "USD", usd("100.00"), "wire-1", NOW, "test")
    seal()

    erased(customer)

    assert named() == set()
    assert what_the_audit_finds() == []
    seal()
    assert named() == set()
    assert customer.ledger_accounts.get(asset="USD", type="available").credits == usd("100.00")


def test_who_adds_or_changes_a_name_around_the_versions_is_named_still() -> None:
    """Guard: `Versioned.salted`: a digest tells a change as well as the name did."""
    customer = a_customer()
    tampered("UPDATE accounts_customer SET name = 'Mallory' WHERE id = %s", customer.pk)

    assert ("versions of accounts_customer", customer.pk.hex) in named()


# --- what the customer can do afterwards -------------------------------------------------------------


def test_the_login_is_closed_and_its_address_is_free() -> None:
    customer = zebedee()
    pair = tokens.trader_pair(User.objects.get(pk=customer.user_id))

    erased(customer)

    with pytest.raises(InvalidCredentials):
        services.authenticate("zebedee@example.com", "correct horse 7")
    assert Api(pair.access).get("/api/accounts").status == 401
    with pytest.raises(InvalidToken):
        tokens.rotate(pair.refresh)
    assert services.create_customer("zebedee@example.com", "correct horse 8", "", NOW).pk != customer.pk


def test_an_erased_customer_is_never_verified_again_and_gets_no_quote() -> None:
    """Guards: `erased_at` in `customer_states._moved`, and the CHECK customer_erased_for_good behind it."""
    btc_at("40_000.00")
    customer, firm = zebedee(), the_firm()
    erased(customer)
    path = f"/api/customers/{customer.pk.hex}"

    with pytest.raises(CustomerStateForbids):
        services.decide_on_customer(customer.pk, "verified", NOW)
    assert firm.call("PATCH", path, {"state": "unverified"}).status == 422
    with pytest.raises(IntegrityError, match="customer_erased_for_good"), transaction.atomic():
        Customer.objects.filter(pk=customer.pk).update(state="unverified")
    with pytest.raises(IntegrityError), transaction.atomic():
        Customer.objects.filter(pk=customer.pk).update(erased_at=None)
    wanted = {"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000, "customer_guid": customer.pk.hex}
    assert firm.post("/api/quotes", wanted).body["message_code"] == "customer_not_verified"
    shown = firm.get(path, include_pii="true").body
    assert (shown["state"], "name" in shown, shown["labels"]) == ("rejected", False, None)


# --- when it is possible -----------------------------------------------------------------------------


def test_what_is_still_needed_is_not_erased_and_the_sentence_says_what_that_is() -> None:
    btc_at("40_000.00")
    rich, trading, waiting = a_customer(with_usd="0.01"), a_customer(with_usd="50_000.00"), a_customer()
    a_settling_buy(trading, btc("0.1"))
    propose_adjustment(waiting.pk, "USD", usd("5_000.00"), "credit", **why())
    staff = a_customer()
    User.objects.filter(pk=staff.user_id).update(is_staff=True)

    for customer, sentence in (
        (rich, "USD is not at zero"),
        (trading, "trades are under way"),
        (waiting, "a correction waits"),
        (staff, "a member of staff's"),
    ):
        with pytest.raises(erasure.StillNeeded, match=sentence):
            proposed(customer)
    assert not Erasure.objects.exists()


def test_money_that_came_after_the_proposal_stops_it() -> None:
    """Guard: `_refuse_needed` in `carry_out`."""
    customer = zebedee()
    one = proposed(customer)
    deposit(customer, "USD", "1.00")

    with pytest.raises(erasure.StillNeeded, match="USD is not at zero"):
        erasure.carry_out(one.pk, by=a_member_of_staff("checker").pk, at=NOW)
    assert (Erasure.objects.get().state, CustomerDetails.objects.count()) == ("proposed", 1)


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "two\nlines"])
def test_a_reason_is_needed(reason: str) -> None:
    with pytest.raises(Malformed):
        erasure.propose(a_customer().pk, reason=reason, by=a_member_of_staff().pk, at=NOW)


# --- two persons -------------------------------------------------------------------------------------


def test_whoever_proposed_it_cant_carry_it_out_in_python_or_through_sql() -> None:
    """Guards: MakerIsChecker, the constraints, and the triggers proposed_first, erased_by_two, erased_with_customer."""
    maker, checker = maker_and_checker()
    customer = zebedee()
    one = proposed(customer, maker)

    with pytest.raises(MakerIsChecker):
        erasure.carry_out(one.pk, by=maker.pk, at=NOW)
    for sql, guard in (
        ("UPDATE trades_erasure SET state = 'done', checked_by_id = made_by_id, decided_at = now()", "maker_is_not"),
        ("UPDATE trades_erasure SET state = 'done', decided_at = now()", "done_by_a_checker"),
        ("UPDATE accounts_customer SET name = '', labels = NULL, state = 'rejected', erased_at = now()", "two persons"),
        ("DELETE FROM accounts_identificationnumber; DELETE FROM accounts_customerdetails", "customer is erased"),
        ("DELETE FROM trades_erasure", "trades_erasure"),
        (
            "INSERT INTO trades_erasure (id, customer_id, state, reason, made_by_id, made_at, checked_by_id,"
            f" decided_at) SELECT gen_random_uuid(), customer_id, 'done', 'x', made_by_id, now(), '{checker.pk}', now()"
            " FROM trades_erasure",
            "begins as a proposal",
        ),
    ):
        with pytest.raises(IntegrityError, match=guard), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    with pytest.raises(erasure.ErasureExists):
        proposed(customer)
    erasure.carry_out(one.pk, by=checker.pk, at=NOW)
    with pytest.raises(erasure.ErasureDecided):
        erasure.carry_out(one.pk, by=checker.pk, at=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        Erasure.objects.update(state="refused")


def test_a_refused_one_may_be_proposed_anew() -> None:
    maker, checker = maker_and_checker()
    customer = zebedee()

    assert erasure.refuse(proposed(customer, maker).pk, by=maker.pk, at=NOW).checked_by_id is None
    assert erasure.refuse(proposed(customer, maker).pk, by=checker.pk, at=NOW).checked_by_id == checker.pk
    assert proposed(customer, maker).state == "proposed"
    assert CustomerDetails.objects.exists()


# --- how people do it --------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    out = io.StringIO()
    call_command("erase_customer", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_by_commands() -> None:
    maker, checker = maker_and_checker()
    customer = zebedee()

    made = run("propose", "zebedee@example.com", "--reason", "letter 7", "--by", maker.email)
    with pytest.raises(CommandError, match="can't carry it out"):
        run("carry-out", made["guid"], "--by", maker.email)
    done = run("carry-out", made["guid"], "--by", checker.email)

    assert (made["state"], done["state"], done["customer_guid"]) == ("proposed", "done", customer.pk.hex)
    assert [one["checked_by"] for one in run("list")["erasures"]] == [checker.email]
    assert not CustomerDetails.objects.exists()


def test_by_the_admin_whose_log_names_nobody() -> None:
    """Guard: `NamesNobody`. The admin's log is never removed."""
    customer = zebedee()
    maker, checker = logged_in("maker@firm.example"), logged_in("checker@firm.example")
    page = f"/admin/accounts/customer/{customer.pk}/change/"
    form = {"name": "Zebedee B. Quimby", "type": "individual", "state": "verified", "labels": "vip-zq"}
    assert edited(maker, page, form).status_code == 302
    assert LogEntry.objects.get().object_repr == str(customer.pk)

    act(maker, "accounts_customer_propose_erasure", customer.pk, reason="letter 7")
    one = Erasure.objects.get()
    assert said(act(maker, "trades_erasure_carry_out", one.pk)) == ["Whoever proposed an erasure can't carry it out."]
    for _ in range(2):  # a dialog that is sent twice
        assert said(act(checker, "trades_erasure_carry_out", one.pk)) == ["The personal data is erased."]

    assert Erasure.objects.get().state == "done"
    assert b"Erased" in maker.get(page).content
    assert [text for text in KNOWN if text in everything()] == []
