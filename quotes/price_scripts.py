"""What becomes of a price on its way into Redis: the scripts, each atomic there.

Atomic, so that a tick computed before a hold was set can't overwrite the held price, and so that two feeds (an
old one still stopping) judge one after the other. A price is written `bid|ask|milliseconds`.

Prices stay texts and are stored digit for digit. Only the question whether one jumps too far is answered with
Lua's doubles: a guard of fifteen digits, no amount of money. A jump of exactly the limit passes, whatever
rounding makes of it, because the limit is widened by a part in a billion.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

PRICES: Final = "prices"  # what everybody reads
HOLDS: Final = "prices:held"  # an operator's bid|ask, which stands instead of the feed's
BEHIND: Final = "prices:behind"  # the feed's own last price while a held one stands in its place; '' where it had none
REFUSED: Final = "prices:refused"  # the last price that jumped too far, until the feed is back or it is accepted
KEYS: Final = (PRICES, HOLDS, BEHIND, REFUSED)

AHEAD: Final = timedelta(seconds=1)
"""How far a venue's clock may run ahead of Redis'. Such a price counts as of now."""

PAUSE: Final = timedelta(hours=12)
"""After so long without any price of a symbol its market was closed, and may open anywhere: longer than the daily
break of any market and than an outage that nobody would notice, shorter than a weekend. A feed that says something
refusable all the time does not pause."""

_COMMON = """
local function read(text)
    local bid, ask, at = string.match(text or '', '^([%d.]+)|([%d.]+)|(%d+)$')
    bid, ask = tonumber(bid or ''), tonumber(ask or '')
    if not bid or not ask or bid + ask <= 0 then return nil end
    return bid + ask, tonumber(at)
end
local function jumps(price, before, limit)
    return math.abs(price - before) * 100 > before * tonumber(limit) * (1 + 1e-9)
end
local prices, held, behind, refused = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

# ARGV: symbol, bid, ask, time in ms or '', jump limit in percent; and so on. Answers '' or the fault of each.
PUBLISH: Final = (
    _COMMON
    + f"""
local ahead, pause = {AHEAD // timedelta(milliseconds=1)}, {PAUSE // timedelta(milliseconds=1)}
"""
    + """
local function fault_of_time(given, stood)
    if given > now + ahead then return 'future' end
    local _, before = read(stood)
    -- A time that is still to come stands there only if the clock was set back: it must not lock the feed out.
    if before and before <= now and given < before then return 'late' end
    return nil
end

local function one(symbol, bid, ask, given, limit)
    local stood, hold = redis.call('HGET', prices, symbol), redis.call('HGET', held, symbol)
    local at = now
    if given ~= '' then
        local fault = fault_of_time(tonumber(given), stood)
        if fault then return fault end
        at = math.min(tonumber(given), now)
    end
    local stamp = '|' .. string.format('%.0f', at)
    local own = redis.call('HGET', behind, symbol)
    local last, said = read(own or (not hold and stood))
    local has_paused = last and at - said > pause and redis.call('HEXISTS', refused, symbol) == 0
    local text = bid .. '|' .. ask .. stamp
    local is_refused = last and not has_paused and jumps(tonumber(bid) + tonumber(ask), last, limit)
    if is_refused then
        redis.call('HSET', refused, symbol, text)
    else
        redis.call('HDEL', refused, symbol)
    end
    if hold then
        redis.call('HSET', prices, symbol, hold .. stamp)
        if not is_refused then redis.call('HSET', behind, symbol, text) end
        return ''
    end
    if is_refused then return 'jump' end
    redis.call('HSET', prices, symbol, text)
    if own then redis.call('HDEL', behind, symbol) end
    return ''
end

local answers = {}
for i = 1, #ARGV, 5 do
    answers[#answers + 1] = one(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
return answers
"""
)

# ARGV: symbol, bid|ask.
HOLD: Final = (
    _COMMON
    + """
local symbol, price = ARGV[1], ARGV[2]
-- Only the first of several holds in a row finds the feed's price there.
if redis.call('HEXISTS', held, symbol) == 0 then
    redis.call('HSETNX', behind, symbol, redis.call('HGET', prices, symbol) or '')
end
redis.call('HSET', held, symbol, price)
redis.call('HSET', prices, symbol, price .. '|' .. string.format('%.0f', now))
return 'held'
"""
)

# ARGV: symbol, what was seen of it or '', jump limit in percent. Answers the price, '' or 'moved'.
ACCEPT: Final = (
    _COMMON
    + """
local symbol, seen, limit = ARGV[1], read(ARGV[2]), ARGV[3]
local wanted = redis.call('HGET', refused, symbol)
local price = read(wanted)
if not price then return '' end
if seen and jumps(price, seen, limit) then return 'moved' end
if redis.call('HEXISTS', held, symbol) == 1 then
    redis.call('HSET', behind, symbol, wanted)
else
    redis.call('HSET', prices, symbol, wanted)
    redis.call('HDEL', behind, symbol)
end
redis.call('HDEL', refused, symbol)
return wanted
"""
)
