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
from django.db import IntegrityError, transaction

from accounts import conflicts, ledger
from accounts.errors import Conflict, EmailTaken, InvalidCredentials, Malformed, UnknownAsset, WrongAccountType
from accounts.ids import partition_of, uuid7
from accounts.models import Asset, Customer, LedgerAccount, User

LONGEST_EMAIL: Final = 254
LONGEST_PASSWORD: Final = 1024
LONGEST_NAME: Final = 200

FIAT_ACCOUNT: Final = "fiat"
TRADING_ACCOUNT: Final = "trading"


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """Whom to open: with a user who logs in, or without one (a partner's customer)."""

    user: User | None = None
    type: str = Customer.Type.INDIVIDUAL
    name: str = ""
    labels: list[str] | None = None


@conflicts.atomic
def open_customers(wanted: Sequence[NewCustomer], at: datetime) -> list[Customer]:
    """Open customers, all or none. Those who log in trade on margin, so their cash and margin accounts open too."""
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
                partition=partition_of(id_),
                created_at=at,
                updated_at=at,
            )
        )
    Customer.objects.bulk_create(customers)
    traders = [customer for customer in customers if customer.user_id is not None]
    ledger.lock(
        ledger.customers(customer.pk, settings.ACCOUNT_CURRENCY, type_)
        for customer in traders
        for type_ in (ledger.AVAILABLE, ledger.MARGIN)
    )
    return customers


def create_customer(email: str, password: str, name: str, at: datetime) -> Customer:
    """A user who logs in with this e-mail address, and their customer.

    Raises Malformed for an address or password that isn't one, EmailTaken also when somebody else signs up
    with the address at this very moment.
    """
    email = _address(email)
    user = User(email=email, name=_name(name), created_at=at)
    _check_password(password, user)
    if User.objects.filter(email=email).exists():
        raise EmailTaken
    user.password = make_password(password)  # a third of a second: before the transaction, not in it
    return _sign_up(user, at)


@conflicts.atomic
def _sign_up(user: User, at: datetime) -> Customer:
    try:
        with transaction.atomic():
            user.save(force_insert=True)  # also where a try that was undone made it look saved
    except IntegrityError:
        raise EmailTaken from None
    return open_customers([NewCustomer(user=user, name=user.name or user.email)], at)[0]


def authenticate(email: str, password: str) -> User:
    """The active user with this address and password who owns a customer.

    Raises InvalidCredentials, after the same work for an unknown address as for a wrong password.
    """
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        make_password(password)
        raise InvalidCredentials
    genuine = check_password(password, user.password, lambda _: _keep_hash(user.pk, make_password(password)))
    if not genuine or not user.is_active or not Customer.objects.filter(user=user).exists():
        raise InvalidCredentials
    return user


@conflicts.atomic
def _keep_hash(user_id: UUID, password_hash: str) -> None:
    """The password was right, and its hash one that is no longer how new ones are made."""
    User.objects.filter(pk=user_id).update(password=password_hash)


@conflicts.atomic
def open_account(customer: Customer, asset_code: str, type: str, name: str) -> LedgerAccount:  # noqa: A002
    """A customer's named account in an asset; one that money opened by itself is given the name.

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
    if not LedgerAccount.objects.filter(pk=account_id, name="").update(name=name):
        raise Conflict(f"The customer has an account in {asset.code} already.")
    return LedgerAccount.objects.get(pk=account_id)


def _address(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Malformed("Email must be a valid e-mail address") from None
    if len(email) > LONGEST_EMAIL:
        raise Malformed("Email must be a valid e-mail address")
    return email


def _check_password(password: str, user: User) -> None:
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
