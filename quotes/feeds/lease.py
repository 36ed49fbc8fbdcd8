"""Who may publish prices: one feed at a time, and never one that was away too long.

Taking the lease raises its epoch, and the script that publishes refuses an epoch lower than one it has seen: so a feed
that was paused past its lease writes nothing when it goes on, wherever in its code it stood. PostgreSQL says who holds
the lease; while it is away the holder goes on, and nobody else can take it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from accounts import holders

LEASE_SECONDS: Final = 1.2  # with a look every LOOK_SECONDS, a dead or paused holder has a successor within two
LOOK_SECONDS: Final = 0.25


class PublisherLeaseLost(Exception):
    """Another feed has taken the lease."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Which feed publishes, by `accounts.holders`, and since when."""

    name: str
    since: datetime | None


class PublisherLease:
    """The right to publish, once `take` has said yes. A query or two each; raises django.db.Error."""

    def __init__(self) -> None:
        self.name = holders.name()
        self.epoch = 0

    def take(self) -> Holder | None:
        """Try to take the lease: free, run out, ours, or its holder is known to be dead. Who holds it if that fails."""
        with connection.cursor() as cursor:  # no transaction: who is paused in the middle keeps nobody waiting
            cursor.execute("SELECT epoch, holder, taken_at FROM quotes_feedlease")
            epoch, holder, since = cursor.fetchone()
            cursor.execute(
                "UPDATE quotes_feedlease SET epoch = epoch + 1, holder = %s, renewed_at = clock_timestamp(),"
                " taken_at = clock_timestamp() WHERE epoch = %s AND (%s OR renewed_at IS NULL"
                " OR renewed_at < clock_timestamp() - make_interval(secs => %s)) RETURNING epoch",
                [self.name, epoch, holder == self.name or holders.is_dead(holder), LEASE_SECONDS],
            )
            taken = cursor.fetchone()
        if taken is None:
            return Holder(holder, since)
        (self.epoch,) = taken
        return None

    def renew(self) -> None:
        """Say that this feed lives. Raises PublisherLeaseLost."""
        self._update("renewed_at = clock_timestamp()")

    def rise_above(self, stood: int) -> None:
        """Go on under an epoch higher than `stood`, which Redis remembers of a time that PostgreSQL, restored to an
        earlier moment, doesn't know. Raises PublisherLeaseLost where it is another feed's, and nothing of before.
        """
        self._update("renewed_at = clock_timestamp(), epoch = greatest(epoch, %s) + 1", stood)

    def give_back(self) -> None:
        """Let a successor start at once."""
        with suppress(PublisherLeaseLost):
            self._update("renewed_at = NULL, holder = '', taken_at = NULL")

    def _update(self, change: str, *values: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE quotes_feedlease SET {change} WHERE epoch = %s AND holder = %s RETURNING epoch",  # noqa: S608
                [*values, self.epoch, self.name],
            )
            found = cursor.fetchone()
        if found is None:
            raise PublisherLeaseLost
        (self.epoch,) = found
