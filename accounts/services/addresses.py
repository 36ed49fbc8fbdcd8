"""From which network addresses somebody has logged in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from accounts import conflicts
from accounts.models import KnownAddress, User

MOST_ADDRESSES: Final = 20  # of a user; the oldest goes
KEPT: Final = timedelta(days=90)  # after the last login from it
_NOTED_AGAIN: Final = timedelta(days=1)


@conflicts.atomic
def note_address(email: str, address: str, at: datetime) -> None:
    """Somebody has logged in with this e-mail address from this network address."""
    known = KnownAddress.objects.filter(user__email=email, address=address)
    if known.filter(last_at__gt=at - _NOTED_AGAIN).exists() or known.update(last_at=at):
        return
    user_id = User.objects.filter(email=email).values_list("pk", flat=True).first()
    if user_id is None:
        return
    KnownAddress.objects.bulk_create(
        [KnownAddress(user_id=user_id, address=address, last_at=at)], ignore_conflicts=True
    )
    newest = KnownAddress.objects.filter(user_id=user_id).order_by("-last_at", "-pk")
    KnownAddress.objects.filter(pk__in=list(newest.values_list("pk", flat=True)[MOST_ADDRESSES:])).delete()


@conflicts.atomic
def forget_addresses(at: datetime) -> None:
    """Remove the addresses from which nobody has logged in for so long."""
    KnownAddress.objects.filter(last_at__lte=at - KEPT).delete()
