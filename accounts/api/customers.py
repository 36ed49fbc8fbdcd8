"""Customers, as the quotes/trades API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import clock, selectors, services
from accounts.api import bodies
from accounts.api.lists import bank, guid_in_path, guids, one_of, page_of, strings
from accounts.errors import Malformed
from accounts.identity import Caller
from accounts.models import Customer
from accounts.services import NewCustomer

FILTERS = {
    "guid": guids("pk"),
    "bank_guid": bank(settings.BANK_GUID),
    "type": one_of("type", Customer.Type.values),
    "state": one_of("state", Customer.State.values),
    "label": strings("labels__overlap"),
}


class CustomersView(APIView):
    scopes = {"GET": "customers:read", "POST": "customers:execute"}

    def get(self, request: Request) -> Response:
        caller: Caller = request.user  # type: ignore[assignment]
        return Response(page_of(selectors.customers_seen_by(caller), request.query_params, FILTERS, customer_out))

    def post(self, request: Request) -> Response:
        body = bodies.object_in(request.data)
        wanted = NewCustomer(
            type=bodies.choice(body, "type", Customer.Type.values), name=_name(body), labels=bodies.labels(body)
        )
        [customer] = services.open_customers([wanted], clock.now())
        return Response(customer_out(customer), status=201)


class CustomerView(APIView):
    scopes = {"GET": "customers:read"}

    def get(self, request: Request, guid: str) -> Response:
        caller: Caller = request.user  # type: ignore[assignment]
        return Response(customer_out(selectors.customer_seen_by(caller, guid_in_path(guid))))


def customer_out(customer: Customer) -> dict[str, Any]:
    shown = {
        "guid": customer.pk,
        "bank_guid": settings.BANK_GUID,
        "type": customer.type,
        "state": customer.state,
        "created_at": customer.created_at,
        "updated_at": customer.updated_at,
        "labels": customer.labels,
    }
    if customer.name:
        shown["name"] = {"first": None, "middle": None, "last": None, "full": customer.name}
    return shown


def _name(body: Mapping[str, Any]) -> str:
    """`name` is an object with `full`, or with the parts of a name. One text is kept of it."""
    given = body.get("name")
    if given is None:
        return ""
    if not isinstance(given, Mapping):
        raise Malformed("name must be an object with first, middle, last or full.")
    full = bodies.text(given, "full", longest=200)
    parts = [bodies.text(given, part, longest=66) for part in ("first", "middle", "last")]
    return full or " ".join(part for part in parts if part)
