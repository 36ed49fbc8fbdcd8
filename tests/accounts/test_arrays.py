"""Array literals arrive in PostgreSQL as what was put in, whatever a text says."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection

from accounts.arrays import array, codes, numbers, uuids
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
        ("text", []),
    ],
)
def test_values_come_back_as_they_went_in(type_: str, values: list[object]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT value FROM unnest(%s::{type_}[]) AS value", [array(values)])  # type: ignore[arg-type]
        assert [row[0] for row in cursor.fetchall()] == values


def test_what_has_no_exact_text_is_refused() -> None:
    with pytest.raises(TypeError):
        array([1.5])  # type: ignore[list-item]


def test_the_quick_ways_say_what_the_general_one_does() -> None:
    ids, amounts, words = [uuid4(), uuid4()], [Decimal("1.50"), -3, 0], ["order_margin", "BTC-USD"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT %s::uuid[] = %s::uuid[], %s::numeric[] = %s::numeric[], %s::text[] = %s::text[]",
            [uuids(ids), array(ids), numbers(amounts), array(amounts), codes(words), array(words)],
        )
        assert cursor.fetchone() == (True, True, True)
    assert uuids([]) == numbers([]) == codes([]) == array([]) == "{}"
