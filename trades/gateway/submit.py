"""A request becomes a command, and the engine's answer a response: status, bytes, headers.

Nothing here asks the database: the token names the customer, and the engine checks in its own transaction that
the user may still trade. A request that waits holds a thread, and nothing else.

All five answer by a deadline that counts from `arrived` (`uptime` seconds), and raise Malformed and its kind for a bad
body, OrderNotFound, StillRunning, TooManyWaiting, OrderIdMismatch, redis.RedisError, and where no answer came in time
CreationTimedOut or OutcomeUnknown. A command whose deadline has passed is never
executed, so a timeout's answer is final once the order has been read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts import json_codec, request_id, streams
from accounts.clock import uptime
from accounts.errors import Malformed
from accounts.idempotency_key import NEEDED, is_key
from accounts.ids import uuid7
from trades.gateway import lost, requests
from trades.gateway.idempotency import alone
from trades.gateway.replies import gateway
from trades.margin.commands import NO_SESSION, Answer, Asker, Command
from trades.margin.errors import CreationTimedOut, OrderIdMismatch, OutcomeUnknown
from trades.margin.kinds import CANCEL, CHANGE, CLOSE, CLOSE_ALL, CREATE, CommandKind
from trades.reads import in_doubt

COMMIT_ALLOWANCE = 0.75  # seconds before the deadline by which a command is committed or never: see in_doubt.py


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: str
    replayed: bool = False


def create(by: Asker, body: Mapping[str, Any], key: str, arrived: float) -> Reply:
    """Open a market order or place a pending one; answers within 3 s."""
    terms = requests.create_terms(body)
    deadline = arrived + settings.CREATE_DEADLINE_SECONDS
    reply = _ask(by, CREATE, terms, key, deadline)
    if reply is None:
        raise CreationTimedOut
    return reply


def close(by: Asker, body: Mapping[str, Any], key: str, arrived: float) -> Reply:
    """Close an order, or a part of it, at the market price; answers within 5 s."""
    terms = requests.close_terms(body)
    return _named(by, CLOSE, terms, key, arrived, "Failed to close order", "is now either closed or stays open")


def change(by: Asker, order_id: str, body: Mapping[str, Any], key: str, arrived: float) -> Reply:
    """Set or take away an order's stops, or move a pending order's price; answers within 5 s."""
    terms = requests.change_terms(order_id, body)
    return _named(by, CHANGE, terms, key, arrived, "Failed to change order", "is now either changed or stays as it was")


def cancel(by: Asker, order_id: str, key: str, arrived: float) -> Reply:
    """Cancel a pending order; answers within 5 s."""
    terms = requests.cancel_terms(order_id)
    return _named(by, CANCEL, terms, key, arrived, "Failed to cancel order", "is now either cancelled or stays pending")


def close_all(by: Asker, body: Mapping[str, Any], key: str, arrived: float) -> Reply:
    """Close every open order, or those of one symbol, at the market price; answers within 5 s."""
    terms = requests.close_all_terms(body)
    reply = _ask(by, CLOSE_ALL, terms, key, arrived + settings.CLOSE_DEADLINE_SECONDS)
    if reply is None:
        either_way = "Every order is now either closed or stays open; read them"
        raise OutcomeUnknown("Failed to close orders", either_way, {})
    return reply


def _named(
    by: Asker, kind: CommandKind, terms: dict[str, Any], key: str, arrived: float, failed: str, either_way: str
) -> Reply:
    """Ask about one order; without an answer in time, say what can have become of it."""
    reply = _ask(by, kind, terms, key, arrived + settings.CLOSE_DEADLINE_SECONDS)
    if reply is None:
        raise OutcomeUnknown(failed, f"The order {either_way}; read it", {"orderId": terms["orderId"]})
    return reply


def _ask(by: Asker, kind: CommandKind, terms: dict[str, Any], key: str, deadline: float) -> Reply | None:
    if key and not is_key(key):
        raise Malformed(NEEDED)
    if (is_lost := lost.which()) == lost.BEFORE:
        return None
    command_id = request_id.take_made()
    called = "" if command_id else request_id.current() or ""
    command_id = command_id or uuid7()
    commit_by = deadline - COMMIT_ALLOWANCE
    until_ms = gateway().on_its_clock(commit_by)
    command = Command(
        id=command_id,
        kind=kind,
        customer_id=by.customer_id,
        asker_id=by.id,
        terms=terms,
        ttl_ms=max(0, int((commit_by - uptime()) * 1000)),
        until_ms=until_ms,
        reply_to=gateway().channel,
        key=key,
        request_sha256=digest(kind, terms) if key else "",
        actor=by.actor,
        request_id=called,
        generation=by.generation,
        session_id=by.session_id or NO_SESSION,
    )
    with alone(by.customer_id, key, command_id, until_ms):
        answer = _sent(command, deadline, commit_by)
    if answer is None or is_lost:
        return None
    if answer.order_code not in ("", terms.get("orderId", answer.order_code)):
        raise OrderIdMismatch
    return Reply(answer.status, answer.body, answer.replayed)


def _sent(command: Command, deadline: float, commit_by: float) -> Answer | None:
    """Send a command. "Try again" (redis.RedisError) is told only where it wasn't and won't be done."""
    try:
        return gateway().send(command, deadline, commit_by)
    except streams.Unanswered:
        if in_doubt.was_done(command) is False:
            raise
        return None


def digest(kind: CommandKind, terms: Mapping[str, Any]) -> str:
    """What makes two requests the same: their meaning, not their spelling."""
    return hashlib.sha256(kind.encode() + json_codec.dumps(sorted(terms.items()))).hexdigest()
