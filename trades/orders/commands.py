"""What a web process asks of an engine, and how it stands in the stream.

A command lives in the stream `orders:{partition}` until an engine has committed what it did. It carries the time it
may still take (`ttl_ms`), counted from the stream entry's own id, which is Redis' time, and the same deadline as a time
on that clock (`until_ms`), for Redis may take a command in long after it was sent. The deadline is the earlier of the
two, judged by Redis' clock again, so no two machines' clocks are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from accounts import exact
from accounts.ids import partition_of

GROUP = "engine"
CREATE = "create"
CLOSE = "close"
CHANGE = "change"
CANCEL = "cancel"
CLOSE_ALL = "close_all"
ASKED_FOR = frozenset({CREATE, CLOSE, CHANGE, CANCEL, CLOSE_ALL})
FIRE = "fire"  # a price reached an order's trigger; only the engine itself says so
JUDGE = "judge"  # a customer's margin level may have crossed a mark

_FIELD = "c"
_REMEMBERED = frozenset({CHANGE, CANCEL, CLOSE_ALL})  # no row shows that they were done: their answer does


class Poison(ValueError):
    """A stream entry that is no command."""


@dataclass(frozen=True, slots=True)
class Command:
    """`terms` are the validated fields of the request, prices and quantities as exact decimals.

    `user_id` is None when a price fired the command; then nobody waits and `reply_to` is empty.
    """

    id: UUID
    kind: str
    customer_id: UUID
    user_id: UUID | None = None
    terms: dict[str, Any] = field(default_factory=dict)
    ttl_ms: int = 0
    reply_to: str = ""
    key: str = ""
    request_sha256: str = ""
    until_ms: int = 0  # 0: not said


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets, to the byte. `order_code` lets the web side check that it is about its order."""

    command_id: UUID
    status: int
    body: str
    order_code: str = ""
    replayed: bool = False


def stream_of(customer_id: UUID) -> str:
    return stream_name(partition_of(customer_id) % settings.ENGINE_PARTITIONS)


def stream_name(partition: int) -> str:
    """The braces make stream and replies of a partition one hash slot of a Redis Cluster."""
    return f"orders:{{{partition}}}"


def remembered_by(command: Command) -> str:
    """Under which key a command's answer is kept: the caller's, or its own where nothing else would show it was done.

    A caller's key is printable, so none is like the ones made here.
    """
    if command.key:
        return command.key
    return f"\x01{command.id.hex}" if command.kind in _REMEMBERED else ""


def encode(command: Command) -> dict[str, str]:
    """A command as the fields of a stream entry."""
    return {
        _FIELD: exact.dumps(
            {
                "id": command.id,
                "kind": command.kind,
                "customer": command.customer_id,
                "user": command.user_id,
                "terms": command.terms,
                "ttl": command.ttl_ms,
                "until": command.until_ms,
                "reply": command.reply_to,
                "key": command.key,
                "sha": command.request_sha256,
            }
        ).decode()
    }


def decode(fields: dict[str, str]) -> Command:
    """A stream entry as a command. Raises Poison for anything else, whoever wrote it."""
    try:
        said = orjson.loads(fields[_FIELD])  # its exact numbers travel as texts
        command = Command(
            id=UUID(said["id"]),
            kind=said["kind"],
            customer_id=UUID(said["customer"]),
            user_id=UUID(said["user"]) if said["user"] else None,
            terms=dict(said["terms"]),
            ttl_ms=int(said["ttl"]),
            until_ms=int(said.get("until", 0)),
            reply_to=str(said["reply"]),
            key=str(said["key"]),
            request_sha256=str(said["sha"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise Poison(str(wrong)) from wrong
    if command.kind not in ASKED_FOR:
        raise Poison(f"unknown kind {command.kind!r}")
    return command


def encode_answer(answer: Answer) -> str:
    """Four short fields and the body as it is: no JSON inside JSON."""
    return f"{answer.command_id.hex}|{answer.status}|{answer.order_code}|{answer.replayed:d}|{answer.body}"


def decode_answer(text: str) -> Answer:
    command_id, status, order_code, replayed, body = text.split("|", 4)
    return Answer(UUID(hex=command_id), int(status), body, order_code, replayed == "1")
