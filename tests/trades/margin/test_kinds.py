"""Who may ask for what: the table of command kinds, and the actor that travels in a command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from accounts.ids import uuid7
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import cancelling, changing, closing, closing_all, firing, now, opening, opens, tick
from trades.margin.commands import Command, Poison, decode, encode, own, remembered_by
from trades.margin.kinds import CLOSE, FIRE, JUDGE, KINDS, Actor, CommandKind

pytestmark = pytest.mark.django_db

CODE = "ord_0123456789abcdef"
# An entry as the version before wrote it, which knew no actor: field by field, to the byte.
FROM_BEFORE = (
    '{"id":"0192f0c1a2b37c4d8e5f60718293a4b5","kind":"close","customer":"0192f0c1a2b37c4d8e5f60718293a4b6",'
    '"user":"0192f0c1a2b37c4d8e5f60718293a4b7","terms":{"orderId":"ord_0123456789abcdef","quantity":null},'
    '"ttl":4250,"until":1767225600000,"reply":"replies:7-0123456789ab","key":"","sha":""}'
)


def every_kind() -> list[Command]:
    alice = a_customer()
    asked = [opening(alice), closing(alice, CODE), changing(alice, CODE, stopLoss="1"), cancelling(alice, CODE)]
    return [*asked, closing_all(alice), own(FIRE, alice.pk, orderId=CODE), own(JUDGE, alice.pk)]


def with_actor(text: str, actor: Any) -> dict[str, str]:
    return {"c": json.dumps(json.loads(text) | {"actor": actor}, separators=(",", ":"))}


def test_every_kind_has_a_row() -> None:
    """Guard: the match in `kinds._row`, in which mypy names a kind that was forgotten."""
    assert KINDS.keys() == set(CommandKind)
    assert {command.kind for command in every_kind()} == set(CommandKind)


def test_a_command_of_the_version_before_is_a_traders_and_ours_say_the_session_beside() -> None:
    """Guard: `_NAMED`; a trader isn't named in the stream."""
    command = decode({"c": FROM_BEFORE})

    assert (command.kind, command.actor) == (CLOSE, Actor.TRADER)
    session = {"gen": 0, "sid": "0" * 32}
    assert encode(command) == {"c": json.dumps(json.loads(FROM_BEFORE) | session, separators=(",", ":"))}


@pytest.mark.parametrize(
    "actor", ["trader", "engine", "operator", "Operator", "", "admin", None, True, 1, [], ["operator"], {}, "operator "]
)
def test_an_actor_that_is_unknown_or_may_not_ask_makes_no_command(actor: Any) -> None:
    """Guards: `commands._NAMED`, and `asked_by` of each kind."""
    with pytest.raises(Poison):
        decode(with_actor(FROM_BEFORE, actor))


def test_what_the_engine_asks_of_itself_is_never_read_from_the_stream() -> None:
    """Guards: `asked_by` and `fits.nothing`. Whoever writes to Redis could close what no price has reached."""
    for command in (every_kind()[-2:], [replace(one, asker_id=uuid7()) for one in every_kind()[-2:]]):
        for one in command:
            for said in (
                encode(one),
                encode(replace(one, actor=Actor.TRADER)),
                encode(replace(one, actor=Actor.OPERATOR)),
                encode(replace(one, actor=Actor.CLIENT)),
            ):
                with pytest.raises(Poison):
                    decode(said)


@pytest.mark.parametrize("actor", Actor)
def test_the_table_says_who_may_ask_for_each_kind(actor: Actor) -> None:
    may_ask = {kind for kind, row in KINDS.items() if actor in row.asked_by}

    assert (
        may_ask
        == {
            Actor.TRADER: {CommandKind(word) for word in ("create", "close", "change", "cancel", "close_all")},
            Actor.CLIENT: {CommandKind(word) for word in ("create", "close", "change", "cancel", "close_all")},
            Actor.OPERATOR: {CommandKind(word) for word in ("close", "cancel", "close_all")},
            Actor.ENGINE: {FIRE, JUDGE},
        }[actor]
    )


def test_who_may_not_ask_is_refused_by_the_tick_too_and_nothing_happens() -> None:
    """Guard: `asked_by` in `decide._may_ask`, behind that of the decoder."""
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    order = opens(alice)
    as_an_operator = replace(closing(alice, order.code), actor=Actor.OPERATOR)
    as_a_trader = replace(firing(order), asker_id=alice.user_id, actor=Actor.TRADER)

    assert [told.status for told in tick(as_an_operator, as_a_trader)] == [401, 401]
    assert now(order).status == "OPEN"


def test_an_answer_is_kept_without_a_key_where_no_row_shows_that_it_was_done() -> None:
    kept = {command.kind for command in every_kind() if remembered_by(command)}

    assert kept == {CommandKind("change"), CommandKind("cancel"), CommandKind("close_all")}
