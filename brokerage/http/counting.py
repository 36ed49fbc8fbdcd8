"""Who has asked how often, against the limits of settings: the counters.

What is rare and dear (`hit`: logins, new accounts, secrets) is counted in Valkey, each attempt by one script there, so
that of a thousand at once no more get through than may, and by its clock alone. While it is away, each web process
counts by itself: an operator must be able to log in just then.

What is frequent and cheap (`take`: every call) would pay for that with a round trip. So half of its limit is shared out
among the web processes, which count their part in memory, and only whoever has used that up is counted in Valkey,
against the other half. While it is away nobody is refused there: without it there is no trading anyway.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from functools import cache
from typing import Any, Final, NamedTuple

import redis
from django.conf import settings
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.clock import uptime
from accounts.streams import PROMPT_SECONDS

log = logging.getLogger(__name__)

PREFIX: Final = "limits"
AWAY_SECONDS: Final = 5  # a Valkey that didn't answer isn't asked for so long


class Standing(NamedTuple):
    """Against one limit: how many calls it is of, how many are left, and seconds until there are more."""

    limit: int
    remaining: int
    reset: int
    is_over: bool = False


def hit(name: str, *who: str) -> list[Standing]:
    """Count an attempt against a limit's every window, until one is over: the last of what this gives."""
    standings = []
    for item in settings.LIMITS[name]:
        standings.append(_hit(item, (name, *who)))
        if standings[-1].is_over:
            break
    return standings


def unhit(name: str, *who: str) -> None:
    """Forget what was counted against a limit, in its every window."""
    for item in settings.LIMITS[name]:
        if uptime() >= _Away.until:
            try:
                SlidingWindowCounterRateLimiter(_storage()).clear(item, name, *who)
            except redis.RedisError as failure:
                _note_that_it_is_away(failure)
        with _one_at_a_time:
            MovingWindowRateLimiter(_alone()).clear(item, name, *who)


def take(name: str, who: str) -> Standing | None:
    """Count a call; None where there is no limit of this name."""
    items = settings.LIMITS[name]
    return _shares.take(name, items[0], who) if items else None


def forget() -> None:
    """As if nobody had asked before. For tests."""
    _shares.clear()
    _alone.cache_clear()
    _Away.until = 0.0
    client: Any = _storage().get_connection()
    if keys := list(client.scan_iter(f"{PREFIX}:*")):
        client.unlink(*keys)


# --- in Valkey --------------------------------------------------------------------------------------


class _Away:
    until = 0.0


def _hit(item: RateLimitItem, who: tuple[str, ...]) -> Standing:
    if uptime() >= _Away.until:
        try:
            return _standing(SlidingWindowCounterRateLimiter(_storage()), item, who)
        except redis.RedisError as failure:
            _note_that_it_is_away(failure)
    with _one_at_a_time:
        return _standing(MovingWindowRateLimiter(_alone()), item, who)


def _standing(limiter: Any, item: RateLimitItem, who: tuple[str, ...]) -> Standing:
    is_over = not limiter.hit(item, *who)
    stats = limiter.get_window_stats(item, *who)
    left = 0 if is_over else stats.remaining
    return Standing(item.amount, left, max(1, math.ceil(stats.reset_time - time.time())), is_over)


def _note_that_it_is_away(failure: redis.RedisError) -> None:
    _Away.until = uptime() + AWAY_SECONDS
    log.error("limits are counted by each process alone: %s: %s", type(failure).__name__, failure)


@cache
def _storage() -> RedisStorage:
    pool = redis.ConnectionPool.from_url(
        settings.LIMITS_URL or "redis://127.0.0.1:6379/0",
        socket_timeout=PROMPT_SECONDS,
        socket_connect_timeout=PROMPT_SECONDS,
        retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
        max_connections=1024,
    )
    return RedisStorage("redis://", connection_pool=pool, key_prefix=PREFIX)


# --- in this process --------------------------------------------------------------------------------

_one_at_a_time = threading.Lock()


@cache
def _alone() -> MemoryStorage:
    return MemoryStorage()


class _Window:
    __slots__ = ("ends", "taken")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.taken: dict[str, int] = {}


class _Shares:
    """What this process has let through in the windows of now, by who asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}

    def clear(self) -> None:
        self._windows.clear()

    def take(self, name: str, item: RateLimitItem, who: str) -> Standing:
        processes = settings.WEB_WORKERS
        own = item.amount // (2 * processes)
        others = item.amount - own * processes
        with self._lock:
            window = self._window(name, item.get_expiry())
            before = window.taken.get(who, 0)
            if before < own:
                window.taken[who] = before + 1
        reset = max(1, math.ceil(window.ends - uptime()))
        if before < own:
            return Standing(item.amount, own - before - 1 + others, reset)
        return _of_the_other_half(item, others, (name, who), reset)

    def _window(self, name: str, seconds: int) -> _Window:
        now = uptime()
        window = self._windows.get(name)
        if window is None or now >= window.ends:
            window = self._windows[name] = _Window(now + seconds)
        return window


def _of_the_other_half(item: RateLimitItem, others: int, who: tuple[str, ...], reset: int) -> Standing:
    if uptime() < _Away.until:
        return Standing(item.amount, 0, reset)
    half = type(item)(others, item.multiples)
    limiter = FixedWindowRateLimiter(_storage())
    try:
        taken = limiter.storage.incr(half.key_for(*who), half.get_expiry())
    except redis.RedisError as failure:
        _note_that_it_is_away(failure)
        return Standing(item.amount, 0, reset)
    return Standing(item.amount, max(0, others - taken), reset, is_over=taken > others)


_shares = _Shares()
