"""The Redis that carries commands, replies, wake-ups and prices. Nothing in it is the truth.

Every method may raise redis.RedisError; edges turn that into 503, loops wait and try again.
"""

from __future__ import annotations

from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

BLOCK_SECONDS = 1  # the longest a blocking read may sleep: well below the socket's timeout


@cache
def client() -> redis.Redis:
    """This process' client, shared by its threads; one attempt per call, so that a deadline stays one.

    redis-py would retry by itself and stretch a 5 s deadline to 20 s.
    """
    return redis.Redis.from_url(
        settings.STREAM_URL or "redis://127.0.0.1:6379/0",
        socket_timeout=BLOCK_SECONDS + 2,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=0,
        decode_responses=True,
        max_connections=1024,
    )
