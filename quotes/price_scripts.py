"""What becomes of a price on its way into Redis: the scripts, each atomic there.

Atomic, so that a tick computed before a hold was set can't overwrite the held price, and so that of two feeds the one
that no longer publishes is refused, whenever its call arrives. A price is written `bid|ask|milliseconds`, and
`bid|ask|milliseconds|number` while it is held: the number is the hold's row in PostgreSQL, 0 where that isn't known.
Behind the feed's own stands `~` with what it was made of (`made_of.py`), where the feed says so: one text, so that
whoever reads the price has its sources with it.

Prices stay texts and are stored digit for digit. Only the questions whether a side jumps too far and whether the
spread is too wide are answered with Lua's doubles: a guard of fifteen digits, no amount of money. The rule is that of
`judging.py`: exactly the limit passes, whatever rounding makes of it, because it is widened by a part in a billion.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from quotes.judging import WIDENED

PRICES: Final = "prices"  # what everybody reads
HOLDS: Final = "prices:held"  # a symbol's last hold: bid|ask|number, in the feed's place; or a release: ||number
BEHIND: Final = "prices:behind"  # the feed's own last price while a held one stands in its place; '' where it had none
REFUSED: Final = "prices:refused"  # the last one that jumped or was too wide, until the feed is back or it is accepted
EPOCH: Final = "prices:epoch"  # of the feed that publishes: a text
KEYS: Final = (PRICES, HOLDS, BEHIND, REFUSED, EPOCH)

AHEAD: Final = timedelta(seconds=1)
"""How far a venue's clock may run ahead of Redis'. Such a price counts as of now."""

PAUSE: Final = timedelta(hours=12)
"""After so long without any price of a symbol its market was closed, and may open anywhere: longer than the daily
break of any market and than an outage that nobody would notice, shorter than a weekend. A feed that publishes something
refusable all the time does not pause."""

EPOCHS: Final = 1_000_000
"""An epoch so far ahead is nobody's: it takes that many takeovers. Rubbish must not silence every feed for good."""

_COMMON = (
    f"""
local widened, ahead = {WIDENED}, {AHEAD // timedelta(milliseconds=1)}
"""
    + """
local prices, held, behind, refused, epoch_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- What is not of its type was put there by somebody else, and would stop every reader.
for i, key in ipairs(KEYS) do
    local type = redis.call('TYPE', key).ok
    if type ~= 'none' and type ~= (key == epoch_key and 'string' or 'hash') then redis.call('DEL', key) end
end

-- A price as {bid, ask}, and its time; nil where it is none. What it was made of is nothing to judge by here.
local function read(text)
    local bid, ask, at = string.match(string.match(text or '', '^[^~]*'), '^([%d.]+)|([%d.]+)|(%d+)$')
    bid, ask = tonumber(bid or ''), tonumber(ask or '')
    if not bid or not ask or bid <= 0 or bid > ask then return nil end
    return {bid, ask}, tonumber(at)
end
local function time_of(text)
    return tonumber(string.match(text or '', '^[%d.]+|[%d.]+|(%d+)') or '')
end
local function leaps(side, before, limit)
    return math.abs(side - before) * 100 > before * tonumber(limit) * widened
end
local function jumps(price, before, limit)
    return leaps(price[1], before[1], limit) or leaps(price[2], before[2], limit)
end
local function is_wide(price, limit)
    return (price[2] - price[1]) * 200 > (price[1] + price[2]) * tonumber(limit) * widened
end
-- A count of more digits is rubbish: doubles would not keep it apart from the next.
local function count(text)
    if #(text or '') > 14 then return 0 end
    return tonumber(string.match(text or '', '^%d+$') or '') or 0
end

-- The price at which a symbol is held, or nil, and the number of its last hold or release.
local function hold_of(symbol)
    local text = redis.call('HGET', held, symbol) or ''
    local price, number = string.match(text, '^([%d.]+|[%d.]+)|?(%d*)$')
    if price and read(price .. '|0') then return price, count(number) end
    return nil, count(string.match(text, '^||(%d+)$'))
end
-- An empty price releases.
local function set_hold(symbol, price, number)
    number = string.format('%.0f', number)
    if price == '' then
        redis.call('HSET', held, symbol, '||' .. number)
        return
    end
    -- Only the first of several holds in a row finds the feed's price there.
    if not hold_of(symbol) then
        redis.call('HSETNX', behind, symbol, redis.call('HGET', prices, symbol) or '')
    end
    redis.call('HSET', held, symbol, price .. '|' .. number)
end
local function held_text(price, at, number)
    return price .. '|' .. string.format('%.0f', at) .. '|' .. string.format('%.0f', number)
end
"""
)

