"""Fields of bodies and of query strings. Each says what is wrong with a value in one sentence that names the field,
and tells its own JSON Schema.

On the way in, a field that is null is absent, and so is a text that is "". Strings come without NUL and lone surrogates
(`accounts.json_codec`), so their length is all that PostgreSQL could still refuse. On the way out, values go to the
renderer as they are: it prints a Decimal digit for digit, a time in UTC milliseconds and a UUID as 32 hex characters,
so no number ever becomes a float.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final, NoReturn
from uuid import UUID

from rest_framework import serializers
from rest_framework.fields import empty

from accounts.ids import parse_guid
from accounts.models.labels import LONGEST_LABEL, MOST_LABELS
from accounts.money import MAX_AMOUNT
from accounts.timestamps import parse_timestamp

Schema = dict[str, Any]

A_GUID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
A_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
NO_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f"  # in a class of a regular expression
SHOWN_TIME: Final[Schema] = A_TIME | {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}


def whole(text: str, least: int, most: int) -> int | None:
    """The whole number that a text is, None where it is none within these bounds."""
    number = int(text) if re.fullmatch("[0-9]{1,10}", text) else None
    return number if number is not None and least <= number <= most else None


class Field(serializers.Field[Any, Any, Any, Any]):
    """One that is given as itself, whatever it is; others say more. `taken`: the schema of a request's, if another."""

    schema: Schema = {}
    taken: Schema = {}

    def __init__(self, **options: Any) -> None:
        options.setdefault("required", False)
        super().__init__(**options)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return super().validate_empty_values(empty if data is None else data)

    def fail(self, key: str, **_: Any) -> NoReturn:
        """Raises ValidationError with the field's name before what is wrong."""
        self.refuse("is required" if key == "required" else "is invalid")

    def refuse(self, what: str) -> NoReturn:
        """Raises ValidationError: "<name> <what>."."""
        raise serializers.ValidationError(f"{self.field_name} {what}.")

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class Guid(Field):
    schema = A_GUID

    def to_internal_value(self, data: Any) -> UUID:
        found = parse_guid(data)
        if found is None:
            self.refuse("must be a guid of 32 lowercase hex characters")
        return found


