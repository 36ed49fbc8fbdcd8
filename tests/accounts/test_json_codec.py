"""JSON carries every digit, in and out, and what can't be JSON here is refused before it is anywhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from accounts import json_codec

plain_values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(10**30), 10**30).map(Decimal)
    | some.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**20), max_value=10**20)
    | some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: some.lists(inner) | some.dictionaries(some.text("abc", min_size=1), inner),
    max_leaves=20,
)


@given(plain_values)
def test_what_is_written_is_read_back_digit_for_digit(value):
    def digits(item):
        if isinstance(item, bool) or item is None or isinstance(item, str):
            return item
        if isinstance(item, int | Decimal):
            return f"{Decimal(item):f}"
        if isinstance(item, list):
            return [digits(one) for one in item]
        return {key: digits(one) for key, one in item.items()}

    assert digits(json_codec.loads(json_codec.dumps(value))) == digits(value)


def test_a_decimal_keeps_its_trailing_zeros_and_never_an_exponent():
    assert json_codec.dumps({"profit": Decimal("125.50"), "tiny": Decimal("1E-18"), "wei": Decimal(10) ** 19}) == (
        b'{"profit":125.50,"tiny":0.000000000000000001,"wei":10000000000000000000}'
    )


def test_a_time_is_utc_with_milliseconds_and_an_id_has_no_dashes():
    at = datetime(2026, 1, 31, 13, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert json_codec.dumps([at, UUID(int=10)]) == b'["2026-01-31T12:00:00.999Z","0000000000000000000000000000000a"]'
    assert json_codec.dumps({"ids": (UUID(int=10),)}) == b'{"ids":["0000000000000000000000000000000a"]}'
    assert json_codec.timestamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nothing", b"[1,]", b"NaN", b"[Infinity]", b"-Infinity", b"1e400", b"[1e-400]", b"9" * 401,
     b"\xff", b"[" * 100_000, rb'"\u0000"', rb'"\ud800"', rb'{"\udc00": 1}', b'"\xed\xa0\x80"',
     '"a"'.encode("utf-16"), rb'"\u0000"'.decode().encode("utf-16-le"), b'\xef\xbb\xbf{}'],
)  # fmt: skip
def test_a_body_that_is_not_json_here_is_refused(body):
    with pytest.raises(json_codec.NotJSON):
        json_codec.loads(body)


def test_a_fraction_is_read_as_a_decimal_and_a_whole_number_as_an_integer():
    read = json_codec.loads(b'{"a":0.1,"b":10000000000000000000,"c":"\xf0\x9f\x90\x99"}')

    assert read == {"a": Decimal("0.1"), "b": 10**19, "c": "\N{OCTOPUS}"}
    assert isinstance(read["a"], Decimal)


@pytest.mark.parametrize(
    "body",
    [b'{"a":1,"a":1}', b'{"a":1,"b":2,"a":null}', b'[{"a":{"b":1,"b":2}}]', b'{"a":[],"\\u0061":{}}', b'{"":1,"":1}'],
)
def test_a_key_that_appears_twice_in_one_object_is_refused(body):
    """Guard: `_object`. Readers differ in which of the two they take, so what was asked for isn't known."""
    with pytest.raises(json_codec.NotJSON, match="A key appears twice in one object"):
        json_codec.loads(body)


def test_the_same_key_in_two_objects_is_no_repetition():
    assert json_codec.loads(b'{"a":{"a":1},"b":[{"a":2},{"a":3}]}') == {"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}


@given(some.binary(max_size=200) | some.text(max_size=200).map(lambda text: json.dumps(text).encode()))
def test_any_bytes_are_read_or_refused_and_never_crash(body):
    try:
        read = json_codec.loads(body)
    except json_codec.NotJSON:
        return
    json_codec.dumps(read) if not isinstance(read, int) else None