# ARGV: the epoch of the feed, or '' (not checked); then by symbol: symbol, bid, ask, time in ms or '', jump limit
# and greatest spread in percent, and whether PostgreSQL has it held: the number of the last hold or release or '', its
# price, the number in Redis that PostgreSQL doesn't know or ''; and '~' with what the price was made of, or ''.
# Bid and ask are '' where no source says anything of it: then the time is as of when a hold is fresh.
# Answers: the time in ms and, by symbol, '' or the fault, what stands, the last hold's number; or {'fenced', epoch}.
PUBLISH: Final = (
    _COMMON
    + f"""
local pause = {PAUSE // timedelta(milliseconds=1)}
local epochs = {EPOCHS}
"""
    + """
if ARGV[1] ~= '' then
    local given, stood = count(ARGV[1]), count(redis.call('GET', epoch_key) or '')
    if given < stood and stood - given < epochs then return {'fenced', string.format('%.0f', stood)} end
    redis.call('SET', epoch_key, ARGV[1])
end

local function fault_of_time(given, stood)
    if given > now + ahead then return 'future' end
    local before = time_of(stood)
    -- A time that is still to come stands there only if the clock was set back: it must not lock the feed out.
    if before and before <= now and given < before then return 'late' end
    return nil
end

-- The newer hold or release counts: one that the feed hasn't read yet stays, and what Redis has lost comes back. A
-- number that PostgreSQL doesn't know is of before it was restored to an earlier time. (0: an earlier version's hold.)
local function update_hold(symbol, number, price, unknown)
    local stands, known = hold_of(symbol)
    number = count(number)
    local is_newer = number > known or (number == known and number > 0)
    if (is_newer or (unknown ~= '' and count(unknown) == known and known > 0))
        and (number ~= known or price ~= (stands or '')) then
        set_hold(symbol, price, number)
    end
end

local function one(symbol, bid, ask, given, limit, widest, made_of)
    local stood, hold, number = redis.call('HGET', prices, symbol), hold_of(symbol)
    local at = now
    if bid == '' then -- an operator's word stays fresh while a feed speaks
        if hold and not fault_of_time(tonumber(given), stood) then
            redis.call('HSET', prices, symbol, held_text(hold, math.min(tonumber(given), now), number))
        end
        return ''
    end
    if given ~= '' then
        local fault = fault_of_time(tonumber(given), stood)
        if fault then return fault end
        at = math.min(tonumber(given), now)
    end
    local own = redis.call('HGET', behind, symbol)
    local last, said = read(own or (not hold and stood))
    local has_paused = last and at - said > pause and redis.call('HEXISTS', refused, symbol) == 0
    local text = bid .. '|' .. ask .. '|' .. string.format('%.0f', at) .. made_of
    local said_now, fault = {tonumber(bid), tonumber(ask)}, nil
    if is_wide(said_now, widest) then
        fault = 'spread'
    elseif last and not has_paused and jumps(said_now, last, limit) then
        fault = 'jump'
    end
    if fault then
        redis.call('HSET', refused, symbol, text)
    else
        redis.call('HDEL', refused, symbol)
    end
    if hold then
        redis.call('HSET', prices, symbol, held_text(hold, at, number))
        if not fault then redis.call('HSET', behind, symbol, text) end
        return ''
    end
    if fault then return fault end
    redis.call('HSET', prices, symbol, text)
    if own then redis.call('HDEL', behind, symbol) end
    return ''
end

local answers = {string.format('%.0f', now)}
for i = 2, #ARGV, 10 do
    local symbol = ARGV[i]
    if ARGV[i + 6] ~= '' then update_hold(symbol, ARGV[i + 6], ARGV[i + 7], ARGV[i + 8]) end
    local said = one(symbol, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 9])
    answers[#answers + 1] = said
    answers[#answers + 1] = redis.call('HGET', prices, symbol) or ''
    answers[#answers + 1] = string.format('%.0f', select(2, hold_of(symbol)))
end
return answers
"""
)

# ARGV: symbol, bid|ask or '' (a release), number or '' (the next). Answers the number that then counts.
HOLD: Final = (
    _COMMON
    + """
local symbol, price, number = ARGV[1], ARGV[2], ARGV[3]
local _, known = hold_of(symbol)
if number == '' then number = known + 1 else number = count(number) end
if number < known then return string.format('%.0f', known) end
set_hold(symbol, price, number)
if price ~= '' then redis.call('HSET', prices, symbol, held_text(price, now, number)) end
return string.format('%.0f', number)
"""
)

# ARGV: symbol, what was seen of it or '', jump limit and greatest spread in percent, until when in ms or ''.
# Answers the price, '', 'moved', 'wide' or 'late'. One of a time to come no feed has said: it goes, and there is none.
ACCEPT: Final = (
    _COMMON
    + """
local symbol, seen, limit, widest = ARGV[1], read(ARGV[2]), ARGV[3], ARGV[4]
if ARGV[5] ~= '' and now > tonumber(ARGV[5]) then return 'late' end
local wanted = redis.call('HGET', refused, symbol)
local price, at = read(wanted)
if not price then return '' end
if at > now + ahead then
    redis.call('HDEL', refused, symbol)
    return ''
end
if is_wide(price, widest) then return 'wide' end
if seen and jumps(price, seen, limit) then return 'moved' end
if hold_of(symbol) then
    redis.call('HSET', behind, symbol, wanted)
else
    redis.call('HSET', prices, symbol, wanted)
    redis.call('HDEL', behind, symbol)
end
redis.call('HDEL', refused, symbol)
return wanted
"""
)
