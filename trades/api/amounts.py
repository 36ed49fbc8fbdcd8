"""Fee terms of a request body."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rest_framework.serializers import ValidationError

from accounts.money import MAX_AMOUNT
from accounts.rest.fields import Field, Schema
from quotes.quoting import FeeTerms

WHOLE_SHARE: Final = 10_000  # hundredths of a percent
_SPREAD: Final[Schema] = {
    "title": "SpreadFee",
    "type": "object",
    "required": ["type", "spread_fee"],
    "properties": {
        "type": {"type": "string", "enum": ["spread"]},
        "spread_fee": {"type": "integer", "minimum": 0, "maximum": WHOLE_SHARE - 1},
    },
}
_FIXED: Final[Schema] = {
    "title": "FixedFee",
    "type": "object",
    "required": ["type", "fixed_fee"],
    "properties": {
        "type": {"type": "string", "enum": ["fixed"]},
        "fixed_fee": {"type": "integer", "minimum": 0, "maximum": MAX_AMOUNT},
    },
}


class Fees(Field):
    """At most one of type spread (hundredths of a percent) and one of type fixed (counter base units).

    Absent: the instrument's own fee applies. An empty list means no fee.
    """

    schema: Schema = {"type": "array", "maxItems": 2, "items": {"oneOf": [_SPREAD, _FIXED]}}

    def to_internal_value(self, data: Any) -> FeeTerms:
        if not isinstance(data, list) or len(data) > 2 or not all(isinstance(fee, Mapping) for fee in data):
            self.refuse("must be a list of at most two objects")
        types = [fee.get("type") for fee in data]
        if any(type_ not in ("spread", "fixed") for type_ in types) or len(set(types)) != len(types):
            self.refuse("may hold one of type spread and one of type fixed")
        terms = {"spread": 0, "fixed": 0}
        for fee, type_ in zip(data, types, strict=True):
            if type_ == "spread":
                terms[type_] = _whole(fee.get("spread_fee"), "spread_fee", WHOLE_SHARE - 1, "hundredths of a percent")
            else:
                terms[type_] = _whole(fee.get("fixed_fee"), "fixed_fee", MAX_AMOUNT, "base units")
        return FeeTerms(Decimal(terms["spread"]), terms["fixed"])


def _whole(value: object, name: str, most: int, of: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValidationError(f"{name} must be a whole number of {of}, at least 0.")
    if value > most:
        raise ValidationError(f"{name} must be a whole number of {of}, at most {most}.")
    return value
