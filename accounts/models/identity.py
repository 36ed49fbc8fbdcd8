"""Who may do what: people who log in, customers who own money, programs that act for the firm."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.ids import partition_of, uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who logs in with an e-mail address: a trader, or one of the firm's staff."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True, help_text="Off: every token of this user stops working at once.")
    is_staff = models.BooleanField(default=False, help_text="May enter this admin.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = (models.UniqueConstraint(Lower("email"), name="user_email_any_case"),)

    def __str__(self) -> str:
        return self.email


class Customer(FixedColumns):
    """Whoever owns money here. A trader's user has one; partners make others without a login.

    Whose it is never changes: with the login, the money would change hands.
    """

    fixed = frozenset({"user_id", "partition", "created_at"})

    class State(models.TextChoices):
        STORING = "storing"
        UNVERIFIED = "unverified"
        VERIFIED = "verified"
        REJECTED = "rejected"
        FROZEN = "frozen"

    class Type(models.TextChoices):
        INDIVIDUAL = "individual"
        BUSINESS = "business"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.OneToOneField(User, null=True, blank=True, on_delete=models.PROTECT, related_name="customer")
    type = models.CharField(max_length=16, choices=Type, default=Type.INDIVIDUAL)
    state = models.CharField(max_length=16, choices=State, default=State.VERIFIED)
    name = models.CharField(max_length=200, blank=True)
    labels = ArrayField(models.CharField(max_length=64), null=True, blank=True)
    partition = models.SmallIntegerField(
        editable=False, help_text="Picks the engine and the house accounts; never changes."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (
            known("customer", "state", ["storing", "unverified", "verified", "rejected", "frozen"]),
            known("customer", "type", ["individual", "business"]),
        )

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.partition = partition_of(self.pk)
        super().save(*args, **kwargs)

    def __str__(self) -> str:
        return self.name or self.pk.hex


class ApiClient(FixedColumns):
    """A program that acts for the firm with an id and a secret, within its scopes."""

    fixed = frozenset({"client_id", "secret_sha256", "created_at"})

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    client_id = models.CharField(max_length=64, unique=True, editable=False)
    secret_sha256 = models.CharField(
        max_length=64, editable=False, help_text="Of 32 random bytes: nothing to guess, so a fast hash is enough."
    )
    scopes = ArrayField(models.CharField(max_length=64), help_text="What its tokens may do at the most.")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name
