"""At most one request per Idempotency-Key at a time, within one deadline.

A courtesy in Redis, not the guard: what a key answered is a row that the engine writes with the order itself.
The mark runs out with the command's deadline, after which the engine drops the command, so a retry can never
meet a command that may still be executed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import redis

from accounts import streams
from trades.orders.errors import StillRunning

# Only the request that set the mark takes it away.
_LEAVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@contextmanager
def alone(customer_id: UUID, key: str, command_id: UUID, milliseconds: int) -> Iterator[None]:
    """Hold a customer's key for a request. Raises StillRunning while another one holds it."""
    if not key:
        yield
        return
    mark = f"inflight:{customer_id.hex}:{key}"
    if not streams.prompt_client().set(mark, command_id.hex, nx=True, px=max(1, milliseconds)):
        raise StillRunning
    try:
        yield
    finally:
        with suppress(redis.RedisError):  # it runs out by itself
            streams.prompt_client().eval(_LEAVE, 1, mark, command_id.hex)
