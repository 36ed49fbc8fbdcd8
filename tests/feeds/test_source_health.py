"""How the sources are is told for people; what somebody else wrote there is left out."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command

from accounts import streams
from quotes import source_health
from quotes.prices import clock

GOOD = {
    "at": 1764493736000,
    "is_connected": True,
    "last_message": 1764493735900,
    "messages": 7,
    "connections": 1,
    "gaps": 2,
    "repeated": 0,
    "garbage": 3,
    "trouble": "",
}


@pytest.fixture(autouse=True)
def nothing_left_over():
    streams.client().delete(source_health.KEY)
    yield
    streams.client().delete(source_health.KEY)


def said(*options: str) -> str:
    out = StringIO()
    call_command("feed_sources", *options, stdout=out)
    return out.getvalue().strip()


def test_each_source_is_a_line_or_an_object():
    now = clock()
    source_health.tell(
        {
            "kraken": GOOD | {"at": now - 1100, "last_message": now - 2500},
            "oanda": GOOD
            | {"at": now, "is_connected": False, "last_message": None, "trouble": "the stream answers 401"},
        }
    )

    assert said().splitlines() == [
        "kraken: connected, last message 2 s ago; 7 messages, 1 connections, 2 gaps, 0 repeated, 3 garbage;"
        " told 1 s ago",
        "oanda: away, last message never; 7 messages, 1 connections, 2 gaps, 0 repeated, 3 garbage; told 0 s ago;"
        " the stream answers 401",
    ]
    found = json.loads(said("--json"))["sources"]
    assert (found["kraken"]["connected"], found["kraken"]["gaps"], found["oanda"]["trouble"]) == (
        True,
        2,
        "the stream answers 401",
    )


def test_a_source_that_is_gone_is_forgotten():
    source_health.tell({"kraken": GOOD, "coinbase": GOOD})
    source_health.tell({"coinbase": GOOD})

    assert list(source_health.read()[1]) == ["coinbase"]


def test_nothing_said_is_said():
    assert said() == "No feed has said anything."


@pytest.mark.parametrize(
    "forged",
    ["", "[]", "{", "{}", "[" * 5000, *(json.dumps(GOOD | {name: "x" * 9}) for name in GOOD if name != "trouble")],
)
def test_what_no_feed_wrote_is_left_out(forged):
    streams.client().hset(source_health.KEY, "kraken", forged)

    assert source_health.read()[1] == {}


def test_names_that_are_none_and_another_type_are_left_out_and_lines_stay_lines():
    streams.client().hset(source_health.KEY, "<b>", json.dumps(GOOD))
    streams.client().hset(source_health.KEY, "kraken", json.dumps(GOOD | {"trouble": "a\nkraken: connected"}))
    assert source_health.read()[1]["kraken"].trouble == "a?kraken: connected"
    assert len(source_health.read()[1]) == 1

    streams.client().delete(source_health.KEY)
    streams.client().set(source_health.KEY, "1")
    assert source_health.read()[1] == {}
