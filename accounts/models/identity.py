"""Who may do what: people who log in, customers who own money, programs that act for the firm."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.password_validation import validate_password
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts import request_id
from accounts.ids import partition_of, uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from accounts.models.labels import few_labels
from accounts.states import ClientClass, CustomerState, ExpectedBehaviour


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Raises ValidationError for a password that is too short, too common, or like the address."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        if password is not None:
            validate_password(password, user)
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
    generation = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Of this user's sessions: raised by the database with the password and is_active, it ends them all.",
    )
    salt = models.UUIDField(
        default=uuid4,
        db_default=RandomUUID(),
        editable=False,
        help_text="Of the digests in its versions; replaced when its personal data is erased.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = (models.UniqueConstraint(Lower("email"), name="user_email_any_case"),)

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """And look what generation this is now: the admin keeps who changed their own password logged in by it."""
        is_new, written = self._state.adding, kwargs.get("update_fields")
        super().save(*args, **kwargs)
        if not is_new and (written is None or {"password", "is_active", "generation"} & set(written)):
            self.refresh_from_db(fields=["generation"])

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session of the admin must have: it ends with the generation, as tokens do."""
        salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
        said = f"{self.generation}:{self.password}" if self.generation else self.password  # as Django's at first
        return salted_hmac(salt, said, secret=secret, algorithm="sha256").hexdigest()


class EndedSession(models.Model):
    """A session that was ended by itself: by a logout, or by a refresh token that was shown twice.

    Its tokens name it. The row goes when the last of them has expired.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="ended_sessions")
    ended_at = models.DateTimeField()
    request_id = models.CharField(
        max_length=128, null=True, editable=False, default=request_id.current, help_text="The HTTP request that did it."
    )

    def __str__(self) -> str:
        return self.pk.hex


class KnownAddress(models.Model):
    """A network address from which somebody has logged in: while others guess at the account, this one is let in."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_addresses")
    address = models.CharField(max_length=43)
    last_at = models.DateTimeField(help_text="To the day.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "address"), name="known_address_once"),)

    def __str__(self) -> str:
        return self.address


class Customer(FixedColumns):
    """Whoever owns money here. A trader's user has one; partners make others without a login.

    Whose it is never changes: with the login, the money would change hands. Only a verified customer trades. What is
    known of the person beyond a name stands in `CustomerDetails`.
    """

    fixed = frozenset({"user_id", "partition", "external_id", "expected_behaviour", "created_at", "client_class"})

    State = CustomerState

    class Type(models.TextChoices):
        INDIVIDUAL = "individual"
        BUSINESS = "business"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.OneToOneField(User, null=True, blank=True, on_delete=models.PROTECT, related_name="customer")
    type = models.CharField(max_length=16, choices=Type, default=Type.INDIVIDUAL)
    state = models.CharField(max_length=16, choices=CustomerState, default=CustomerState.STORING)
    client_class = models.CharField(
        max_length=12,
        choices=ClientClass,
        default=ClientClass.RETAIL,
        db_default=ClientClass.RETAIL,
        editable=False,
        help_text="Which leverage is offered: two persons change it.",
    )
    name = models.CharField(max_length=200, blank=True)
    labels = ArrayField(models.CharField(max_length=64), null=True, blank=True)
    external_id = models.CharField(
        max_length=64, null=True, blank=True, editable=False, help_text="What the partner calls this customer."
    )
    expected_behaviour = models.CharField(
        max_length=20,
        choices=ExpectedBehaviour,
        blank=True,
        editable=False,
        help_text="Sandbox only: how the check ends.",
    )
    partition = models.SmallIntegerField(
        editable=False, help_text="Picks the engine and the house accounts; never changes."
    )
    salt = models.UUIDField(
        default=uuid4,
        db_default=RandomUUID(),
        editable=False,
        help_text="Of the digests in its versions; replaced when its personal data is erased.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the personal data was erased."
    )

    class Meta:
        constraints = (
            known("customer", "state", ["storing", "unverified", "verified", "rejected", "frozen"]),
            known("customer", "type", ["individual", "business"]),
            known("customer", "client_class", ClientClass.values),
            known("customer", "expected_behaviour", ["", *ExpectedBehaviour.values]),
            few_labels("customer"),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) | Q(name="", labels__isnull=True, state="rejected"),
                name="customer_erased_for_good",
            ),
        )
        indexes = (
            models.Index(fields=["id"], condition=Q(state="storing"), name="customer_storing"),
            models.Index(
                fields=["external_id"], condition=Q(external_id__isnull=False), name="customer_by_external_id"
            ),
            GinIndex(fields=["labels"], condition=Q(labels__isnull=False), name="customer_by_label"),
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
    generation = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Of this client's tokens: raised by the database with is_active, it ends them all.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name
