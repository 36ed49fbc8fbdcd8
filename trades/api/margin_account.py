"""What the margin account's viewsets share: whose account it is, and the prices to show it by.

A trader's token names its own customer. A firm's client names one of the firm's in each call, by the query's
`customer_guid` or the header `X-Customer-Guid`; a customer token may.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import redis
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import tokens
from accounts.errors import CustomerNotFound, Forbidden, Malformed
from accounts.identity import EXECUTE_ORDERS, Caller
from accounts.ids import parse_guid
from accounts.rest.queries import given
from accounts.rest.viewsets import Resource
from accounts.selectors import customer_meant_by
from accounts.tokens import Claims
from quotes import prices as markets
from quotes.prices import Prices
from trades.margin.commands import Asker, Client, Trader

CUSTOMER: Final = "customer_guid"
HEADER: Final = "X-Customer-Guid"
_META: Final = "HTTP_X_CUSTOMER_GUID"

log = logging.getLogger("orders")


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose margin account it is; `user_id` is None of a customer without a login."""

    customer_id: UUID
    user_id: UUID | None


class OfMarginAccount(Resource):
    owner = "customer_id"
    scopes = {}
    parameters = (CUSTOMER,)

    @cached_property
    def holder(self) -> Holder:
        """Raises CustomerNotFound, Malformed."""
        return _holder(self.caller, customer_named(self.request._request))

    def get_queryset(self) -> QuerySet[Any]:
        """Of the one customer that the call is about."""
        return super().get_queryset().filter(customer_id=self.holder.customer_id)

    @staticmethod
    def prices() -> Prices | None:
        """The latest prices, or None while Redis is away: money is shown all the same."""
        try:
            return markets.latest()
        except redis.RedisError:
            log.warning("no prices: Redis is away")
            return None


def asker_of(request: HttpRequest) -> Asker:
    """Who wants something done, and about whose margin account.

    A trader's token is believed, and the engine looks in its own transaction whether it still may; that way no query
    is made. Raises Unauthorized, InvalidToken; Forbidden where an API client lacks the scope; CustomerNotFound;
    Malformed.
    """
    claims = tokens.claims_of(request)
    if claims.user_id is not None and claims.customer_id is not None:
        if customer_named(request) not in (None, claims.customer_id):
            raise CustomerNotFound
        return Trader(claims.user_id, claims.customer_id, generation=claims.generation, session_id=claims.session_id)
    return _client(claims, request)


def _client(claims: Claims, request: HttpRequest) -> Client:
    caller = tokens.caller_of(claims)
    if not caller.may(EXECUTE_ORDERS) or caller.client_id is None:
        raise Forbidden
    holder = _holder(caller, customer_named(request))
    return Client(caller.client_id, holder.customer_id, generation=caller.generation)


def customer_named(request: HttpRequest) -> UUID | None:
    """The customer that a call names, None where it names none. Raises Malformed for what can't be a guid, and where
    query and header name two."""
    said = {request.META[_META]} if _META in request.META else set()
    if request.META.get("QUERY_STRING") and CUSTOMER in request.GET:
        said.add(given(request.GET, CUSTOMER))
    if not said:
        return None
    id_ = parse_guid(said.pop())
    if id_ is None or said:
        raise Malformed(f"{CUSTOMER} must be one guid of 32 lowercase hex characters.")
    return id_


def _holder(caller: Caller, named: UUID | None) -> Holder:
    own = caller.customer_id
    if caller.user_id is not None and own is not None and named in (None, own):
        return Holder(own, caller.user_id)
    customer = customer_meant_by(caller, named)
    return Holder(customer.pk, customer.user_id)
