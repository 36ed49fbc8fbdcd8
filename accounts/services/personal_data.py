"""What a partner tells of a customer: looked at, and kept once. The only code that writes it.

An identification number never reaches the database: what is kept says which document it was, and the number's last four
characters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from django.core.exceptions import ValidationError
from django.db.models import Model

from accounts.errors import Malformed
from accounts.models import Customer, CustomerDetails, IdentificationNumber

MOST_NUMBERS: Final = 10
LONGEST_NUMBER: Final = 64
_EARLIEST: Final = date(1900, 1, 1)
_SHOWN: Final = 4
_SHORTEST_SHOWN: Final = 8  # of a shorter number, four characters would be half of it or more


@dataclass(frozen=True, slots=True)
class GivenNumber:
    """A number of a document. `type` is one of `IdentificationNumber.Type`, the country ISO 3166 alpha-2."""

    type: str
    number: str
    issuing_country_code: str
    issuing_subdivision: str = ""


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Each text "" where it wasn't given. Country codes are ISO 3166 alpha-2, a subdivision without the country."""

    first_name: str = ""
    middle_name: str = ""
    last_name: str = ""
    alias: str = ""
    date_of_birth: date | None = None
    phone_number: str = ""
    email_address: str = ""
    website: str = ""
    street: str = ""
    street2: str = ""
    city: str = ""
    subdivision: str = ""
    postal_code: str = ""
    country_code: str = ""
    identification_numbers: tuple[GivenNumber, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class DetailRows:
    """What is to be written of one customer."""

    details: CustomerDetails
    numbers: list[IdentificationNumber]


def rows_of(customer: Customer, given: PersonalData, at: datetime) -> DetailRows:
    """The rows that keep this. Raises Malformed, and names the field, for what isn't what it should be."""
    if len(given.identification_numbers) > MOST_NUMBERS:
        raise Malformed(f"identification_numbers must be at most {MOST_NUMBERS}.")
    if given.date_of_birth is not None and not _EARLIEST <= given.date_of_birth <= at.date():
        raise Malformed(f"date_of_birth must be from {_EARLIEST} to today.")
    texts = {name: getattr(given, name) for name in PersonalData.__slots__ if name != "identification_numbers"}
    details = CustomerDetails(customer=customer, **texts)
    numbers = [_masked(details, one) for one in given.identification_numbers]
    for row in (details, *numbers):
        _refuse_malformed(row)
    return DetailRows(details, numbers)


def keep(rows: list[DetailRows]) -> None:
    """Write them. The customers are there."""
    CustomerDetails.objects.bulk_create([one.details for one in rows])
    IdentificationNumber.objects.bulk_create([number for one in rows for number in one.numbers])


def _masked(details: CustomerDetails, given: GivenNumber) -> IdentificationNumber:
    number = given.number.strip()
    if not 0 < len(number) <= LONGEST_NUMBER or not number.isprintable() or "*" in number:
        raise Malformed(f"identification_number must have 1 to {LONGEST_NUMBER} characters, none of them *.")
    return IdentificationNumber(
        details=details,
        type=given.type,
        issuing_country_code=given.issuing_country_code,
        issuing_subdivision=given.issuing_subdivision,
        masked="****" + (number[-_SHOWN:] if len(number) >= _SHORTEST_SHOWN else ""),
    )


def _refuse_malformed(row: Model) -> None:
    """By the columns' own validators: Malformed names the first field that is wrong, without its value."""
    try:
        row.clean_fields(exclude=("customer", "details"))
    except ValidationError as wrong:
        name, complaints = next(iter(wrong.message_dict.items()))
        raise Malformed(f"{name}: {complaints[0]}") from None
