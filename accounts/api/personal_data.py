"""What a partner tells of a customer, in and out. An identification number is shown by its last four characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from accounts.errors import Malformed
from accounts.models import Customer, CustomerDetails, IdentificationNumber
from accounts.rest import fields
from accounts.selectors import details_of
from accounts.services import GivenNumber, PersonalData

LONGEST_NAME = 66
LONGEST_FULL_NAME = 200


class Day(fields.Field):
    schema = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}

    def to_internal_value(self, data: Any) -> date:
        try:
            is_written_so = isinstance(data, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", data)
            return date.fromisoformat(data if is_written_so else "")
        except ValueError:
            self.refuse("must be a date such as 1990-01-31")

    def to_representation(self, value: Any) -> Any:
        return value.isoformat()


class NameIn(fields.Body):
    """`full`, or the parts of a name."""

    full = fields.Text(longest=LONGEST_FULL_NAME)
    first = fields.Text(longest=LONGEST_NAME)
    middle = fields.Text(longest=LONGEST_NAME)
    last = fields.Text(longest=LONGEST_NAME)


class AliasIn(fields.Body):
    full = fields.Text(longest=LONGEST_FULL_NAME, required=True)


class AddressIn(fields.Body):
    street = fields.Text(longest=200, required=True)
    street2 = fields.Text(longest=200)
    city = fields.Text(longest=100, required=True)
    subdivision = fields.Text(longest=3, help_text="ISO 3166-2, without the country.")
    postal_code = fields.Text(longest=16)
    country_code = fields.Text(longest=2, required=True, help_text="ISO 3166 alpha-2.")


class NumberIn(fields.Body):
    type = fields.Choice(IdentificationNumber.Type.values, required=True)
    issuing_country_code = fields.Text(longest=2, required=True, help_text="ISO 3166 alpha-2.")
    identification_number = fields.Text(longest=64, required=True, help_text="Kept by its last four characters.")


class PersonalDataIn(fields.Body):
    """What may be told of a customer beside its type."""

    name = NameIn(required=False, allow_null=True)
    aliases = AliasIn(many=True, required=False, allow_null=True, help_text="One at most.")
    address = AddressIn(required=False, allow_null=True)
    date_of_birth = Day()
    phone_number = fields.Text(longest=32)
    email_address = fields.Text(longest=254)
    website = fields.Text(longest=200)
    identification_numbers = NumberIn(many=True, required=False, allow_null=True)


_TEXT = {"type": ["string", "null"]}
_PARTS = ("first", "middle", "last", "full")
_ADDRESS = ("street", "street2", "city", "subdivision", "postal_code", "country_code")
A_NAME = {"type": "object", "required": list(_PARTS), "properties": dict.fromkeys(_PARTS, _TEXT)}
AN_ADDRESS = {"type": "object", "required": list(_ADDRESS), "properties": dict.fromkeys(_ADDRESS, _TEXT)}
ALIASES = {
    "type": "array",
    "items": {"type": "object", "required": ["full"], "properties": {"full": {"type": "string"}}},
}


_NUMBER = ("type", "issuing_country_code", "identification_number")
A_NUMBER = {"type": "object", "required": list(_NUMBER), "properties": {name: {"type": "string"} for name in _NUMBER}}


def shown_name(customer: Customer, details: CustomerDetails | None = None) -> dict[str, str | None] | None:
    """The one text of a name, and its parts where they may be shown."""
    if not customer.name:
        return None
    parts = {part: (details and getattr(details, f"{part}_name")) or None for part in ("first", "middle", "last")}
    return {**parts, "full": customer.name}


def one_text(name: Mapping[str, str]) -> str:
    return name.get("full") or " ".join(name[part] for part in ("first", "middle", "last") if name.get(part))


def given(body: Mapping[str, Any]) -> PersonalData | None:
    """The personal data of a body that `PersonalDataIn` has read; None where there is nothing but a full name.

    Raises Malformed.
    """
    name, address = body.get("name") or {}, body.get("address") or {}
    aliases, numbers = body.get("aliases") or [], body.get("identification_numbers") or []
    if len(aliases) > 1:
        raise Malformed("aliases has one of them at most.")
    told: dict[str, Any] = {
        **{f"{part}_name": name.get(part, "") for part in ("first", "middle", "last")},
        **{part: address.get(part, "") for part in _ADDRESS},
        **{part: body.get(part, "") for part in ("phone_number", "email_address", "website")},
        "alias": aliases[0]["full"] if aliases else "",
        "date_of_birth": body.get("date_of_birth"),
        "identification_numbers": tuple(
            GivenNumber(one["type"], one["identification_number"], one["issuing_country_code"]) for one in numbers
        ),
    }
    return PersonalData(**told) if any(told.values()) else None


class NumberOut(fields.Shown):
    type = fields.Choice(IdentificationNumber.Type.values)
    issuing_country_code = fields.Text()
    identification_number = fields.Text(source="masked", help_text="****6789")


def _address(customer: Customer) -> dict[str, str | None] | None:
    details = details_of(customer)
    if details is None or not details.street:
        return None
    return {part: getattr(details, part) or None for part in _ADDRESS}


def _aliases(customer: Customer) -> list[dict[str, str]] | None:
    details = details_of(customer)
    return [{"full": details.alias}] if details is not None and details.alias else None


def _told(name: str) -> Any:
    def read(customer: Customer) -> Any:
        value = getattr(details_of(customer), name, None) or None
        return value.isoformat() if isinstance(value, date) else value

    return read


def _numbers(customer: Customer) -> list[Any] | None:
    details = details_of(customer)
    found = list(details.identification_numbers.all()) if details is not None else []
    return list(NumberOut(found, many=True).data) or None


class PersonalDataOut(fields.Shown):
    """Each is left out where nothing was told."""

    name = fields.Of(lambda customer: shown_name(customer, details_of(customer)), A_NAME)
    address = fields.Of(_address, AN_ADDRESS)
    aliases = fields.Of(_aliases, ALIASES)
    date_of_birth = fields.Of(_told("date_of_birth"), Day.schema)
    phone_number = fields.Of(_told("phone_number"), {"type": "string"})
    email_address = fields.Of(_told("email_address"), {"type": "string"})
    website = fields.Of(_told("website"), {"type": "string"})
    identification_numbers = fields.Of(_numbers, {"type": "array", "items": A_NUMBER})


PERSONAL = frozenset(PersonalDataOut._declared_fields)
