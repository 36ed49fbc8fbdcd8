"""/api/external_bank_accounts: whose they are, which numbers are taken, and that what they say never changes."""

from __future__ import annotations

import json
import threading
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.errors import BankAccountExists
from accounts.identity import CUSTOMER_SCOPES, SYSTEM
from accounts.models import Customer, Event, ExternalBankAccount, RowVersion
from accounts.services.bank_accounts import GivenAccount, add_bank_account
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.given import a_customer, token_of, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff
from trades import erasure

pytestmark = pytest.mark.django_db

PATH = "/api/external_bank_accounts"
IBAN, BIC = "DE89370400440532013000", "COBADEFFXXX"
ABA = {
    "bank_code_type": "ABA",
    "bank_code": "021000021",
    "account_identifier": "123456789",
    "payment_rail": "ACH",
}
SEPA = {
    "bank_code_type": "BIC",
    "bank_code": BIC,
    "account_identifier": "DE89 3704 0044 0532 0130 00",
    "account_identifier_type": "IBAN",
    "payment_rail": "UNSPECIFIED",
}


def a_wish(customer: Customer | None = None, details: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    wish = {
        "name": "salary",
        "account_kind": "raw_routing_details",
        "asset": "USD",
        "counterparty_bank_account_details": [ABA if details is None else details],
        "counterparty_name": {"first": "Alice", "last": "Miller"},
        "counterparty_address": {"street": "1 Main St", "city": "Springfield", "country_code": "US"},
        "counterparty_email_address": "alice@example.com",
        **({} if customer is None else {"customer_guid": customer.pk.hex}),
        **changed,
    }
    return {name: value for name, value in wish.items() if value is not ...}


def deletes(api: Api, guid: str) -> tuple[int, Any]:
    answer = api.http.delete(f"{PATH}/{guid}")
    return answer.status_code, json.loads(answer.content)


@pytest.fixture
def firm() -> Api:
    return a_firm()


@pytest.fixture
def alice() -> Customer:
    return a_customer()


def test_a_bank_account_is_written_down_shown_and_deleted(firm: Api, alice: Customer) -> None:
    status, made = firm.post(PATH, a_wish(alice))

    assert status == 201
    assert (made["state"], made["asset"], made["name"], made["account_kind"]) == (
        *("completed", "USD", "salary"),
        "raw_routing_details",
    )
    assert "123456789" not in str(made)
    whole = firm.get(f"{PATH}/{made['guid']}", include_pii="true")[1]
    assert whole["pii"] == [
        {
            "names": ["Alice Miller"],
            "addresses": [
                {
                    "street": "1 Main St",
                    "street2": None,
                    "city": "Springfield",
                    "subdivision": None,
                    "postal_code": None,
                    "country_code": "US",
                }
            ],
            "email_addresses": ["alice@example.com"],
            "phone_numbers": [],
            "account_details": [{"account_number": "123456789"}],
            "routing_details": [{"routing_number_type": "ABA", "routing_number": "021000021"}],
        }
    ]
    assert firm.get(PATH, customer_guid=alice.pk.hex, asset="USD", state="completed")[1]["total"] == 1

    assert [deletes(firm, made["guid"])[1]["state"] for _ in range(2)] == ["deleted", "deleted"]
    assert firm.get(PATH, state="completed")[1]["total"] == 0
    kinds = Event.objects.filter(kind__startswith="external").order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["external_bank_account.completed", "external_bank_account.deleted"]
    assert what_the_audit_finds() == []


def test_an_iban_is_kept_as_its_country_writes_it(firm: Api, alice: Customer) -> None:
    assert firm.post(PATH, a_wish(alice, SEPA, asset="EUR"))[0] == 201

    kept = ExternalBankAccount.objects.get()
    assert (kept.account_number, kept.routing_number, kept.routing_type) == (IBAN, BIC, "BIC")


@pytest.mark.parametrize(
    ("details", "status", "why"),
    [
        (ABA | {"bank_code": "021000022"}, 400, "check digit"),
        (ABA | {"bank_code": "O21000021"}, 400, "check digit"),
        (ABA | {"bank_code": "٠٢١٠٠٠٠٢١"}, 400, "check digit"),
        (ABA | {"bank_code": None}, 400, "bank_code is required"),
        (ABA | {"account_identifier": "123"}, 400, "4 to 17 digits"),
        (ABA | {"account_identifier": "=1+1+1+1"}, 400, "4 to 17 digits"),
        (ABA | {"account_identifier": "1234 5678"}, 400, "4 to 17 digits"),
        (ABA | {"account_identifier_type": "IBAN"}, 422, "not_offered"),
        (ABA | {"bank_code_type": "CPA", "bank_code": "12345678"}, 400, "CPA"),
        (ABA | {"bank_code_type": "CLABE"}, 422, "not_offered"),
        (ABA | {"bank_code_type": "SWIFT"}, 400, "must be one of"),
        (SEPA | {"account_identifier": "DE89370400440532013001"}, 400, "is not an IBAN"),
        (SEPA | {"account_identifier": "DE89\u200b370400440532013000"}, 400, "is not an IBAN"),
        (SEPA | {"bank_code": "COBADEF"}, 400, "is not a BIC"),
        (SEPA | {"account_identifier_type": "EMAIL"}, 422, "not_offered"),
    ],
)
def test_a_number_that_cannot_be_paid_is_refused(firm, alice, details, status, why) -> None:
    """Guards: the checks of `bank_details.CHECKS`."""
    answer = firm.post(PATH, a_wish(alice, details))

    assert answer[0] == status, answer
    assert why in str(answer[1])
    assert not ExternalBankAccount.objects.exists()


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"account_kind": "plaid"}, (422, "external_bank_account_not_offered")),
        ({"counterparty_guid": UNKNOWN}, (422, "external_bank_account_not_offered")),
        ({"counterparty_bank_account_details": []}, (400, "invalid_parameter")),
        ({"counterparty_bank_account_details": [ABA, SEPA]}, (400, "invalid_parameter")),
        ({"counterparty_bank_account_details": ...}, (400, "invalid_parameter")),
        ({"counterparty_bank_account_details": [1]}, (400, "invalid_parameter")),
        ({"counterparty_name": ...}, (400, "invalid_parameter")),
        ({"counterparty_name": {"full": "=HYPERLINK(1)"}}, (400, "invalid_parameter")),
        ({"counterparty_name": {"full": "A\nB"}}, (400, "invalid_parameter")),
        ({"counterparty_name": {"full": "\u0301"}}, (400, "invalid_parameter")),
        ({"counterparty_name": {"full": "山田"}}, (400, "invalid_parameter")),
        ({"counterparty_name": {"full": "A" * 71}}, (400, "invalid_parameter")),
        ({"name": ...}, (400, "invalid_parameter")),
        ({"name": "a\u202eb"}, (400, "invalid_parameter")),
        ({"asset": "BTC"}, (400, "invalid_parameter")),
        ({"asset": "XXX"}, (400, "invalid_parameter")),
        ({"customer_guid": UNKNOWN}, (404, "not_found")),
        ({"customer_guid": ...}, (400, "invalid_parameter")),
    ],
)
def test_bad_bodies_change_nothing(firm: Api, alice: Customer, changed: Any, answer: Any) -> None:
    """Guard: among them `checked_holder`, for names of which a bank's file would keep nothing."""
    assert code(firm.post(PATH, a_wish(alice, **changed))) == answer
    assert not ExternalBankAccount.objects.exists()


