"""Why PostgreSQL can't be reached, in one line of the log: the pool, which requests wait for, has only waited."""

from __future__ import annotations

import logging
import threading
from typing import Final

from django.db import connections
from psycopg_pool import PoolTimeout

from accounts.clock import uptime
from accounts.management import connecting

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 10.0


class _Asked:
    at = -AGAIN_SECONDS
    lock = threading.Lock()


def tell_why(error: BaseException) -> threading.Thread | None:
    """Ask the server once more, without the pool, and log what it says; every ten seconds at the most.

    The request is answered meanwhile: it doesn't wait for the thread that this gives, None where nothing is asked.
    """
    if not isinstance(error.__cause__, PoolTimeout):
        return None
    with _Asked.lock:
        if uptime() - _Asked.at < AGAIN_SECONDS:
            return None
        _Asked.at = uptime()
    thread = threading.Thread(target=_tell, args=(error,), name="why?", daemon=True)
    thread.start()
    return thread


def _tell(error: BaseException) -> None:
    try:
        said = connecting.why_refused(error)
    finally:
        connections.close_all()
    log.error("%s", connecting.in_words(said))
