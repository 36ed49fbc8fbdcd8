"""What is asked of an engine, by whom, and how it stands in the stream.

A command lives in the stream `orders:{partition}` until an engine has committed what it did. It carries the time it
may still take (`ttl_ms`), counted from the stream entry's own id, which is Redis' time, and the same deadline as a time
on that clock (`until_ms`), for Redis may take a command in long after it was sent. The deadline is the earlier of the
two, judged by Redis' clock again, so no two machines' clocks are compared.

An actor is named where it isn't a trader, and a web process of the version before named no session: its commands are
understood. An engine of the version before understands none of this one's, so engines are renewed first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson
from django.conf import settings

from accounts.ids import partition_of, uuid7
from trades.margin import fits
from trades.margin.kinds import KINDS, Actor, CommandKind

GROUP = "engine"
NO_SESSION = UUID(int=0)  # that of a token from before there were any
KEPT_FOR: Final = "\x01action:"

_FIELD = "c"
_MOST_BYTES = 8192
_BY_WORD: Final = {kind.value: kind for kind in KINDS}
_NAMED: Final = {actor.value: actor for actor in (Actor.CLIENT, Actor.OPERATOR)}  # whom the stream may name


class Poison(ValueError):
    """A stream entry that is no command, or an answer that is none."""


# An order's code where the answer is about one, and a whole body in JSON after it.
_ANSWER = re.compile(r"([0-9a-f]{32})\|([2-5][0-9]{2})\|((?:ord_[0-9a-f]{16})?)\|([01])\|(?=\{)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and about whose margin account. `id` is the user's, or the API client's."""

    id: UUID
    customer_id: UUID
    actor: Actor
    generation: int = 0
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Trader(Asker):
    """The user, customer and session that a genuine token names."""

    actor: Actor = Actor.TRADER


@dataclass(frozen=True, slots=True)
class Client(Asker):
    """The API client that a genuine token names, which acts for a customer of the firm."""

    actor: Actor = Actor.CLIENT


@dataclass(frozen=True, slots=True)
class Command:
    """`terms` are the validated fields of the request, prices and quantities as exact decimals.

    `asker_id` is the user's, or the API client's; None when the engine asks: then nobody waits and `reply_to` is empty.
    """

    id: UUID
    kind: CommandKind
    customer_id: UUID
    asker_id: UUID | None = None
    terms: dict[str, Any] = field(default_factory=dict)
    ttl_ms: int = 0
    reply_to: str = ""
    key: str = ""
    request_sha256: str = ""
    until_ms: int = 0  # 0: not said
    actor: Actor = Actor.TRADER
    request_id: str = ""  # by which the client calls its request; where it says nothing, that has the command's own id
    generation: int = 0  # of the asker's tokens, as theirs has it
    session_id: UUID = NO_SESSION
    action_id: UUID | None = None  # an operator's: the row that says it was ordered


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets, to the byte. `order_code` lets the web side check that it is about its order."""

    command_id: UUID
    status: int
    body: str
    order_code: str = ""
    replayed: bool = False


def own(kind: CommandKind, customer_id: UUID, **said: str) -> Command:
    """What the engine asks of itself."""
    return Command(uuid7(), kind, customer_id, terms=dict(said), actor=Actor.ENGINE)


def stream_of(customer_id: UUID) -> str:
    return stream_name(partition_of(customer_id) % settings.ENGINE_PARTITIONS)


def stream_name(partition: int) -> str:
    """The braces make stream and replies of a partition one hash slot of a Redis Cluster."""
    return f"orders:{{{partition}}}"


def who_asked(command: Command) -> dict[str, str]:
    """What an order's history says of who asked, where that isn't the customer: and how they call their request."""
    said = {"request": command.request_id} if command.request_id else {}
    if command.actor is Actor.CLIENT and command.asker_id:
        said["client"] = command.asker_id.hex
    if command.action_id:
        said["action"] = command.action_id.hex
    return said


def remembered_by(command: Command) -> str:
    """Under which key a command's answer is kept: the caller's, or its own where nothing else would show it was done.

    A caller's key is printable, so none is like the ones made here. A dealer's action is done once for a customer,
    however often it is sent.
    """
    if command.key:
        return command.key
    if command.action_id:
        return kept_for(command.action_id)
    return "" if KINDS[command.kind].shows else f"\x01{command.id.hex}"


def kept_for(action_id: UUID) -> str:
    """Under which key the answers to a dealer's action are kept, one for each customer."""
    return KEPT_FOR + action_id.hex


