"""An action that was ordered goes to the engines, which do it like any close: once for each customer.

The row is committed before anything is sent. Where an engine doesn't answer, or this process dies, nothing is lost: it
is sent again, and an engine that has done it answers what it did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

import redis
from django.conf import settings
from django.db import connection

from accounts import json_codec, streams
from accounts.clock import uptime
from accounts.errors import Unavailable
from accounts.ids import uuid7
from trades.dealing.errors import ActionTooOld
from trades.dealing.order import Wanted, positions_of
from trades.gateway.replies import gateway
from trades.gateway.submit import COMMIT_ALLOWANCE
from trades.margin.commands import Command, encode, kept_for, stream_of
from trades.margin.decide import ORDERED_FOR
from trades.margin.kinds import Actor, CommandKind
from trades.models import DealersAction, IdempotentAnswer

MANY_TTL_MILLISECONDS: Final = 30_000  # of commands for which nobody waits
_AT_ONCE: Final = 500

# Whoever has an answer has had it done. What opened since it was made isn't meant.
_LEFT: Final = """
SELECT DISTINCT o.customer_id FROM trades_order o
WHERE o.status = 'OPEN' AND o.instrument_id = %s AND o.opened_at <= %s AND NOT EXISTS (
    SELECT FROM trades_idempotentanswer a WHERE a.customer_id = o.customer_id AND a.key = %s)
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an engine answered about one customer: whether it was done, the sentence of a refusal, and what it said."""

    is_done: bool
    refusal: str
    said: dict[str, object]


def send(action: DealersAction, now: datetime) -> Outcome | None:
    """Have an ordered action done. Of one customer its outcome, or None where no engine has answered yet; of all
    customers None at once, for nobody waits for so many.

    Raises ActionTooOld, Unavailable where Redis doesn't take it.
    """
    if action.decided_at is None or now - action.decided_at > ORDERED_FOR:
        raise ActionTooOld
    try:
        if action.customer_id is None:
            _send_to_many(action)
            return None
        return outcome(action) or _send_to_one(action, action.customer_id)
    except redis.RedisError as away:
        raise Unavailable("Redis can't be reached: send it again.") from away


def outcome(action: DealersAction) -> Outcome | None:
    """What an engine has answered; None where none has, or where it is about all customers."""
    kept = IdempotentAnswer.objects.filter(customer=action.customer_id, key=kept_for(action.pk)).first()
    return None if kept is None else _outcome(kept.status, kept.body)


def is_sendable(action: DealersAction, now: datetime) -> bool:
    """Whether an ordered action isn't done, and an engine would still do it."""
    if action.state != DealersAction.State.ORDERED or action.decided_at is None:
        return False
    if now - action.decided_at > ORDERED_FOR:
        return False
    return next(_customers_left(action), None) is not None if action.customer_id is None else outcome(action) is None


def positions_left(action: DealersAction) -> int:
    """How many of the positions that it is about are open now."""
    if action.kind == DealersAction.Kind.CANCEL:
        return 0
    wanted = Wanted(DealersAction.Kind(action.kind), action.customer_id, action.order_code, action.instrument_id)
    return positions_of(wanted).filter(opened_at__lte=action.made_at).count()


def _send_to_one(action: DealersAction, customer_id: UUID) -> Outcome | None:
    deadline = uptime() + settings.CLOSE_DEADLINE_SECONDS
    commit_by = deadline - COMMIT_ALLOWANCE
    command = _command(
        action,
        customer_id,
        ttl_ms=int((commit_by - uptime()) * 1000),
        until_ms=gateway().on_its_clock(commit_by),
        reply_to=gateway().channel,
    )
    try:
        answer = gateway().send(command, deadline, commit_by)
    except streams.Unanswered:
        answer = None
    return outcome(action) if answer is None else _outcome(answer.status, answer.body)


def _send_to_many(action: DealersAction) -> None:
    left = iter(list(_customers_left(action)))
    while some := list(islice(left, _AT_ONCE)):
        _put(_command(action, customer, ttl_ms=MANY_TTL_MILLISECONDS) for customer in some)


def _put(commands: Iterable[Command]) -> None:
    pipe = streams.prompt_client().pipeline(transaction=False)
    for command in commands:
        pipe.xadd(stream_of(command.customer_id), encode(command))  # type: ignore[arg-type]  # the stubs know fewer
    pipe.execute()


def _customers_left(action: DealersAction) -> Iterator[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_LEFT, [action.instrument_id, action.made_at, kept_for(action.pk)])
        yield from (customer for (customer,) in cursor.fetchall())


def _command(
    action: DealersAction, customer_id: UUID, *, ttl_ms: int, until_ms: int = 0, reply_to: str = ""
) -> Command:
    terms: dict[str, object] = {"symbol": action.instrument_id}
    if action.kind != DealersAction.Kind.CLOSE_ALL:
        terms = {"orderId": action.order_code}
    if action.kind == DealersAction.Kind.CLOSE:
        terms["quantity"] = None
    return Command(
        uuid7(),
        CommandKind(action.kind),
        customer_id,
        action.made_by_id,
        terms,
        ttl_ms,
        reply_to,
        until_ms=until_ms,
        actor=Actor.OPERATOR,
        action_id=action.pk,
    )


def _outcome(status: int, body: str) -> Outcome:
    said = json_codec.loads(body.encode())
    return Outcome(status < 400, str(said.get("error", "")) if status >= 400 else "", said)
