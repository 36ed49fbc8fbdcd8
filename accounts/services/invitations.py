"""A login that a partner makes for its customer: the customer gives it a password, by an invitation.

An invitation is signed and kept nowhere. It names the user and the generation of their sessions, which the database
raises with every password, so it is good once, and worth nothing once the user was disabled or logged out everywhere.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.core import signing
from django.db import IntegrityError, transaction

from accounts import clock, conflicts
from accounts.errors import Conflict, InvalidToken, Refusal
from accounts.models import Customer, User
from accounts.services.customers import NewCustomer, address_of, check_new_password, open_customers
from accounts.services.sessions import write_password

_SIGNER = signing.Signer(salt="accounts.invitation")


class Invitation(NamedTuple):
    """`token` goes to the customer, who gives it back with a password until `expires_at`."""

    token: str
    email: str
    expires_at: datetime


class AddressTaken(Conflict):
    sentence = "Somebody logs in with this address already."


class NobodyInvited(Refusal):
    code = "not_invited"
    sentence = "This customer has no login, or has given it a password."


@conflicts.atomic
def open_invited(wanted: NewCustomer, email: str, at: datetime) -> Customer:
    """Open a customer with a login that has no password yet.

    Raises AddressTaken, Malformed for what is no address, and what `open_customers` raises.
    """
    user = User(email=address_of(email), name=wanted.name, created_at=at)
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise AddressTaken from None
    return open_customers([replace(wanted, user=user)], at)[0]


def invite(customer: Customer, at: datetime) -> Invitation:
    """An invitation, as often as one is asked for until the first is accepted. Raises NobodyInvited."""
    user = customer.user
    if user is None or not user.is_active or not user.password.startswith(UNUSABLE_PASSWORD_PREFIX):
        raise NobodyInvited
    expires_at = at + timedelta(days=settings.INVITATION_DAYS)
    said = f"{user.pk.hex}:{user.generation}:{int(expires_at.timestamp())}"
    return Invitation(_SIGNER.sign(said), user.email, datetime.fromtimestamp(int(expires_at.timestamp()), UTC))


def accept(token: str, password: str) -> User:
    """Give an invited user their password; the user comes back in the generation that begins with it.

    Raises InvalidToken for an invitation that is forged, expired or was accepted, also at this very moment; Malformed
    for a password that can't be, `passwords.TooManyPasswords`.
    """
    user_id, generation = _read(token)
    user = User.objects.filter(pk=user_id, generation=generation, is_active=True).first()
    if user is None:
        raise InvalidToken
    check_new_password(password, user)
    return write_password(user_id, generation, make_password(password))


def _read(token: str) -> tuple[UUID, int]:
    try:
        user, generation, expires = _SIGNER.unsign(token).split(":")
    except signing.BadSignature:
        raise InvalidToken from None
    if int(expires) <= clock.about_now_seconds():
        raise InvalidToken
    return UUID(hex=user), int(generation)
