"""What every viewset is made of: who may call which action, whose rows it sees, how a body is read.

A viewset says which scope each action asks for, and whose its rows are. One that doesn't is not made: the class
statement raises TypeError. So a list, a page and a guid in a path can't show somebody else's row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from accounts.errors import NotFound, Refusal
from accounts.identity import Caller
from accounts.ids import parse_guid
from accounts.models import Customer
from accounts.rest import journalled
from accounts.rest.conditional import Conditional
from accounts.rest.filters import KnownFilters
from accounts.rest.idempotent import Idempotent
from accounts.rest.pages import Pages
from accounts.rest.routers import A_GUID_IN_A_PATH
from accounts.selectors import customer_meant_by

FIRM: Final = "the firm"
"""Whose rows those are that belong to no customer."""

EVERYBODY: Final = "everybody"
"""Whose rows those are that are public."""


class Resource(Idempotent, Conditional, GenericViewSet[Any]):
    """A viewset of the API.

    `scopes`: by action, the scope that it asks for. `owner`: the path from a row to its customer's id, FIRM or
    EVERYBODY. `not_found`: what is raised for a row that isn't there, and for one that is somebody else's.
    `throttle_scope`: of an action that has a limit of its own (brokerage/http/limits.py).
    `parameters`: of the query, which every action of it takes besides its own.
    `refusals`: by action, what it refuses besides a bad token, body, parameter or path; for the API's document.
    """

    scopes: ClassVar[Mapping[str, str]]
    refusals: ClassVar[Mapping[str, Collection[type[Refusal]]]] = {}
    owner: ClassVar[str]
    parameters: ClassVar[Collection[str]] = ()
    not_found: ClassVar[type[NotFound]] = NotFound
    throttle_scope = ""
    filter_backends = [KnownFilters]
    pagination_class: type[BasePagination] | None = Pages
    lookup_field = "pk"
    lookup_url_kwarg = "guid"
    lookup_value_regex = A_GUID_IN_A_PATH
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("scopes", "owner"):
            if not hasattr(cls, name):
                raise TypeError(f"{cls.__name__} doesn't say its {name}.")

    @property
    def caller(self) -> Caller:
        """Who calls; every action but a public one has asked for a scope, so there is one."""
        assert isinstance(self.request.user, Caller)
        return self.request.user

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Which methods there are is no secret; everything else asks who calls."""
        if request.method != "OPTIONS":
            super().initial(request, *args, **kwargs)
            journalled.begin(self, request)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Whatever an operator's machine did, or was refused, has an outcome in the journal."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        journalled.end(self, request, answer)
        return answer

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """The methods of a path, in the header `Allow`."""
        return Response(status=204)

    def get_queryset(self) -> QuerySet[Any]:
        """The rows that this caller may see."""
        return self.owned(super().get_queryset())

    def owned(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if self.owner == EVERYBODY or self.caller.customer_id is None:
            return rows
        return rows.none() if self.owner == FIRM else rows.filter(**{self.owner: self.caller.customer_id})

    def get_object(self) -> Any:
        """The row that the path names. Raises the resource's `not_found`: the same for an unknown one, one that is
        somebody else's, and what can't be a guid."""
        return self.found(self.get_queryset(), self.kwargs[self.lookup_url_kwarg])

    def found(self, rows: QuerySet[Any], guid: str, not_found: type[NotFound] | None = None) -> Any:
        """The row of these with this guid, or the refusal of a path that names none."""
        id_ = parse_guid(guid)
        row = None if id_ is None else rows.filter(**{self.lookup_field: id_}).first()
        if row is None:
            raise not_found or self.not_found
        return row

    def body(self, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
        """The request's body as this serializer reads it. Raises ValidationError."""
        return dict(serializer().run_validation(self.request.data))

    def shown(self, row: Any, status: int = 200) -> Response:
        """One row as the resource's serializer shows it."""
        return Response(self.get_serializer(row).data, status=status)

    def page(self, rows: QuerySet[Any]) -> Response:
        """One page of these rows, filtered by the action's filters."""
        found = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(self.get_serializer(found, many=True).data)

    def customer(self, named: UUID | None) -> Customer:
        """Whom a request is for: the caller's own customer, or the one that a firm's client names.

        Raises CustomerNotFound, also for somebody else's; Malformed where the firm names none.
        """
        return customer_meant_by(self.caller, named)

    def customer_id(self, named: UUID | None) -> UUID:
        """The id of that customer; of the caller's own without a query."""
        own = self.caller.customer_id
        return own if own is not None and named in (None, own) else self.customer(named).pk


class PublicResource(Resource):
    """Needs no token: the body itself proves who calls, or there is nothing to guard."""

    authentication_classes = []
    permission_classes = []
    scopes: ClassVar[Mapping[str, str]] = {}
    owner = EVERYBODY
    keeps_answers = False
