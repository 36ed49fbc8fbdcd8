"""Whatever stands in the stream, the others flow, and what is set aside says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.db import connection

from accounts import streams
from accounts.errors import Refusal
from accounts.ids import uuid7
from tests.faults.engine_alone import DEAD, STREAM, an_engine, is_empty, send, turns
from tests.given import a_customer, btc_at, what_the_audit_finds
from tests.trades.engine_steps import closing, opening, opens
from trades.engine.command_stream import MOST_DELIVERIES
from trades.gateway.requests import close_terms
from trades.margin.commands import GROUP, Command, encode
from trades.margin.errors import OrderNotFoundOrClosed
from trades.margin.kinds import CLOSE
from trades.models import Order

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = encode(Command(uuid7(), CLOSE, uuid7(), uuid7(), {"orderId": "ord_0123456789abcdef"}, 5000))["c"]


def with_(**fields: Any) -> dict[str, Any]:
    return {"c": orjson.dumps(orjson.loads(GOOD) | fields)}


POISON: dict[str, dict[str, Any]] = {
    "no text at all": {"c": b"\xff\xfe\x00\xc3\x28"},
    "no JSON": {"c": "close everything"},
    "no object": {"c": "[1, 2, 3]"},
    "another field": {"x": GOOD},
    "an unknown kind": with_(kind="print money"),
    "the engine's own kind": with_(kind="fire"),
    "an id that is none": with_(id="42"),
    "a customer that is none": with_(customer=None),
    "terms that are none": with_(terms=7),
    "a time that no calendar has": with_(ttl=10**18),
    "a time before all calendars": with_(ttl=-(10**15)),
}


@pytest.mark.parametrize("fields", POISON.values(), ids=POISON)
def test_what_is_no_command_goes_to_the_dead_letters_with_a_reason_and_the_others_flow(fields: dict[str, Any]) -> None:
    """Guards: `Poison`; `encoding_errors` of the client, without which bytes that are no text stop every engine for
    good; OverflowError in `Stream._entries`, which the times would raise."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        streams.client().xadd(STREAM, fields)
        send(closing(alice, order.code))

        told = turns(engine)

        assert [answer.status for answer in told] == [200]
        ((_, letter),) = streams.client().xrange(DEAD)
        assert letter["reason"]
        assert is_empty()
        assert what_the_audit_finds() == []


@pytest.fixture
def an_order_that_breaks_its_tick() -> Iterator[str]:
    """The name of an order that PostgreSQL refuses to take in, as a bug of ours would make it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.client_order_id = 'breaks' THEN RAISE EXCEPTION 'broken' USING ERRCODE = '22000'; END IF;"
            " RETURN NEW; END $$;"
            "CREATE TRIGGER breaks BEFORE INSERT ON trades_order FOR EACH ROW EXECUTE FUNCTION breaks()"
        )
    yield "breaks"
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER breaks ON trades_order; DROP FUNCTION breaks")


def test_a_command_that_breaks_its_tick_is_told_500_and_set_aside_and_the_others_of_the_tick_are_done(
    an_order_that_breaks_its_tick: str,
) -> None:
    """Guard: one by one (`Engine._tick`). Without it, the whole tick fails again and again."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        one, other = opens(alice), opens(alice)
        send(closing(alice, one.code))
        send(opening(alice, clientOrderId=an_order_that_breaks_its_tick))
        send(closing(alice, other.code))

        told = turns(engine)

        assert [answer.status for answer in told] == [200, 500, 200]
        ((_, letter),) = streams.client().xrange(DEAD)
        assert letter["reason"]
        assert is_empty()
        assert what_the_audit_finds() == []


def test_no_request_can_be_such_a_command() -> None:
    """Guard: the pattern in `requests.close_terms`. A zero byte would break the tick of everybody else."""
    for said in ("ord_\x00", "\x00", "ord_0123456789abcdeF", "x" * 65, "ord_0123456789abcdef\n"):
        with pytest.raises(OrderNotFoundOrClosed) as refusal:
            close_terms({"orderId": said})
        assert isinstance(refusal.value, Refusal)


def test_a_command_that_killed_every_engine_that_read_it_is_set_aside_and_the_others_are_done() -> None:
    """Guard: the limit of deliveries (`Stream._claim`). Simulated: it was delivered once too often already."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        killer, harmless = opens(alice), opens(alice)
        id_, other = send(closing(alice, killer.code)), send(closing(alice, harmless.code))
        streams.client().xreadgroup(GROUP, "dead", {STREAM: ">"})
        for entry, deliveries in ((id_, MOST_DELIVERIES), (other, MOST_DELIVERIES - 1)):
            streams.client().execute_command("XCLAIM", STREAM, GROUP, "dead", 0, entry, "RETRYCOUNT", deliveries)
        engine.stream.begin()

        told = turns(engine)

        assert [(answer.status, answer.order_code) for answer in told] == [(200, harmless.code)]
        ((_, letter),) = streams.client().xrange(DEAD)
        assert letter["reason"] == f"delivered {MOST_DELIVERIES + 1} times and never acknowledged"
        assert Order.objects.get(pk=killer.pk).status == "OPEN"
        assert is_empty()
        assert what_the_audit_finds() == []