class Verbatim(Field):
    """A string as it is, its blanks included: a password's are part of it. "" is absent."""

    needed: Schema = {"minLength": 1}  # what a request's schema says of one that is required

    def __init__(self, *, longest: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.longest = longest
        self.schema = {"type": "string"} | ({} if longest is None else {"maxLength": longest})
        self.taken = self.schema | (self.needed if self.required else {})

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return super().validate_empty_values(None if data == "" else data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.refuse("must be a string")
        if self.longest is not None and len(data) > self.longest:
            self.refuse(f"must have at most {self.longest} characters")
        return data


class Text(Verbatim):
    """A string without the blanks around it."""

    needed = {"pattern": r"\S"}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.refuse("must be a string")
        text = data.strip()
        if (self.longest is not None and len(data) > self.longest) or (self.required and not text):
            self.refuse(f"must have 1 to {self.longest} characters")
        return text


class Choice(Field):
    """A value of a closed list."""

    def __init__(self, known: Collection[str], **options: Any) -> None:
        super().__init__(**options)
        self.known = tuple(known)
        self.schema = {"type": "string", "enum": list(known)}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.known:
            self.refuse(f"must be one of {', '.join(self.known)}")
        return data


class Choices(Field):
    """A list of values of a closed list, each once."""

    def __init__(self, known: Collection[str], **options: Any) -> None:
        super().__init__(**options)
        self.known = tuple(known)
        self.schema = {"type": "array", "items": {"type": "string", "enum": list(known)}, "minItems": 1}

    def to_internal_value(self, data: Any) -> list[str]:
        fits = isinstance(data, list) and data
        if not fits or not all(isinstance(one, str) and one in self.known for one in data):
            self.refuse(f"must be a list of some of {', '.join(self.known)}")
        return sorted(set(data))


class YesNo(Field):
    schema = {"type": "boolean"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.refuse("must be true or false")
        return data


class Whole(Field):
    """A whole number within bounds. `1.0`, `"1"` and `true` are none."""

    def __init__(self, *, least: int, most: int, of: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.least, self.most, self.of = least, most, f" of {of}" if of else ""
        self.schema = {"type": "integer", "minimum": least, "maximum": most}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int) or data < self.least:
            self.refuse(f"must be a whole number{self.of}, at least {self.least}")
        if data > self.most:
            self.refuse(f"must be a whole number{self.of}, at most {self.most}")
        return data

    def to_representation(self, value: Any) -> Decimal:
        return Decimal(value)  # wei exceed 64 bits: printed from Decimal


class WholeText(Whole):
    """A whole number in a query string."""

    def to_internal_value(self, data: Any) -> int:
        number = whole(data, self.least, self.most)
        if number is None:
            self.refuse(f"must be a whole number from {self.least} to {self.most}")
        return number


class Amount(Whole):
    """An amount in base units of its asset: cents of USD, satoshis of BTC, wei of ETH."""

    def __init__(self, *, least: int = 1, **options: Any) -> None:
        super().__init__(least=least, most=MAX_AMOUNT, of="base units", **options)


class SignedAmount(Whole):
    """A difference of amounts in base units."""

    def __init__(self, **options: Any) -> None:
        super().__init__(least=-MAX_AMOUNT, most=MAX_AMOUNT, **options)


class Count(Whole):
    """How many there are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(least=0, most=MAX_AMOUNT, **options)


class Labels(Field):
    schema = {
        "type": "array",
        "maxItems": MOST_LABELS,
        "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL},
    }

    def to_internal_value(self, data: Any) -> list[str]:
        fits = isinstance(data, list) and len(data) <= MOST_LABELS
        if not fits or not all(isinstance(label, str) and 0 < len(label) <= LONGEST_LABEL for label in data):
            self.refuse(f"must be at most {MOST_LABELS} strings of 1 to {LONGEST_LABEL} characters")
        return list(data)


class Time(Field):
    """ISO 8601; shown in UTC, with milliseconds and `Z`."""

    schema = SHOWN_TIME
    taken = A_TIME

    def to_internal_value(self, data: Any) -> datetime:
        at = parse_timestamp(data) if isinstance(data, str) else None
        if at is None:
            self.refuse("must be a time such as 2026-01-31T12:00:00.000Z")
        return at


class Number(Field):
    """An exact decimal: a price, a quantity, money of the margin account. Shown as a JSON number, digit for digit."""

    schema = {"type": "number"}


class Of(Field):
    """Shown only: what a function makes of the row."""

    def __init__(self, function: Callable[[Any], Any], schema: Schema, **options: Any) -> None:
        super().__init__(source="*", **options)
        self.function = function
        self.schema = schema

    def to_representation(self, value: Any) -> Any:
        return self.function(value)


class Objects(serializers.ListSerializer[Any]):
    """A list of JSON objects in a body."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list) or not all(isinstance(one, Mapping) for one in data):
            raise serializers.ValidationError([f"{self.field_name} must be a list of objects."])
        return list(super().to_internal_value(data))


class Body(serializers.Serializer[Any]):
    """A JSON object. Unknown names are ignored.

    `rules`: what its JSON Schema says besides the fields.
    """

    class Meta:
        list_serializer_class = Objects

    rules: ClassVar[Schema] = {}
    default_error_messages = {"null": "The body must be a JSON object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            name = f"{self.field_name} must be an object." if self.field_name else "The body must be a JSON object."
            raise serializers.ValidationError(name)
        found: dict[str, Any] = super().to_internal_value(data)
        return found


class Shown(serializers.Serializer[Any]):
    """What is shown of a row. Those of `optional` are left out where they would be null."""

    optional: frozenset[str] = frozenset()

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        for name, field in fields.items():
            field.required = name not in self.optional
        return fields

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        for name in self.optional:
            if shown[name] is None:
                del shown[name]
        return shown
