"""Every field of a stream command, with every type of value and worse.

Whoever can write to Redis can write anything into the stream. What no web process of ours would have written is a dead
letter within one turn of the engine, and whoever sent a good command beside it is answered in that very turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from accounts import streams
from accounts.ids import uuid7
from tests.faults.engine_alone import DEAD, REPLIES, STREAM, an_engine, answers, is_empty, send
from tests.given import a_customer, btc_at, what_the_audit_finds
from tests.trades.engine_steps import cancelling, changing, closing, closing_all, opening, opens, placing
from trades.margin.commands import Answer, Command, Poison, decode, decode_answer, encode, encode_answer
from trades.models import Order

pytestmark = pytest.mark.django_db(transaction=True)

CODE = "ord_0123456789abcdef"
HEX = "0123456789abcdef" * 2
DEEP: Any = json.loads("[" * 200 + "]" * 200)
HUGE = "x" * 100_000
ANYTHING: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**15, 2**31, 2**53, 2**63, 10**30, 0.5, -1.5, 1e300),
    *("", " ", "0", "00", "-1", "1e5", "1.", ".5", "01", "1.50", "NaN", "Infinity", "1" * 21, "0." + "0" * 18 + "1"),
    *("close", "create", "fire", "judge", "celery", "brokerage", "replies:", "replies:x\n", "replies:" + "x" * 65),
    *(
        "orders:{0}",
        "replies:{0}",
        "buy",
        "BUY",
        "market",
        "limit",
        "\x00",
        "a\x00b",
        "\u202e",
        "\ufffd" * 70,
        "x" * 129,
    ),
    *("ord_", CODE.upper(), CODE + "\n", CODE + "0", HEX.upper(), HEX[:-1], HEX + "0", "{" + HEX[:30] + "}", HUGE),
    *([], {}, [HEX], [CODE], ["close"], {"orderId": CODE, "more": 1}, [None] * 32, {"0": None}, DEEP),
]
ANY_KEY = frozenset(each for each in ANYTHING if isinstance(each, str) and each.isprintable() and len(each) <= 128)
ANY_NAME = frozenset(each for each in ANY_KEY if 1 <= len(each) <= 64)
# What may stand in a field or term, of the above: every other value is nobody's.
ALLOWED: dict[str, frozenset[Any]] = {
    "ttl": frozenset({0, 1, 2**15}),
    "until": frozenset({0, 1, 2**15, 2**31}),
    "reply": frozenset({""}),
    "key": ANY_KEY,
    "sha": frozenset(),
    "gen": frozenset({0, 1, 2**15}),
    "sid": frozenset({HEX}),
    "terms.symbol": ANY_NAME,
    "terms.clientOrderId": ANY_NAME | {None},
    "terms.side": frozenset({"buy"}),
    "terms.leverage": frozenset({1}),
    "terms.orderType": frozenset({"market"}),
    "terms.slippage": frozenset({None, "0"}),
    "terms.price": frozenset({None}),
    "terms.set": frozenset(),
    "terms.set.stopLoss": frozenset({None}),
    **{f"terms.{name}": frozenset({None}) for name in ("takeProfit", "stopLoss", "expectedPrice", "trailingStop")},
}


def is_allowed(kind: str, path: str, value: Any) -> bool:
    if kind == "close" and path == "terms.quantity":
        return value is None
    if kind == "close_all" and path == "terms.symbol" and value is None:
        return True
    allowed = ALLOWED.get(path, frozenset())
    return type(value) not in (list, dict) and any(type(value) is type(one) and value == one for one in allowed)


def every_kind(by: Any, code: str) -> list[Command]:
    """A good command of each kind, with a key."""
    made = (
        opening(by, "key", stopLoss="41000", slippage="0.5", expectedPrice="42000", clientOrderId="mine"),
        closing(by, code, "key", "0.05"),
        changing(by, code, "key", stopLoss="41000"),
        cancelling(by, code, "key"),
        closing_all(by, "BTC-USD", "key"),
    )
    return [replace(command, ttl_ms=4000, reply_to=REPLIES, until_ms=1) for command in made]  # until: long ago


def texts(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def with_one_changed(command: Command) -> Iterator[str]:
    """The command, each time with one field or term changed to what is nobody's, left out, added or given twice."""
    whole = json.loads(encode(command)["c"])
    for path, holder, name in places(whole):
        kept = holder[name]
        for value in ANYTHING:
            if value == kept and type(value) is type(kept):
                continue
            if not is_allowed(command.kind, path, value):
                holder[name] = value
                yield texts(whole)
        del holder[name]
        yield texts(whole)
        holder[name] = kept
    for _, holder, name in places(whole):
        yield texts(whole).replace(f"{texts(name)}:", f"{texts(name)}:{texts(holder[name])},{texts(name)}:", 1)
    for value in (*ANYTHING, "trader", "operator", "engine"):  # a trader isn't named, and nobody else may ask
        yield texts(whole | {"actor": value})
    for holder in (whole, whole["terms"]):
        holder["more"] = None
        yield texts(whole)
        del holder["more"]
    yield texts(whole) + " "
    yield texts(whole)[:-1]


