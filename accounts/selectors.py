"""What a caller may see. A query limited to a customer can't name anybody else's row."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import (
    DateTimeField,
    DecimalField,
    DurationField,
    ExpressionWrapper,
    F,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce

from accounts.errors import CustomerNotFound, NotFound, UserNotFound
from accounts.identity import Caller
from accounts.ids import pasted_guid
from accounts.ledger import AVAILABLE, SETTLING
from accounts.models import Asset, Break, Customer, LedgerAccount, User


def assets() -> QuerySet[Asset]:
    return Asset.objects.order_by("code")


def customers_seen_by(caller: Caller) -> QuerySet[Customer]:
    """Newest first."""
    customers = Customer.objects.order_by("-pk")
    return customers if caller.customer_id is None else customers.filter(pk=caller.customer_id)


def customer_seen_by(caller: Caller, guid: UUID) -> Customer:
    """Raises CustomerNotFound for an unknown customer and for one that this caller may not see."""
    customer = customers_seen_by(caller).filter(pk=guid).first()
    if customer is None:
        raise CustomerNotFound
    return customer


def accounts_seen_by(caller: Caller) -> QuerySet[LedgerAccount]:
    """Customers' `available` accounts, newest first, each with `settling`: what the same asset has on its way."""
    on_its_way = LedgerAccount.objects.filter(
        customer=OuterRef("customer"), asset=OuterRef("asset"), type=SETTLING
    ).values(balance_=F("credits") - F("debits"))
    amount: DecimalField[object, object] = DecimalField(max_digits=38, decimal_places=0)
    accounts = (
        LedgerAccount.objects.filter(customer__isnull=False, type=AVAILABLE)
        .select_related("asset")
        .annotate(settling=Coalesce(Subquery(on_its_way), 0, output_field=amount))
        .order_by("-pk")
    )
    return accounts if caller.customer_id is None else accounts.filter(customer_id=caller.customer_id)


def account_seen_by(caller: Caller, guid: UUID) -> LedgerAccount:
    """Raises NotFound for an unknown account and for one that this caller may not see."""
    account = accounts_seen_by(caller).filter(pk=guid).first()
    if account is None:
        raise NotFound
    return account


def customer_named(text: str) -> Customer:
    """The customer that an operator names by guid or by e-mail address. Raises CustomerNotFound."""
    guid = pasted_guid(text)
    found = Customer.objects.filter(pk=guid) if guid else Customer.objects.filter(user__email=text.lower())
    customer = found.first()
    if customer is None:
        raise CustomerNotFound(f"There is no customer {text!r}.")
    return customer


def available(customer_id: UUID, asset: str) -> int:
    """What a customer may spend of an asset right now, in base units."""
    account = LedgerAccount.objects.filter(customer_id=customer_id, asset=asset, type=AVAILABLE).first()
    return account.balance if account else 0


def staff_named(text: str) -> User:
    """The active member of staff with this e-mail address. Raises UserNotFound."""
    user = User.objects.filter(email=text.strip().lower(), is_staff=True, is_active=True).first()
    if user is None:
        raise UserNotFound(f"There is no active staff user {text!r}.")
    return user


def breaks(at: datetime, *, only_open: bool = True) -> QuerySet[Break]:
    """Oldest first, each with `age`: how long it has been open at a moment, or was until it was resolved."""
    until = Coalesce("resolved_at", Value(at, output_field=DateTimeField()))
    found = (
        Break.objects.select_related("asset", "owner")
        .annotate(age=ExpressionWrapper(until - F("opened_at"), output_field=DurationField()))
        .order_by("opened_at", "pk")
    )
    return found.filter(state=Break.State.OPEN) if only_open else found
