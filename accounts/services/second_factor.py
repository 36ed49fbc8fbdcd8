"""The second factor of staff: an authenticator's codes (TOTP, RFC 6238) and ten recovery codes, by django-otp.

A user has one authenticator. It is replaced only after an Administrator has taken it away: who has stolen a session, or
a password, can't add another one beside it.
"""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django_otp import verify_token
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import conflicts
from accounts.errors import NotOnesOwn, WrongCode
from accounts.models import User
from accounts.services.sessions import log_out_everywhere

RECOVERY_CODES: Final = 10
_CODE: Final = re.compile(r"\d{6}")


def is_enrolled(user: User) -> bool:
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def begin(user: User, begun: object) -> Any:
    """The authenticator that a session is about to add: `begun`, the id of the one it began, or a new one.

    No other session is shown it: who has only the password would read a key that its owner confirms later.
    """
    with transaction.atomic():
        _lock(user)
        device = TOTPDevice.objects.filter(pk=begun, user=user, confirmed=False).first()
        return device or TOTPDevice.objects.create(user=user, name="authenticator", confirmed=False)


def finish(user: User, begun: object, code: str) -> tuple[Any, list[str]] | None:
    """Confirm the authenticator with this id by its first code; it and the recovery codes, which nobody is shown again.

    Whatever other sessions began is deleted. None where the code is wrong, or the user has an authenticator already.
    """
    with transaction.atomic():
        _lock(user)
        device = TOTPDevice.objects.filter(pk=begun, user=user, confirmed=False).first()
        if is_enrolled(user) or device is None or not device.verify_token(_plain(code)):
            return None
        device.confirmed = True
        device.save()
        TOTPDevice.objects.filter(user=user, confirmed=False).delete()
        StaticDevice.objects.filter(user=user).delete()
        recovery = StaticDevice.objects.create(user=user, name="recovery codes")
        codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
        StaticToken.objects.bulk_create([StaticToken(device=recovery, token=one) for one in codes])
    return device, codes


def matched(user: User, code: str) -> Any | None:
    """The device whose code this is; None for a wrong one, one that was used, and while wrong ones make it wait.

    Each code counts once. A code of six digits is an authenticator's, any other a recovery code: a wrong one of
    either makes only its own kind wait.
    """
    said = _plain(code)
    kind = TOTPDevice if _CODE.fullmatch(said) else StaticDevice
    device = kind.objects.filter(user=user, confirmed=True).first()
    return None if device is None else verify_token(user, device.persistent_id, said)


def must_be_fresh(user_id: UUID, code: str) -> None:
    """For what money or control goes by: a code that nobody has used. Raises WrongCode. Nothing is asked where
    settings demand no second factor."""
    if settings.SECOND_FACTOR and matched(User.objects.get(pk=user_id), code) is None:
        raise WrongCode


@conflicts.atomic
def reset(user_id: UUID, *, by: UUID) -> None:
    """Take somebody's second factor away, and end their sessions: at the next login they add another one.

    Raises NotOnesOwn.
    """
    if user_id == by:
        raise NotOnesOwn
    TOTPDevice.objects.filter(user=user_id).delete()
    StaticDevice.objects.filter(user=user_id).delete()
    log_out_everywhere([user_id])


def _lock(user: User) -> None:
    """Two pages that enrol at once come one after the other."""
    User.objects.select_for_update().get(pk=user.pk)


def _plain(code: str) -> str:
    return "".join(code.split()).lower()
