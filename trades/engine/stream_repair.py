"""What a stream's keys may hold that no engine can serve, and how it is taken out of the way.

Whoever can write to Redis can leave anything under our names: a key of another type, an entry from the future, after
which Redis takes no further one in, a group that has read what doesn't exist yet. None of that may stop an engine or
wait for a person: it is set aside with a reason, and what are good commands stays, with the ids that date them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import redis

from accounts import streams
from trades.margin.commands import GROUP

log = logging.getLogger("engine")

DEAD_LETTERS_KEPT: Final = 10_000
AHEAD_MILLISECONDS: Final = 1000  # an entry dated later than this after Redis' own clock was not dated by it
_KEPT_CHARACTERS: Final = 4000
_KEPT_FIELDS: Final = 8

# KEYS: stream, dead letters. ARGV: the group, how far ahead is too far (ms), dead letters kept, characters kept.
# Answers what was wrong, in words, and nothing where nothing was.
_REPAIR: Final = """
local stream, dead, group = KEYS[1], KEYS[2], ARGV[1]
local wrong, letters = {}, {}
local function kept(text) return string.sub(text, 1, tonumber(ARGV[4])) end
local function about(answer)
  local facts = {}
  for i = 1, #answer, 2 do facts[answer[i]] = answer[i + 1] end
  return facts
end
local time = redis.call('TIME')
local latest = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
local function is_ahead(id) return tonumber(string.match(id, '^%d+')) > latest end

-- Make a stream anew of the entries that were dated by the clock; the others become dead letters.
local function without_what_is_ahead(key)
  local good = redis.call('XRANGE', key, '-', latest, 'COUNT', ARGV[3])
  local ahead = redis.call('XRANGE', key, latest + 1, '+', 'COUNT', ARGV[3])
  redis.call('UNLINK', key)
  for _, entry in ipairs(good) do
    if #entry[2] <= 40 then redis.call('XADD', key, entry[1], unpack(entry[2])) end
  end
  for _, entry in ipairs(ahead) do
    table.insert(letters, {entry[1], 'dated ahead of the clock of Redis', kept(entry[2][2] or '')})
  end
end

local kind = redis.call('TYPE', dead)['ok']
if kind == 'stream' then
  local last = about(redis.call('XINFO', 'STREAM', dead))['last-generated-id']
  if is_ahead(last) then
    table.insert(wrong, 'the dead letters ended at ' .. last)
    without_what_is_ahead(dead)
  end
elseif kind ~= 'none' then
  table.insert(wrong, 'a ' .. kind .. ' stood in the place of the dead letters')
  redis.call('UNLINK', dead)
end

kind = redis.call('TYPE', stream)['ok']
if kind == 'stream' then
  local last = about(redis.call('XINFO', 'STREAM', stream))['last-generated-id']
  local read = last
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local facts = about(row)
    if facts['name'] == group then read = facts['last-delivered-id'] end
  end
  if is_ahead(last) or is_ahead(read) then
    table.insert(wrong, 'the stream ended at ' .. last .. ' and was read up to ' .. read)
    without_what_is_ahead(stream)
  end
elseif kind ~= 'none' then
  table.insert(wrong, 'a ' .. kind .. ' stood in the place of the stream')
  table.insert(letters, {'', wrong[#wrong], kind == 'string' and kept(redis.call('GET', stream)) or ''})
  redis.call('UNLINK', stream)
end
for _, letter in ipairs(letters) do
  redis.call('XADD', dead, 'MAXLEN', ARGV[3], '*', 'entry', letter[1], 'c', letter[3], 'reason', letter[2])
end
if #wrong > 0 then redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM') end
return wrong
"""


def repair(stream: str) -> bool:
    """Take out of a stream's keys what no engine can serve. Says whether there was anything.

    Good commands that stand beside it are read again: applying one twice changes nothing. Raises redis.RedisError.
    """
    arguments = (GROUP, AHEAD_MILLISECONDS, DEAD_LETTERS_KEPT, _KEPT_CHARACTERS)
    wrong: Any = streams.client().eval(_REPAIR, 2, stream, f"{stream}:dead", *map(str, arguments))
    if wrong:
        log.error("%s held what no engine can serve, which is taken out: %s", stream, "; ".join(wrong))
    return bool(wrong)


def is_ahead(id_: str, clock: Sequence[Any]) -> bool:
    """Whether an entry's id is later than what Redis' clock (seconds, microseconds) can have given it."""
    return int(id_.partition("-")[0]) > int(clock[0]) * 1000 + AHEAD_MILLISECONDS


def is_about_keys(answer: object) -> bool:
    """Whether Redis refused because of what stands under a name, or doesn't stand there any more."""
    return isinstance(answer, redis.ResponseError) and str(answer).startswith(("NOGROUP", "WRONGTYPE", "UNBLOCKED"))


def to_dead_letters(stream: str, letters: Sequence[tuple[str, Mapping[str, str], str]]) -> None:
    """Set entries (id, fields, reason) aside, out of the others' way. Raises redis.RedisError."""
    if not letters:
        return
    ids = [id_ for id_, _, _ in letters]
    log.error("%s entries go to the dead letters, the first, %s: %s", len(ids), ids[0], letters[0][2])
    dead = f"{stream}:dead"
    kept = [_letter(fields, reason) for _, fields, reason in letters]
    pipe = streams.client().pipeline(transaction=True)
    for letter in kept:
        pipe.xadd(dead, letter, maxlen=DEAD_LETTERS_KEPT)
    pipe.xack(stream, GROUP, *ids)
    pipe.xdel(stream, *ids)
    answers = pipe.execute(raise_on_error=False)
    refused = [letter for letter, answer in zip(kept, answers, strict=False) if isinstance(answer, redis.ResponseError)]
    if refused and repair(stream):
        for letter in refused:
            streams.client().xadd(dead, letter, maxlen=DEAD_LETTERS_KEPT)


def _letter(fields: Mapping[str, str], reason: str) -> Any:
    kept = {name[:64]: value[:_KEPT_CHARACTERS] for name, value in [*fields.items()][:_KEPT_FIELDS]}
    return {**kept, "reason": reason[:500]}
