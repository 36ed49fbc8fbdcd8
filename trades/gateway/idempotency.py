"""At most one request per Idempotency-Key at a time, within one deadline.

A courtesy in Redis, not the guard: what a key answered is a row that the engine writes with the order itself.
The mark runs out with the command's deadline, after which the engine drops the command, so a retry can never
meet a command that may still be executed. A request that gives up takes its mark away, also one that Redis had taken
in without our hearing of it; one that Redis would take in later is not set at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import redis

from accounts import streams
from accounts.clock import uptime
from accounts.errors import StillRunning
from trades.gateway.replies import LEAVE, gateway

_TAKEN: Final = "taken"
_LATE: Final = "late"

# What stands there and is no mark is somebody's rubbish. ARGV: the command, until when the mark may be set, until when
# it stands; both on Redis' clock, in milliseconds.
_ENTER: Final = f"""
local clock = redis.call('TIME')
if clock[1] * 1000 + math.floor(clock[2] / 1000) > tonumber(ARGV[2]) then return '{_LATE}' end
if redis.call('TYPE', KEYS[1]).ok ~= 'string' then redis.call('DEL', KEYS[1]) end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PXAT', ARGV[3]) then return '' end
return '{_TAKEN}'
"""


@contextmanager
def alone(customer_id: UUID, key: str, command_id: UUID, until_ms: int) -> Iterator[None]:
    """Hold a customer's key for a request, until a time on Redis' clock at the longest.

    Raises StillRunning while another one holds it, redis.RedisError.
    """
    if not key:
        yield
        return
    mark = f"inflight:{customer_id.hex}:{key}"
    may_be_set_until = gateway().on_its_clock(uptime() + streams.PROMPT_SECONDS)
    try:
        said = streams.prompt_client().eval(_ENTER, 1, mark, command_id.hex, str(may_be_set_until), str(until_ms))
    except redis.RedisError:
        gateway().leave_later(mark, command_id)
        raise
    if said == _LATE:
        raise redis.TimeoutError("Redis took the request in too late")
    if said == _TAKEN:
        raise StillRunning
    try:
        yield
    finally:
        try:
            streams.prompt_client().eval(LEAVE, 1, mark, command_id.hex)
        except redis.RedisError:
            gateway().leave_later(mark, command_id)
