"""Sessions end: with a new password, everywhere at once, for a user or for an API client.

What disables somebody, or writes another password, needs nothing of this: the database raises the generation with
either (trigger `ends_sessions`).
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db.models import F

from accounts import conflicts
from accounts.errors import CustomerNotFound, InvalidToken, NoLogin, WrongPassword
from accounts.models import ApiClient, Customer, User
from accounts.services.customers import check_new_password, has_password


def change_password(user_id: UUID, generation: int, old: str, new: str) -> User:
    """Give a user another password; every session of theirs ends, and the user comes back in the next generation.

    `generation` is that of the token with which they ask.

    Raises WrongPassword, Malformed for a new one that can't be, InvalidToken where their sessions have ended meanwhile,
    and `passwords.TooManyPasswords`.
    """
    user = User.objects.get(pk=user_id)
    if not has_password(user, old):
        raise WrongPassword
    check_new_password(new, user)
    return write_password(user_id, generation, make_password(new))


@conflicts.atomic
def write_password(user_id: UUID, generation: int, password_hash: str) -> User:
    """Raises InvalidToken where the user isn't of this generation any more, or disabled."""
    asked = User.objects.filter(pk=user_id, generation=generation, is_active=True)
    if not asked.update(password=password_hash):
        raise InvalidToken
    return User.objects.get(pk=user_id)


@conflicts.atomic
def log_out_everywhere(user_ids: Collection[UUID]) -> int:
    """End every session of these users, in the API and in the admin; how many users that were."""
    return User.objects.filter(pk__in=user_ids).update(generation=F("generation") + 1)


def login_of(customer_id: UUID) -> User:
    """Who logs in for a customer. Raises CustomerNotFound, and NoLogin where that is nobody, or one of the staff."""
    customer = Customer.objects.select_related("user").filter(pk=customer_id).first()
    if customer is None:
        raise CustomerNotFound
    if customer.user is None or customer.user.is_staff:
        raise NoLogin
    return customer.user


@conflicts.atomic
def end_tokens(client_ids: Collection[UUID]) -> int:
    """End every token of these API clients and of the customers they gave one to; how many clients that were."""
    return ApiClient.objects.filter(pk__in=client_ids).update(generation=F("generation") + 1)
