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

from accounts.errors import CustomerNotFound, CustomerNotVerified, Malformed, UserNotFound
from accounts.identity import Caller
from accounts.ids import pasted_guid
from accounts.ledger import AVAILABLE, LEAVING, SETTLING
from accounts.models import Asset, Break, Customer, CustomerDetails, KnownAddress, LedgerAccount, User
from accounts.states import CustomerState


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


def customer_meant_by(caller: Caller, named: UUID | None) -> Customer:
    """Whom a call is about: the one that it names, else the one that its token is limited to.

    Raises CustomerNotFound, also for somebody else's; Malformed where a firm's client names none.
    """
    wanted = named or caller.customer_id
    if wanted is None:
        raise Malformed("customer_guid is required.")
    return customer_seen_by(caller, wanted)


def with_details(customers: QuerySet[Customer]) -> QuerySet[Customer]:
    """Each with its personal data, in two queries for all of them: `details_of` then asks nothing."""
    return customers.select_related("details").prefetch_related("details__identification_numbers")


def details_of(customer: Customer) -> CustomerDetails | None:
    """A customer's personal data; None where none was given, or it was erased."""
    return getattr(customer, "details", None)


def state_of(customer_id: UUID) -> str:
    """As of now. Raises CustomerNotFound."""
    state = Customer.objects.filter(pk=customer_id).values_list("state", flat=True).first()
    if state is None:
        raise CustomerNotFound
    return state


def refuse_unverified(customer_id: UUID) -> None:
    """Raises CustomerNotVerified for whoever may not trade, CustomerNotFound."""
    state = state_of(customer_id)
    if state != CustomerState.VERIFIED:
        raise CustomerNotVerified(state)


def accounts() -> QuerySet[LedgerAccount]:
    """Customers' `available` accounts, newest first, each with `platform_balance`: what is available and what the same
    asset has on its way, in or out."""
    amount: DecimalField[object, object] = DecimalField(max_digits=38, decimal_places=0)

    def on_its_way(type_: str) -> Coalesce:
        rows = LedgerAccount.objects.filter(customer=OuterRef("customer"), asset=OuterRef("asset"), type=type_)
        return Coalesce(Subquery(rows.values(balance_=F("credits") - F("debits"))), 0, output_field=amount)

    return (
        LedgerAccount.objects.filter(customer__isnull=False, type=AVAILABLE)
        .select_related("asset")
        .annotate(platform_balance=F("credits") - F("debits") + on_its_way(SETTLING) + on_its_way(LEAVING))
        .order_by("-pk")
    )


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


def is_known_address(email: str, address: str) -> bool:
    """Whether the user with this e-mail address has logged in from this network address."""
    return KnownAddress.objects.filter(user__email=email, address=address).exists()


def breaks(at: datetime, *, only_open: bool = True) -> QuerySet[Break]:
    """Oldest first, each with `age`: how long it has been open at a moment, or was until it was resolved."""
    until = Coalesce("resolved_at", Value(at, output_field=DateTimeField()))
    found = (
        Break.objects.select_related("asset", "owner")
        .annotate(age=ExpressionWrapper(until - F("opened_at"), output_field=DurationField()))
        .order_by("opened_at", "pk")
    )
    return found.filter(state=Break.State.OPEN) if only_open else found
