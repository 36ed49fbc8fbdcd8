"""What a message to a worker looks like: exactly what Celery makes of our own calls, and nothing else.

Anybody who can write to Redis can push into the workers' list. Celery and kombu believe what they find there: a body
that isn't base64, a time limit that is a text or a chain of further tasks. So a message is judged before they see it
(`transport.py`), by the type and the form of every field, and by the arguments that its task takes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from celery import current_app
from django.conf import settings

MOST_BYTES: Final = 1_000_000
MOST_IDS: Final = 1000
MOST_SETTLER_SLOTS: Final = 100
MOST_ROUNDS: Final = 10
MOST_TRIES: Final = 100
LONGEST_WAIT: Final = timedelta(days=1)  # a task that is to wait for longer is not ours
LONGEST_TEXT: Final = 100_000

_is_guid = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch
_is_hex32 = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch


class NotOurs(ValueError):
    """A message that no process of ours would have sent."""


def judged(item: bytes) -> dict[str, Any]:
    """A message as it stood in the list, as what Celery's transport expects. Raises NotOurs for anything else."""
    if len(item) > MOST_BYTES:
        raise NotOurs("it is too long")
    try:
        message = _object(item.decode())
        _check(message, _MESSAGE, {"redelivered"})
        _check(message["headers"], _HEADERS, _OF_BEAT)
        _check(message["properties"], _PROPERTIES, _OF_BEAT | {"origin"})
        body = base64.b64decode(message["body"], validate=True).decode()
        _check_call(message["headers"]["task"], _read(body))
    except NotOurs:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as wrong:
        raise NotOurs(f"{type(wrong).__name__}: {str(wrong)[:200]}") from wrong
    return message


def takes_arguments() -> frozenset[str]:
    """The tasks whose arguments are judged here; every other one takes none."""
    return frozenset(_ARGUMENTS)


def _read(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise NotOurs("a name appears twice")
    return found


def _object(text: str) -> dict[str, Any]:
    said = _read(text)
    if type(said) is not dict:
        raise NotOurs("it is not an object")
    return said


def _check(said: Any, table: Mapping[str, Callable[[Any], Any]], optional: Collection[str]) -> None:
    """Every name is known, every necessary one is there, and each value is what it always is."""
    if type(said) is not dict:
        raise NotOurs("a part is not an object")
    for name in table.keys() - said.keys() - set(optional):
        raise NotOurs(f"{name} is missing")
    for name, value in said.items():
        if name not in table or not table[name](value):
            raise NotOurs(f"{name[:64]} is not what it always is")


def _check_call(task: str, body: Any) -> None:
    if (
        type(body) is not list
        or len(body) != 3
        or type(body[0]) is not list
        or body[1] != {}
        or type(body[1]) is not dict
    ):
        raise NotOurs("the body is not a list of arguments")
    if body[2] != {"callbacks": None, "errbacks": None, "chain": None, "chord": None}:
        raise NotOurs("more than one task is asked for")
    if not _ARGUMENTS.get(task, _none)(*body[0]):  # type: ignore[no-untyped-call]
        raise NotOurs(f"{task} takes other arguments")


# --- one value -------------------------------------------------------------------------------------


def _is_null(value: Any) -> bool:
    return value is None


def _is_text(value: Any) -> bool:
    return type(value) is str and len(value) <= LONGEST_TEXT


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_guid_or_null(value: Any) -> bool:
    return value is None or _is_guid(value) is not None


def _is_task(name: Any) -> bool:
    """One of ours: Celery's own would start further ones."""
    return type(name) is str and name in current_app.tasks and not name.startswith("celery.")


def _is_moment(value: Any) -> bool:
    """A time that is not further away than anything of ours waits."""
    return value is None or abs(datetime.fromisoformat(value) - datetime.now(UTC)) < LONGEST_WAIT


def _number_up_to(most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value <= most


def _exactly(*allowed: Any) -> Callable[[Any], bool]:
    return lambda value: any(type(value) is type(one) and value == one for one in allowed)


def _is_time_limit(value: Any) -> bool:
    return value in ([None, None], [settings.CELERY_TASK_TIME_LIMIT, None])


def _is_route(value: Any) -> bool:
    names = {"exchange", "routing_key"}
    return type(value) is dict and value.keys() == names and all(_is_text(value[name]) for name in names)


_MESSAGE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "body": _is_text,
    "content-encoding": _exactly("utf-8"),
    "content-type": _exactly("application/json"),
    "headers": lambda value: type(value) is dict,
    "properties": lambda value: type(value) is dict,
    "redelivered": _is_flag,  # a worker that stopped had it in hand
}
_HEADERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "lang": _exactly("py"),
    "task": _is_task,
    "id": _is_guid,
    "shadow": _is_null,
    "eta": _is_moment,
    "expires": _is_moment,
    "group": _is_null,
    "group_index": _is_null,
    "retries": _number_up_to(MOST_TRIES),
    "timelimit": _is_time_limit,
    "root_id": _is_guid_or_null,
    "parent_id": _is_guid_or_null,
    "argsrepr": _is_text,
    "kwargsrepr": _is_text,
    "origin": _is_text,
    "ignore_result": _exactly(True, False, None),  # None where a task is called by its name alone
    "replaced_task_nesting": _exactly(0),
    "stamped_headers": _exactly(None, []),
    "stamps": _exactly({}),
    "celery_beat_task": _exactly(True),
    "periodic_task_name": _is_text,
}
_PROPERTIES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "correlation_id": _is_guid,
    "reply_to": _is_guid_or_null,
    "origin": lambda value: value is None or _is_text(value),
    "delivery_mode": _exactly(2),
    "delivery_info": _is_route,
    "priority": _number_up_to(9),
    "body_encoding": _exactly("base64"),
    "delivery_tag": _is_guid,
    "celery_beat_task": _exactly(True),
    "periodic_task_name": _is_text,
}
_OF_BEAT: Final = frozenset({"celery_beat_task", "periodic_task_name"})  # it says so of what it sends


# --- the arguments of a task -----------------------------------------------------------------------


def _none(*arguments: Any) -> bool:
    return not arguments


def _some_ids(ids: Any) -> bool:
    return type(ids) is list and 0 < len(ids) <= MOST_IDS and all(_is_hex32(id_) for id_ in ids)


def _advance(ids: Any, rounds: Any = 0) -> bool:
    return _some_ids(ids) and type(rounds) is int and 0 <= rounds <= MOST_ROUNDS


def _settle_open(number: Any = 0) -> bool:
    return type(number) is int and 0 <= number <= MOST_SETTLER_SLOTS


_ARGUMENTS: Final[Mapping[str, Callable[..., bool]]] = {
    "accounts.tasks.check_customers": _some_ids,
    "trades.tasks.advance": _advance,
    "trades.tasks.carry_payments": _some_ids,
    "trades.tasks.settle_open": _settle_open,
}
