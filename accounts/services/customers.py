"""Customers come in, log in, and open accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction

from accounts import conflicts, ledger, request_id
from accounts.errors import (
    Conflict,
    InvalidCredentials,
    Malformed,
    SandboxOnly,
    SignupRefused,
    UnknownAsset,
    WrongAccountType,
)
from accounts.ids import partition_of, uuid7
from accounts.models import Asset, Customer, LedgerAccount, User
from accounts.services import personal_data
from accounts.services.customer_states import checked
from accounts.services.personal_data import PersonalData
from accounts.states import CustomerState

LONGEST_EMAIL: Final = 254
LONGEST_PASSWORD: Final = 1024
LONGEST_NAME: Final = 200

FIAT_ACCOUNT: Final = "fiat"
TRADING_ACCOUNT: Final = "trading"


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """Whom to open: with a user who logs in, or without one (a partner's customer).

    `state` is storing, for the check to come, unless whoever calls answers for the customer. `labels` are at most 8 of
    1 to 64 characters, `external_id` at most 64 characters, `expected_behaviour` one of `ExpectedBehaviour` or "".
    """

    user: User | None = None
    type: str = Customer.Type.INDIVIDUAL
    name: str = ""
    labels: list[str] | None = None
    state: CustomerState = CustomerState.STORING
    external_id: str = ""
    expected_behaviour: str = ""
    details: PersonalData | None = None


@conflicts.atomic
def open_customers(wanted: Sequence[NewCustomer], at: datetime) -> list[Customer]:
    """Open customers, all or none. Those who log in trade on margin, so their cash and margin accounts open too.

    Whoever stands in storing afterwards is to be checked (`check`): wake a worker once this is committed. Raises
    Malformed for personal data that can't be kept, SandboxOnly.
    """
    if not settings.SANDBOX and any(one.expected_behaviour for one in wanted):
        raise SandboxOnly
    customers = []
    for one in wanted:
        id_ = uuid7()
        customers.append(
            Customer(
                id=id_,
                user=one.user,
                type=one.type,
                name=one.name,
                labels=one.labels,
                state=one.state,
                external_id=one.external_id or None,
                expected_behaviour=one.expected_behaviour,
                partition=partition_of(id_),
                created_at=at,
                updated_at=at,
            )
        )
    told = [
        personal_data.rows_of(customer, one.details, at)
        for customer, one in zip(customers, wanted, strict=True)
        if one.details is not None
    ]
    Customer.objects.bulk_create(customers)
    personal_data.keep(told)
    traders = [customer for customer in customers if customer.user_id is not None]
    ledger.lock(
        ledger.customers(customer.pk, settings.ACCOUNT_CURRENCY, type_)
        for customer in traders
        for type_ in (ledger.AVAILABLE, ledger.MARGIN)
    )
    return customers


def create_customer(
    email: str, password: str, name: str, at: datetime, *, state: CustomerState | None = None
) -> Customer:
    """A user who logs in with this e-mail address, and their customer.

    Without a `state` the check is done here and now, so that a sandbox's trader trades at once.
    Raises Malformed for an address or password that isn't one, SignupRefused where somebody has an account with the
    address, or signs up with it at this very moment; that takes as long, and doesn't say why.
    """
    email = address_of(email)
    user = User(email=email, name=_name(name), created_at=at)
    check_new_password(password, user)
    user.password = make_password(password)  # a third of a second: before the transaction, not in it
    return _sign_up(user, at, state or checked())


@conflicts.atomic
def _sign_up(user: User, at: datetime, state: CustomerState) -> Customer:
    try:
        with transaction.atomic():
            user.save(force_insert=True)  # also where a try that was undone made it look saved
    except IntegrityError:
        raise SignupRefused from None
    return open_customers([NewCustomer(user=user, name=user.name or user.email, state=state)], at)[0]


def authenticate(email: str, password: str) -> User:
    """The active user with this address and password who owns a customer.

    Raises InvalidCredentials, after the same work for an unknown address as for a wrong password, and
    `passwords.TooManyPasswords` without any.
    """
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        make_password(password)
        raise InvalidCredentials
    if not has_password(user, password) or not user.is_active or not Customer.objects.filter(user=user).exists():
        raise InvalidCredentials
    return user


def has_password(user: User, password: str) -> bool:
    """Whether it is this user's; one that is right and was hashed as new ones no longer are is hashed anew."""
    return check_password(password, user.password, lambda _: _keep_hash(user.pk, make_password(password)))


@conflicts.atomic
def _keep_hash(user_id: UUID, password_hash: str) -> None:
    """Another hash of the same password: no session ends (the trigger `ends_sessions` asks)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('brokerage.same_password', 'yes', true)")
        User.objects.filter(pk=user_id).update(password=password_hash)
        cursor.execute("SELECT set_config('brokerage.same_password', '', true)")


@conflicts.atomic
def open_account(
    customer: Customer,
    asset_code: str,
    type: str,  # noqa: A002
    name: str,
    labels: list[str] | None = None,
) -> LedgerAccount:
    """A customer's named account in an asset; one that money opened by itself is given the name and the labels.

    `labels` are at most 8 of 1 to 64 characters.

    Raises UnknownAsset, WrongAccountType when the type doesn't fit the asset, Conflict when the customer
    has a named account in it already.
    """
    asset = Asset.objects.filter(pk=asset_code).first()
    if asset is None:
        raise UnknownAsset
    if (type == FIAT_ACCOUNT) != (asset.type == Asset.Type.FIAT):
        raise WrongAccountType(f"{asset.code} is not kept in a {type} account.")
    wanted = ledger.customers(customer.pk, asset.code, ledger.AVAILABLE)
    account_id = ledger.lock([wanted])[wanted].id
    unnamed = LedgerAccount.objects.filter(pk=account_id, name="")
    if not unnamed.update(name=name, labels=labels, request_id=request_id.current()):
        raise Conflict(f"The customer has an account in {asset.code} already.")
    return LedgerAccount.objects.get(pk=account_id)


@conflicts.atomic
def change_account(account_id: UUID, *, name: str | None, labels: list[str] | None, at: datetime) -> None:
    """Give a customer's account another name (1 to 128 characters) or other labels, as in `open_account`.

    None: as it is.

    Two at once: each changes what it names, and the last one of a field stays.
    """
    told = {column: value for column, value in (("name", name), ("labels", labels)) if value is not None}
    if told:
        rows = LedgerAccount.objects.filter(pk=account_id, customer__isnull=False)
        rows.update(**told, updated_at=at, request_id=request_id.current())


def address_of(email: str) -> str:
    """An address as users are found by it. Raises Malformed."""
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Malformed("Email must be a valid e-mail address") from None
    if len(email) > LONGEST_EMAIL:
        raise Malformed("Email must be a valid e-mail address")
    return email


def check_new_password(password: str, user: User) -> None:
    """Raises Malformed for a password that this user can't have, with what is wrong about it."""
    if len(password) > LONGEST_PASSWORD:
        raise Malformed(f"Password must have at most {LONGEST_PASSWORD} characters")
    try:
        validate_password(password, user)
    except ValidationError as complaints:
        raise Malformed(" ".join(complaints.messages)) from None


def _name(name: str) -> str:
    name = name.strip()
    if len(name) > LONGEST_NAME:
        raise Malformed(f"Name must have at most {LONGEST_NAME} characters")
    return name