@pytest.mark.parametrize("state", ["unverified", "frozen", "rejected"])
def test_who_is_not_verified_adds_none(firm: Api, alice: Customer, state: str) -> None:
    """Guard: the look at the state in `add_bank_account`."""
    Customer.objects.filter(pk=alice.pk).update(state=state)

    assert code(firm.post(PATH, a_wish(alice))) == (422, "customer_not_verified")


def test_it_is_its_customers_alone(firm: Api, alice: Customer) -> None:
    """Guard: `owner` of the viewset."""
    mine, theirs = Api(token_of(alice)), Api(token_of(a_customer("bob")))
    guid = mine.post(PATH, a_wish())[1]["guid"]

    assert theirs.get(PATH)[1]["total"] == 0
    assert code(theirs.get(f"{PATH}/{guid}")) == code(deletes(theirs, guid)) == (404, "not_found")
    assert code(theirs.post(PATH, a_wish(alice))) == (404, "not_found")
    assert mine.get(f"{PATH}/{guid}")[1]["state"] == "completed"


def test_each_call_asks_for_its_scope(alice: Customer) -> None:
    """Guards: `scopes` of the viewset, and the look at PII in `retrieve`."""
    guid = a_firm().post(PATH, a_wish(alice))[1]["guid"]
    for scope, statuses in (
        ("external_bank_accounts:read", (200, 403, 403, 403)),
        ("external_bank_accounts:execute", (403, 403, 201, 200)),
        ("external_bank_accounts:pii:read", (403, 403, 403, 403)),
    ):
        some = a_firm(frozenset({scope}))
        got = (
            some.get(f"{PATH}/{guid}")[0],
            some.get(f"{PATH}/{guid}", include_pii="true")[0],
            some.post(PATH, a_wish(alice, SEPA))[0],
            deletes(some, guid)[0],
        )
        assert got == statuses
    both = a_firm(frozenset({"external_bank_accounts:read", "external_bank_accounts:pii:read"}))
    assert both.get(f"{PATH}/{guid}", include_pii="true")[1]["pii"][0]["names"] == ["Alice Miller"]
    assert {"external_bank_accounts:read", "external_bank_accounts:execute"} <= CUSTOMER_SCOPES


