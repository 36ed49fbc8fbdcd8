"""A customer is retail or professional: one person proposes another class, a second one applies it.

The class says which leverage is offered (`trades/margin/leverage.py`). It counts for what opens from then on; what is
open keeps its leverage and its margin. The order of locks: the change, then the customer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts import conflicts
from accounts.errors import Conflict, CustomerNotFound, Malformed, NotFound, Refusal
from accounts.models import Customer
from accounts.services.proposals import made_by_dialog, undecided
from accounts.states import ClientClass
from trades.errors import MakerIsChecker
from trades.models import ClientClassChange

LONGEST_REASON: Final = 500
State = ClientClassChange.State


class ClassChangeNotFound(NotFound):
    sentence = "There is no such change of a client class."


class ClassChangeWaits(Conflict):
    code = "already_proposed"
    sentence = "Another class of this customer waits to be decided: apply or refuse it first."


class ClassChangeDecided(Refusal):
    code = "already_decided"
    sentence = "This change of a client class has been decided already."


class ClassMoved(Refusal):
    """The customer isn't any more of the class that they were of when this was proposed."""

    code = "class_moved"
    sentence = "The customer's class was changed since this was proposed: refuse it, and propose it anew."


@conflicts.atomic
def propose(
    customer_id: UUID, client_class: str, *, reason: str, by: UUID, at: datetime, once: UUID | None = None
) -> ClientClassChange:
    """Propose another class; `by` is a member of staff, `once` the one-time key of their dialog.

    Raises CustomerNotFound, Malformed for no reason or the class that there is, ClassChangeWaits, KeyReused.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"A reason has 1 to {LONGEST_REASON} characters on one line.")
    if client_class not in ClientClass.values:
        raise Malformed(f"A client class is one of {', '.join(ClientClass.values)}.")
    said = (customer_id, client_class, reason, by)
    if made := made_by_dialog(ClientClassChange, once, lambda made: _said(made) == said):
        return made
    customer = _locked(customer_id)
    if customer.client_class == client_class:
        raise Malformed(f"The customer is {client_class} already.")
    if ClientClassChange.objects.filter(customer=customer, state=State.PROPOSED).exists():
        raise ClassChangeWaits
    try:
        with transaction.atomic():
            return ClientClassChange.objects.create(
                customer=customer,
                was=customer.client_class,
                becomes=client_class,
                reason=reason,
                once=once,
                made_by_id=by,
                made_at=at,
            )
    except IntegrityError:  # the same dialog about another customer, at the same moment: KeyReused
        made_by_dialog(ClientClassChange, once, lambda made: _said(made) == said)
        raise


@conflicts.atomic
def apply(change_id: UUID, *, by: UUID, at: datetime) -> ClientClassChange:
    """Give the customer the class, as the second person; a trigger does it.

    Raises ClassChangeNotFound, ClassChangeDecided, MakerIsChecker, ClassMoved.
    """
    change = _undecided(change_id)
    if change.made_by_id == by:
        raise MakerIsChecker("Whoever proposed a client class can't apply it.")
    if _locked(change.customer_id).client_class != change.was:
        raise ClassMoved
    return _decided(change, State.APPLIED, by, at)


@conflicts.atomic
def refuse(change_id: UUID, *, by: UUID, at: datetime) -> ClientClassChange:
    """Decide against it; its maker withdraws it this way. Raises ClassChangeNotFound, ClassChangeDecided."""
    change = _undecided(change_id)
    return _decided(change, State.REFUSED, None if change.made_by_id == by else by, at)


def changes(*, state: str = "") -> QuerySet[ClientClassChange]:
    """Newest first, with everybody they name."""
    found = ClientClassChange.objects.select_related("customer", "made_by", "checked_by").order_by("-pk")
    return found.filter(state=state) if state else found


def _undecided(change_id: UUID) -> ClientClassChange:
    return undecided(
        ClientClassChange, change_id, missing=ClassChangeNotFound, decided=ClassChangeDecided, called="change"
    )


def _decided(change: ClientClassChange, state: State, by: UUID | None, at: datetime) -> ClientClassChange:
    change.state, change.checked_by_id, change.decided_at = state, by, at
    change.save(update_fields=["state", "checked_by", "decided_at"])
    return change


def _locked(customer_id: UUID) -> Customer:
    customer = Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).first()
    if customer is None:
        raise CustomerNotFound
    return customer


def _said(made: ClientClassChange) -> tuple[UUID, str, str, UUID]:
    return made.customer_id, made.becomes, made.reason, made.made_by_id
