"""Array literals arrive in PostgreSQL as what was put in, whatever a text says."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection

from accounts.arrays import array
from trades.states import CloseReason

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (
            "text",
            ["", "NULL", "null", None, 'a "quote"', "back\\slash", "línea\n\ttab", "'; DROP --"],
        ),
        ("text", ["{curly}, comma", CloseReason.STOP_LOSS, None]),
        ("uuid", [uuid4(), None, uuid4()]),
        ("numeric", [0, -1, 10**38 - 1, Decimal("0.000000000000000001"), Decimal("-12.50"), Decimal("1E+20"), None]),
        ("timestamptz", [datetime(2026, 11, 21, 1, 2, 3, 456789, UTC), None]),
        ("text", ["order_margin", "", "NULL", "{a}, b", CloseReason.STOP_LOSS]),
        ("text", ["order_margin", 'a"', '"b']),
        ("text", ["back\\slash"]),
        ("uuid", [uuid4(), uuid4()]),
        ("numeric", [Decimal("1.50"), -3, 0]),
        ("boolean", [True, False, None]),
        ("text", []),
    ],
)
def test_values_come_back_as_they_went_in(type_: str, values: list[object]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT value FROM unnest(%s::{type_}[]) AS value", [array(values)])  # type: ignore[arg-type]
        assert [row[0] for row in cursor.fetchall()] == values


def test_a_value_without_an_exact_text_is_refused() -> None:
    for value in (1.5, b"x"):
        with pytest.raises(TypeError):
            array([value])  # type: ignore[list-item]