def test_the_same_account_is_there_once_and_again_once_it_was_deleted(firm: Api, alice: Customer) -> None:
    """Guard: the unique `one_bank_account_of_a_customer`."""
    first = firm.post(PATH, a_wish(alice))[1]["guid"]

    assert code(firm.post(PATH, a_wish(alice, name="again"))) == (409, "data_exists")
    assert firm.post(PATH, a_wish(a_customer("bob")))[0] == 201  # a married couple has one account
    deletes(firm, first)
    assert firm.post(PATH, a_wish(alice))[0] == 201


@pytest.mark.django_db(transaction=True)
def test_two_who_add_the_same_account_at_once_make_one(alice: Customer) -> None:
    """Guard: the unique `one_bank_account_of_a_customer`; the lock on the customer alone would be enough for one."""
    given = GivenAccount(alice.pk, "USD", "salary", "Alice Miller", "ABA", "021000021", "123456789")
    ready, outcomes = threading.Barrier(2), []

    def adds() -> None:
        ready.wait()
        try:
            add_bank_account(given, by=SYSTEM, at=timezone.now())
            outcomes.append("made")
        except BankAccountExists:
            outcomes.append("exists")
        finally:
            connection.close()

    both = [threading.Thread(target=adds) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert sorted(outcomes) == ["exists", "made"]


def test_nobody_changes_one_through_sql(firm: Api, alice: Customer) -> None:
    """Guards: the triggers `never_changed`, `erased_or_as_it_was`, `erased_with_its_customer`, `legal_moves` and
    `never_deleted`, and the constraint `bank_account_is_whole_or_erased`."""
    guid = firm.post(PATH, a_wish(alice))[1]["guid"]
    row, at = ExternalBankAccount.objects.filter(pk=guid), timezone.now()
    empty = dict.fromkeys(ExternalBankAccount.PERSONAL, "")
    for change in (
        {"account_number": "987654321"},
        {"routing_number": "011000015"},
        {"holder": "Mallory"},
        {"customer_id": a_customer("bob").pk},
        {"asset_id": "EUR"},
        {**empty, "address": None, "state": "deleted", "erased_at": at},
        {"erased_at": at},
        {"salt": UNKNOWN},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            row.update(**change)
    whole = row.get()
    for name in ("holder", "routing_number", "account_number"):
        half = ExternalBankAccount(**{one.attname: getattr(whole, one.attname) for one in whole._meta.concrete_fields})
        half.pk, half.state = UUID(int=1), "deleted"
        setattr(half, name, "")
        with pytest.raises(IntegrityError), transaction.atomic():
            half.save(force_insert=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        row.delete()
    row.update(state="deleted")
    with pytest.raises(IntegrityError), transaction.atomic():
        row.update(state="completed")


def test_erasing_its_customer_empties_it(firm: Api, alice: Customer) -> None:
    """Guard: `erase` of accounts/services/erasing.py; the digests in its versions are then nobody's, too."""
    guid = firm.post(PATH, a_wish(alice))[1]["guid"]
    salt = ExternalBankAccount.objects.get().salt
    made = erasure.propose(alice.pk, reason="asked for it", by=a_member_of_staff().pk, at=timezone.now())

    erasure.carry_out(made.pk, by=a_member_of_staff("checker").pk, at=timezone.now())

    kept = ExternalBankAccount.objects.get()
    assert (kept.state, kept.holder, kept.account_number, kept.address) == ("deleted", "", "", None)
    assert kept.salt != salt
    assert firm.get(f"{PATH}/{guid}", include_pii="true")[1]["pii"] == []
    said = str(list(RowVersion.objects.filter(table_name="accounts_externalbankaccount").values_list("said")))
    assert not any(text in said for text in ("Miller", "123456789", "021000021", "alice@example.com", "Main St"))
    assert what_the_audit_finds() == []


def test_the_admin_shows_an_account_and_changes_none(firm: Api, alice: Customer) -> None:
    guid = firm.post(PATH, a_wish(alice))[1]["guid"]
    staff = a_member_of_staff()
    staff.is_superuser = True
    staff.save()
    client = Client()
    client.force_login(staff)

    assert b"salary" in client.get("/admin/accounts/externalbankaccount/").content
    page = client.get(f"/admin/accounts/externalbankaccount/{guid}/change/").content
    assert b"021000021" in page
    assert client.get("/admin/accounts/externalbankaccount/add/").status_code == 403
