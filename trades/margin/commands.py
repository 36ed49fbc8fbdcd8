"""What a web process asks of an engine, and how it stands in the stream.

A command lives in the stream `orders:{partition}` until an engine has committed what it did. It carries the time it
may still take (`ttl_ms`), counted from the stream entry's own id, which is Redis' time, and the same deadline as a time
on that clock (`until_ms`), for Redis may take a command in long after it was sent. The deadline is the earlier of the
two, judged by Redis' clock again, so no two machines' clocks are compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from accounts import json_codec
from accounts.ids import partition_of
from trades.margin import terms

GROUP = "engine"
CREATE = "create"
CLOSE = "close"
CHANGE = "change"
CANCEL = "cancel"
CLOSE_ALL = "close_all"
FIRE = "fire"  # a price reached an order's trigger; only the engine itself says so
JUDGE = "judge"  # a customer's margin level may have crossed a mark

_FITS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    CREATE: terms.create_fits,
    CLOSE: terms.close_fits,
    CHANGE: terms.change_fits,
    CANCEL: terms.cancel_fits,
    CLOSE_ALL: terms.close_all_fits,
}
ASKED_FOR = frozenset(_FITS)

_FIELD = "c"
_REMEMBERED = frozenset({CHANGE, CANCEL, CLOSE_ALL})  # no row shows that they were done: their answer does
_MOST_BYTES = 8192


class Poison(ValueError):
    """A stream entry that is no command, or an answer that is none."""


# An order's code where the answer is about one, and a whole body in JSON after it.
_ANSWER = re.compile(r"([0-9a-f]{32})\|([2-5][0-9]{2})\|((?:ord_[0-9a-f]{16})?)\|([01])\|(?=\{)", re.ASCII)


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
        _FIELD: json_codec.dumps(
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


def decode(fields: Mapping[str, str]) -> Command:
    """A stream entry as a command. Raises Poison for anything that `encode` would not have written, whoever wrote it.

    What comes back is safe to execute as it is: each field and each term has the type, form and size it always has.
    """
    try:
        text = fields[_FIELD].encode()
        if len(fields) != 1 or len(text) > _MOST_BYTES:
            raise Poison("more than a command's one field, or too long")
        said = orjson.loads(text)  # its exact numbers travel as texts
        kind = said["kind"]
        if not terms.fields_fit(said):
            raise Poison("a field is not a command's")
        if not _FITS[kind](said["terms"]):
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
