"""The one clock that all processes share, for what one of them promises and another judges: PostgreSQL's."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """The time by the database's host, whatever transaction this is in. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone()
    at: datetime = moment
    return at
