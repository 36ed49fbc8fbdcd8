"""Faults that an API client forces on its own next calls: kept in Redis, each used exactly as often as was asked.

By client a hash: a fault's guid names what it is, and `<guid>:left` how often it is still to be used. The server alone
counts down, so of any number of calls at once as many meet a fault as it has uses left. A Redis that was emptied has
forgotten them, and one that is away forces nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from redis import ResponseError

from accounts import clock, json_codec, streams
from accounts.ids import parse_guid
from accounts.timestamps import from_milliseconds

STATUSES: Final = (408, 500, 503)
BEFORE: Final = "before"
AFTER: Final = "after"
MOST_USES: Final = 100
MOST_FAULTS: Final = 20  # of a client, at once
MOST_DELAY_MILLISECONDS: Final = 10_000
KEPT_SECONDS: Final = 3600
LONGEST_PATH: Final = 200
ANY_SEGMENT: Final = "*"
_LEFT: Final = ":left"

# KEYS[1]: the client's faults. ARGV: the names that stay. What has expired, and what is somebody's rubbish, goes.
_WITHOUT_OTHERS: Final = """
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return redis.call('DEL', KEYS[1]) end
local stays = {}
for _, name in ipairs(ARGV) do stays[name] = true end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    if not stays[name] then redis.call('HDEL', KEYS[1], name) end
end
"""

# ARGV: the guid, the fault, its uses, seconds, the most. 0 where there are too many.
_ADD: Final = """
if redis.call('HLEN', KEYS[1]) >= 2 * tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], ARGV[1] .. ':left', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""

# ARGV: the guid. 1 where this call is one of those that it is for.
_USE: Final = """
local left = tonumber(redis.call('HGET', KEYS[1], ARGV[1] .. ':left'))
if not left then return 0 end
if left > 1 then redis.call('HINCRBY', KEYS[1], ARGV[1] .. ':left', -1)
else redis.call('HDEL', KEYS[1], ARGV[1], ARGV[1] .. ':left') end
return 1
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to happen to a call: a delay, an answer of this status instead of its own, or one after the other.

    `when`: BEFORE the call is carried out, which then isn't done where there is a status; or AFTER. `method` and
    `path`: of which calls, "" for all of them; in a path `*` stands for any one segment. `status` is 0 for none.
    """

    guid: UUID
    status: int
    delay_milliseconds: int
    when: str
    method: str
    path: str
    count: int
    expires_at: datetime

    def is_for(self, method: str, path: str) -> bool:
        return self.method in ("", method) and (not self.path or _fits(self.path, path))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A fault, and how often it is still to be used."""

    fault: Fault
    left: int


def _fits(pattern: str, path: str) -> bool:
    wanted, given = pattern.rstrip("/").split("/"), path.rstrip("/").split("/")
    return len(wanted) == len(given) and all(
        one in (ANY_SEGMENT, other) for one, other in zip(wanted, given, strict=True)
    )


def add(client_id: UUID, fault: Fault) -> bool:
    """Have it happen to the client's next calls; False where MOST_FAULTS wait already. Raises redis.RedisError."""
    key, redis = _key(client_id), streams.prompt_client()
    said = asdict(fault) | {"guid": fault.guid.hex, "expires_at": int(fault.expires_at.timestamp() * 1000)}
    given = (fault.guid.hex, json_codec.dumps(said).decode(), fault.count, KEPT_SECONDS, MOST_FAULTS)
    redis.eval(_WITHOUT_OTHERS, 1, key, *[name for one in waiting(client_id) for name in _names(one.fault.guid)])
    return bool(redis.eval(_ADD, 1, key, *given))


def waiting(client_id: UUID) -> list[Waiting]:
    """The client's faults that are still to happen, the oldest first. Raises redis.RedisError."""
    try:
        kept: dict[str, str] = streams.prompt_client().hgetall(_key(client_id))  # type: ignore[assignment]
    except ResponseError:  # a key of another type
        return []
    return sorted(_read(kept), key=lambda one: one.fault.guid) if kept else []


def use(client_id: UUID, method: str, path: str) -> Fault | None:
    """The fault that this call meets, None for none; one use of it is used up. Raises redis.RedisError."""
    for one in waiting(client_id):
        if one.fault.is_for(method, path) and streams.prompt_client().eval(
            _USE, 1, _key(client_id), one.fault.guid.hex
        ):
            return one.fault
    return None


def remove(client_id: UUID, guid: UUID) -> bool:
    """Take a fault away; False where it isn't there any more. Raises redis.RedisError."""
    return bool(streams.prompt_client().hdel(_key(client_id), *_names(guid)))


def _names(guid: UUID) -> tuple[str, str]:
    return guid.hex, f"{guid.hex}{_LEFT}"


def _key(client_id: UUID) -> str:
    return f"sandbox:faults:{client_id.hex}"


def _read(kept: dict[str, str]) -> Iterator[Waiting]:
    """What can be read of them, and has not expired; the rest is somebody's rubbish."""
    now = clock.about_now()
    for name, text in kept.items():
        left = kept.get(f"{name}{_LEFT}", "")
        if not left.isdecimal():
            continue
        fault = _fault(text)
        if fault is not None and fault.expires_at > now:
            yield Waiting(fault, int(left))


def _fault(text: str) -> Fault | None:
    try:
        said: dict[str, Any] = dict(json_codec.loads(text.encode()))
        guid = parse_guid(said.pop("guid"))
        until = from_milliseconds(int(said.pop("expires_at")))
        status, delay, count = (int(said.pop(name)) for name in ("status", "delay_milliseconds", "count"))
        when, method, path = (str(said.pop(name)) for name in ("when", "method", "path"))
    except (json_codec.NotJSON, KeyError, TypeError, ValueError, OverflowError):
        return None
    return None if guid is None or said else Fault(guid, status, delay, when, method, path, count, until)
