"""Customers' bank accounts outside: written down with checked numbers, and deleted; never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.bank_details import CHECKS, checked_holder
from accounts.errors import BankAccountExists, BankAccountNotFound, CustomerNotVerified, Malformed, UnknownAsset
from accounts.identity import Actor
from accounts.models import Asset, Customer, ExternalBankAccount
from accounts.states import BankAccountState, CustomerState


@dataclass(frozen=True, slots=True)
class GivenAccount:
    """What somebody wrote as a bank account. `routing_type` is one of `bank_details.CHECKS`."""

    customer_id: UUID
    asset: str
    name: str
    holder: str
    routing_type: str
    routing_number: str
    account_number: str
    address: Mapping[str, str] | None = None
    email_address: str = ""


@conflicts.atomic
def add_bank_account(given: GivenAccount, *, by: Actor, at: datetime) -> ExternalBankAccount:
    """A verified customer's new bank account, in a fiat asset. The customer is locked: nobody erases them meanwhile.

    Raises Malformed, UnknownAsset, CustomerNotVerified, BankAccountExists.
    """
    if not Asset.objects.filter(pk=given.asset, type=Asset.Type.FIAT).exists():
        raise UnknownAsset(f"{given.asset[:10]!r} is no asset that a bank keeps.")
    check_routing, check_number = CHECKS[given.routing_type]
    customer = Customer.objects.select_for_update(no_key=True).get(pk=given.customer_id)
    if customer.state != CustomerState.VERIFIED:
        raise CustomerNotVerified(customer.state)
    made = ExternalBankAccount(
        customer=customer,
        asset_id=given.asset,
        name=_one_line(given.name, "name"),
        holder=checked_holder(given.holder),
        routing_type=given.routing_type,
        routing_number=check_routing(given.routing_number),
        account_number=check_number(given.account_number),
        address=dict(given.address) if given.address else None,
        email_address=_one_line(given.email_address, "counterparty_email_address"),
        made_by_id=by.user_id,
        made_by_client_id=by.client_id,
        created_at=at,
        updated_at=at,
    )
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:
        raise BankAccountExists from None
    return made


@conflicts.atomic
def delete_bank_account(account_id: UUID, *, at: datetime) -> ExternalBankAccount:
    """From now on nothing is paid there, what hasn't been given to a bank yet included; twice is as once.

    Raises BankAccountNotFound.
    """
    found = ExternalBankAccount.objects.select_for_update(no_key=True).filter(pk=account_id).first()
    if found is None:
        raise BankAccountNotFound
    if found.state != BankAccountState.DELETED:
        found.state, found.updated_at = BankAccountState.DELETED, at
        found.save(update_fields=["state", "updated_at"])
    return found


def _one_line(text: str, name: str) -> str:
    if not text.isprintable():
        raise Malformed(f"{name} has its characters on one line.")
    return text
