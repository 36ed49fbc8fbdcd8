"""A trader's request becomes a command, and the engine's answer a response: status, bytes, headers.

Nothing here asks the database: the token names the customer, and the engine checks in its own transaction that
the user may still trade. A request that waits holds a thread, and nothing else.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from accounts import exact
from accounts.errors import Malformed
from accounts.ids import uuid7
from trades.orders import requests
from trades.orders.commands import CLOSE, CREATE, Command
from trades.orders.gateway import gateway
from trades.orders.inflight import alone

COMMIT_ALLOWANCE = 0.25  # seconds before the deadline at which an engine stops starting: a commit takes time
LONGEST_KEY = 128


@dataclass(frozen=True, slots=True)
class Trader:
    """On whose behalf: the user and customer that a genuine token names."""

    user_id: UUID
    customer_id: UUID


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: str
    replayed: bool = False


def close(by: Trader, body: Mapping[str, Any], key: str, arrived: float) -> Reply:
    """Close an order at the market price; answers within 5 s of `arrived` (monotonic seconds).

    Raises Malformed and its kind for a bad body, StillRunning, TooManyWaiting, redis.RedisError.
    """
    terms = requests.close_terms(body)
    deadline = arrived + settings.CLOSE_DEADLINE_SECONDS
    reply = _ask(by, CLOSE, terms, key, deadline)
    return reply or Reply(500, _outcome_unknown(terms["orderId"]))


def create(by: Trader, body: Mapping[str, Any], key: str, arrived: float) -> Reply:
    """Open a market order; answers within 3 s of `arrived`. Raises as `close` does."""
    terms = requests.create_terms(body)
    deadline = arrived + settings.CREATE_DEADLINE_SECONDS
    return _ask(by, CREATE, terms, key, deadline) or Reply(408, _CREATION_TIMED_OUT)


def _ask(by: Trader, kind: str, terms: dict[str, Any], key: str, deadline: float) -> Reply | None:
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise Malformed(f"Idempotency-Key must have 1 to {LONGEST_KEY} printable characters")
    command_id = uuid7()
    left = int((deadline - COMMIT_ALLOWANCE - time.monotonic()) * 1000)
    command = Command(
        id=command_id,
        kind=kind,
        customer_id=by.customer_id,
        user_id=by.user_id,
        terms=terms,
        ttl_ms=max(0, left),
        reply_to=gateway().channel,
        key=key,
        request_sha256=digest(kind, terms) if key else "",
    )
    with alone(by.customer_id, key, command_id, left):
        answer = gateway().send(command, deadline)
    if answer is None:
        return None
    if kind == CLOSE and answer.order_code not in ("", terms["orderId"]):
        return Reply(400, _MISMATCH)
    return Reply(answer.status, answer.body, answer.replayed)


def digest(kind: str, terms: Mapping[str, Any]) -> str:
    """What makes two requests the same: their meaning, not their spelling."""
    return hashlib.sha256(kind.encode() + exact.dumps(sorted(terms.items()))).hexdigest()


def _outcome_unknown(order_id: str) -> str:
    return exact.dumps(
        {
            "error": "Failed to close order",
            "message": "No answer within 5 seconds: outcome unknown."
            " The order is now either closed or stays open; read it to see which.",
            "timeout": True,
            "orderId": order_id,
        }
    ).decode()


_MISMATCH = '{"error":"Order ID mismatch"}'
_CREATION_TIMED_OUT = exact.dumps(
    {
        "error": "Request timeout: Order creation took longer than 3 seconds",
        "message": "Request timeout: Order creation took longer than 3 seconds",
        "timeout": True,
    }
).decode()