def encode(command: Command) -> dict[str, str]:
    """A command as the fields of a stream entry."""
    said: dict[str, Any] = {
        "id": command.id.hex,
        "kind": command.kind,
        "customer": command.customer_id.hex,
        "user": command.asker_id.hex if command.asker_id else None,
        "terms": command.terms,
        "ttl": command.ttl_ms,
        "until": command.until_ms,
        "reply": command.reply_to,
        "key": command.key,
        "sha": command.request_sha256,
        "gen": command.generation,
        "sid": command.session_id.hex,
    }
    if command.actor is not Actor.TRADER:
        said["actor"] = command.actor
    if command.request_id:
        said["request"] = command.request_id
    if command.action_id:
        said["action"] = command.action_id.hex
    return {_FIELD: orjson.dumps(said).decode()}


def decode(fields: Mapping[str, str]) -> Command:
    """A stream entry as a command. Raises Poison for anything that `encode` would not have written, whoever wrote it.

    What comes back is safe to execute as it is: each field and each term has the type, form and size it always has.
    """
    try:
        text = fields[_FIELD].encode()
        if len(fields) != 1 or len(text) > _MOST_BYTES:
            raise Poison("more than a command's one field, or too long")
        said = orjson.loads(text)  # its exact numbers travel as texts
        kind = _BY_WORD[said["kind"]]
        actor = _NAMED[said["actor"]] if "actor" in said else Actor.TRADER
        row = KINDS[kind]
        if not fits.fields(said):
            raise Poison("a field is not a command's")
        if actor not in row.asked_by:
            raise Poison(f"no {actor} asks for {kind}")
        is_operator = actor is Actor.OPERATOR
        if ("action" in said) != is_operator or (is_operator and (said["key"] or said["sha"])):
            raise Poison("an operator asks by an action alone, and nobody else does")
        if not row.fits(said["terms"]):
            raise Poison(f"a term is not what {kind} takes")
        if orjson.dumps(said) != text:
            raise Poison("spelled in another way, or a name stands there twice")
        return Command(
            UUID(int=int(said["id"], 16)),
            kind,
            UUID(int=int(said["customer"], 16)),
            UUID(int=int(said["user"], 16)),
            said["terms"],
            said["ttl"],
            said["reply"],
            said["key"],
            said["sha"],
            said["until"],
            actor,
            said.get("request", ""),
            said.get("gen", 0),
            UUID(int=int(said.get("sid", "0"), 16)),
            UUID(int=int(said["action"], 16)) if "action" in said else None,
        )
    except Poison:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as wrong:
        raise Poison(f"{type(wrong).__name__}: {str(wrong)[:200]}") from wrong


def encode_answer(answer: Answer) -> str:
    """Four short fields and the body as it is: no JSON inside JSON."""
    return f"{answer.command_id.hex}|{answer.status}|{answer.order_code}|{answer.replayed:d}|{answer.body}"


def decode_answer(text: str) -> Answer:
    """What `encode_answer` wrote. Raises Poison for anything else: a client would get it as it is."""
    if not (found := _ANSWER.match(text)):
        raise Poison("no answer")
    command_id, status, order_code, replayed = found.groups()
    return Answer(UUID(hex=command_id), int(status), text[found.end() :], order_code, replayed == "1")
