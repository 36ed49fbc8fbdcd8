"""What nobody needs any more is forgotten by its age, some rows at a time, so that nobody waits for the rest.

Each piece is a transaction of its own: who is interrupted goes on where it was. What has a decision of its own stays:
history is sealed, answers of orders are kept for ever, and those of other requests for 48 hours (decision 0100).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection

AT_ONCE: Final = 5_000
_A_DAY: Final = timedelta(days=1)  # for hosts' clocks that differ: Django judges a session by its own

_SESSIONS: Final = """
DELETE FROM django_session WHERE session_key IN (
    SELECT session_key FROM django_session WHERE expire_date <= %(before)s ORDER BY expire_date
    LIMIT %(most)s FOR UPDATE SKIP LOCKED)
"""
# In the order of their making, which is nearly that of their end: no index on the end is needed.
_TOKENS: Final = """
WITH page AS (
    SELECT id, expires_at FROM token_blacklist_outstandingtoken WHERE id > %(after)s ORDER BY id LIMIT %(most)s
), expired AS (
    SELECT id FROM page WHERE expires_at <= %(before)s
), old AS (
    SELECT id FROM token_blacklist_outstandingtoken WHERE id IN (SELECT id FROM expired) FOR UPDATE SKIP LOCKED
), unlisted AS (
    DELETE FROM token_blacklist_blacklistedtoken WHERE token_id IN (SELECT id FROM old)
), gone AS (
    DELETE FROM token_blacklist_outstandingtoken WHERE id IN (SELECT id FROM old)
)
SELECT (SELECT max(id) FROM page), (SELECT count(*) FROM expired), (SELECT count(*) FROM old)
"""


def forget_sessions(at: datetime) -> int:
    """Remove the admin's sessions that ended a day ago; how many they were."""
    count: int = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_SESSIONS, {"before": at - _A_DAY, "most": AT_ONCE})
            gone: int = cursor.rowcount
        count += gone
        if gone < AT_ONCE:
            return count


def forget_tokens(at: datetime) -> int:
    """Remove refresh tokens that have expired, and that they were ended; how many. One that is held goes next time.

    It stops at the first piece in which all are still good. What a longer lifetime left between shorter ones goes
    when its time has come: the next run begins at the oldest again.
    """
    count: int = 0
    after = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_TOKENS, {"after": after, "before": at, "most": AT_ONCE})
            last, expired, gone = cursor.fetchone()
        count += gone
        if last is None or expired == 0:
            return count
        after = last
