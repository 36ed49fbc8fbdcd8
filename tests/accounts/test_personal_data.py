"""What a partner tells of a customer is kept once, bounded, apart from history, and without identification numbers."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import selectors, services
from accounts.errors import Malformed
from accounts.models import Customer, CustomerDetails, IdentificationNumber
from accounts.services import GivenNumber, NewCustomer, PersonalData
from tests.given import the_firm

pytestmark = pytest.mark.django_db

NOW = timezone.now()
SECRET = "123-45-6789"
ADA = PersonalData(
    first_name="Ada",
    middle_name="King",
    last_name="Lovelace",
    date_of_birth=date(1985, 12, 10),
    phone_number="+12025550123",
    email_address="ada@example.com",
    website="https://ada.example.com",
    street="1 Main Street",
    city="New York",
    subdivision="NY",
    postal_code="10001",
    country_code="US",
    identification_numbers=(GivenNumber("social_security_number", SECRET, "US"),),
)


def told(**fields: object) -> Customer:
    data = PersonalData(**fields)  # type: ignore[arg-type]
    return services.open_customers([NewCustomer(name="Ada Lovelace", details=data)], NOW)[0]


def test_what_was_told_is_kept_and_read_back_in_two_queries(django_assert_num_queries) -> None:
    made = services.open_customers([NewCustomer(name="Ada Lovelace", details=ADA) for _ in range(3)], NOW)

    with django_assert_num_queries(2):
        found = list(selectors.with_details(selectors.customers_seen_by(the_firm())))
        read = [selectors.details_of(customer) for customer in found]
        numbers = [[one.masked for one in each.identification_numbers.all()] for each in read if each]

    assert [customer.pk for customer in found] == [customer.pk for customer in reversed(made)]
    names = [name for name in PersonalData.__slots__ if name != "identification_numbers"]
    assert [[getattr(each, name) for name in names] for each in read] == [[getattr(ADA, name) for name in names]] * 3
    assert numbers == [["****6789"]] * 3


def test_a_customer_of_whom_nothing_was_told_has_no_details() -> None:
    (made,) = services.open_customers([NewCustomer()], NOW)

    assert selectors.details_of(selectors.with_details(Customer.objects.all()).get(pk=made.pk)) is None


def test_no_row_anywhere_has_an_identification_number_and_no_version_has_personal_data() -> None:
    """Guard: `_masked`, and the table of their own."""
    services.open_customers([NewCustomer(name="Ada Lovelace", details=ADA)], NOW)

    # GUIDs, digests and times stand there too: each text is one that none of them can have in it.
    whole = "".join(everything())
    assert "****6789" in whole
    assert SECRET not in whole
    assert "-45-6789" not in whole
    versions = "".join(everything("accounts_rowversion"))
    known = ("Lovelace", "1985-12-10", "+12025550123", "ada@", "Main Street", "****6789")
    assert [text for text in known if text in versions] == []


@pytest.mark.parametrize(("number", "kept"), [("1234567", "****"), ("12345678", "****5678"), ("x", "****")])
def test_of_a_short_number_nothing_is_kept(number: str, kept: str) -> None:
    told(identification_numbers=(GivenNumber("passport", number, "US"),))

    assert IdentificationNumber.objects.get().masked == kept


def test_a_number_that_is_not_masked_is_refused_by_the_table() -> None:
    """Guard: the CHECK identification_number_masked."""
    details = told().details

    with pytest.raises(IntegrityError, match="identification_number_masked"), transaction.atomic():
        IdentificationNumber.objects.create(
            details=details, type="passport", issuing_country_code="US", masked="12345678"
        )


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"first_name": "x" * 67}, "first_name"), ({"street": "x" * 201}, "street"), ({"city": "x" * 101}, "city"),
     ({"country_code": "us"}, "country_code"), ({"country_code": "USA"}, "country_code"),
     ({"subdivision": "N.Y."}, "subdivision"), ({"postal_code": "1" * 17}, "postal_code"),
     ({"email_address": "ada"}, "email_address"), ({"website": "javascript:alert(1)"}, "website"),
     ({"phone_number": "call me"}, "phone_number"), ({"date_of_birth": date(1899, 12, 31)}, "date_of_birth"),
     ({"date_of_birth": NOW.date() + timedelta(days=1)}, "date_of_birth"), ({"alias": "x" * 201}, "alias"),
     ({"identification_numbers": (GivenNumber("robot", SECRET, "US"),)}, "type"),
     ({"identification_numbers": (GivenNumber("passport", SECRET, "U"),)}, "issuing_country_code"),
     ({"identification_numbers": (GivenNumber("passport", "", "US"),)}, "identification_number"),
     ({"identification_numbers": (GivenNumber("passport", "*" * 9, "US"),)}, "identification_number"),
     ({"identification_numbers": (GivenNumber("passport", "1" * 65, "US"),)}, "identification_number"),
     ({"identification_numbers": (GivenNumber("passport", SECRET, "US"),) * 11}, "identification_numbers")],
)  # fmt: skip
def test_what_is_not_what_it_should_be_is_refused_by_name_and_nobody_is_made(fields, name) -> None:
    with pytest.raises(Malformed) as caught:
        told(**fields)

    assert caught.value.text.startswith(name)
    assert SECRET not in caught.value.text
    assert not Customer.objects.exists()


def test_details_never_change_and_are_not_erased_while_their_customer_is_not() -> None:
    """Guard: the triggers never_changed of both tables, and erased_with_customer (tests/trades/test_erasure.py)."""
    made = services.open_customers([NewCustomer(name="Ada Lovelace", details=ADA)], NOW)[0]

    for table, column in (("accounts_customerdetails", "city"), ("accounts_identificationnumber", "masked")):
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = '****'")

    with pytest.raises(IntegrityError, match="goes when its customer is erased"), transaction.atomic():
        CustomerDetails.objects.filter(customer=made).delete()
    assert IdentificationNumber.objects.exists()


def everything(*tables: str) -> list[str]:
    """Every row of these tables, or of all, as text."""
    with connection.cursor() as cursor:
        names = tables or tuple(connection.introspection.table_names(cursor))
        rows = []
        for name in names:
            cursor.execute(f'SELECT r::text FROM "{name}" r')
            rows += [text for (text,) in cursor.fetchall()]
    return rows