def places(whole: dict[str, Any], above: str = "") -> list[tuple[str, dict[str, Any], str]]:
    found = []
    for name, value in whole.items():
        found.append((above + name, whole, name))
        if isinstance(value, dict):
            found += places(value, f"{above}{name}.")
    return found


RAW: list[dict[Any, Any]] = [
    {"c": b"\xff\xfe\x00\xc3\x28"},
    {"c": ""},
    {"": ""},
    {b"\xff": b"\xff"},
    {"x": "y"},
    {"c": "[" * 100_000},
    {"c": "[" * 2000 + "]" * 2000},
    {"c": HUGE * 20},
    {"c": "null"},
    {"c": "NaN"},
    {"c": '{"id":1,"id":2}'},
    {f"f{i}": "x" * 1000 for i in range(3000)},
    *({"c": texts(value)} for value in ANYTHING),
]


def dead_letters() -> list[dict[str, str]]:
    letters: Any = streams.client().xrange(DEAD)
    return [letter for _, letter in letters]


def test_any_value_in_any_field_is_a_dead_letter_within_one_turn_and_a_good_command_is_answered() -> None:
    """Guards: `fits.fields` and its kind, and the spelling in `commands.decode`. With kind ["close"] the old
    decoder raised what nobody caught, and the engine began anew, again and again, for 41 s."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        bad: list[dict[Any, Any]] = [*RAW]
        for command in every_kind(alice, order.code):
            bad += [{"c": text} for text in with_one_changed(command)]
            bad.append(encode(command) | {"x": "more"})
        assert len(bad) > 1500
        size = 200
        for start in range(0, len(bad), size):
            batch = bad[start : start + size]
            pipe = streams.client().pipeline(transaction=False)
            for fields in batch:
                pipe.xadd(STREAM, fields)
            pipe.execute()
            send(closing(alice, CODE))  # an order that isn't: answered, and nothing happens

            engine.turn()

            assert [answer.status for answer in answers()] == [400]
            letters = dead_letters()
            assert len(letters) == len(batch)
            assert all(letter["reason"] for letter in letters)
            assert all(len(value) <= 4000 for letter in letters for value in letter.values())
            assert is_empty()
            streams.client().delete(DEAD)
        assert [order.status for order in Order.objects.all()] == ["OPEN"]
        assert what_the_audit_finds() == []


def test_what_our_own_processes_send_is_taken_whatever_the_key_and_the_name() -> None:
    alice = a_customer(with_usd="10_000.00")
    commands = every_kind(alice, CODE)
    commands += [
        replace(commands[0], key="\U0001f511" * 128, ttl_ms=0),
        replace(commands[1], key="", request_sha256=""),
    ]
    commands.append(opening(alice, clientOrderId='\U0001f511"\\' + "x" * 61, symbol="Ä" * 64))
    commands.append(placing(alice, "sell stop", "0.000000000000000001", quantity="9" * 20 + "." + "9" * 18))

    assert [decode(encode(command)) for command in commands] == commands


@pytest.mark.parametrize(
    "text", ["", "|", "x|200||0|{}", f"{HEX}|200||0|", f"{HEX}|200||0|no JSON", f"{HEX}|99||0|{{}}"]
)
def test_an_answer_is_told_apart_from_anything_else(text: str) -> None:
    with pytest.raises(Poison):
        decode_answer(text)


def test_no_value_in_an_answers_place_is_taken_for_one() -> None:
    answer = Answer(uuid7(), 200, '{"message":"a | b"}', CODE, True)
    head = encode_answer(answer).split("|", 4)

    assert decode_answer(encode_answer(answer)) == answer
    for place in range(4):
        for value in ANYTHING:
            said = [*head]
            said[place] = texts(value) if not isinstance(value, str) else value
            if said[place] in ((), (), ("",), ("0", "1"))[place]:
                continue
            with pytest.raises(Poison):
                decode_answer("|".join(said))
