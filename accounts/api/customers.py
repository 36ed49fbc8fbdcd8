"""/api/customers, as the quotes/trades API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock, services
from accounts.api import wake_worker
from accounts.api.personal_data import A_NAME, PERSONAL, PersonalDataIn, PersonalDataOut, given, one_text, shown_name
from accounts.errors import Conflict, CustomerNotFound, CustomerStateForbids, Malformed, SandboxOnly
from accounts.models import Customer
from accounts.rest import fields
from accounts.rest.filters import Bank, Filters, Guids, OneOf, Strings
from accounts.rest.queries import TRUE_OR_FALSE, Query, is_true
from accounts.rest.viewsets import Resource
from accounts.selectors import with_details
from accounts.services import NewCustomer
from accounts.services.invitations import NobodyInvited
from accounts.states import ExpectedBehaviour


class CustomerFilters(Filters):
    guid = Guids("pk")
    bank_guid = Bank()
    type = OneOf("type", Customer.Type.values)
    state = OneOf("state", Customer.State.values)
    label = Strings("labels__overlap")
    external_id = Strings("external_id__in")


class CustomerIn(PersonalDataIn):
    type = fields.Choice(Customer.Type.values, required=True)
    labels = fields.Labels()
    external_id = fields.Text(longest=64)
    login_email = fields.Text(longest=254, help_text="Invite a login: the customer gives it a password.")
    expected_behaviours = fields.Choices(ExpectedBehaviour.values, help_text="Sandbox only: how the check ends.")


class CustomerPatch(fields.Body):
    state = fields.Choice([Customer.State.UNVERIFIED.value])


class CustomerOut(fields.Shown):
    optional = frozenset({"name", "external_id"})

    guid = fields.Guid(source="pk")
    bank_guid = fields.Of(lambda _: settings.BANK_GUID, fields.A_GUID)
    type = fields.Choice(Customer.Type.values)
    state = fields.Choice(Customer.State.values)
    created_at = fields.Time()
    updated_at = fields.Time()
    labels = fields.Labels(allow_null=True)
    external_id = fields.Text()
    name = fields.Of(shown_name, A_NAME)


class WholeCustomerOut(PersonalDataOut, CustomerOut):
    """With `include_pii=true`: what was told of the customer."""

    optional = CustomerOut.optional | PERSONAL


class InvitationOut(fields.Shown):
    """`token` is for the customer alone, who gives it back with a password (POST /api/v1/auth/accept-invitation)."""

    token = fields.Text()
    email = fields.Text()
    expires_at = fields.Time()


class CustomerQuery(Query):
    include_pii = fields.Choice(TRUE_OR_FALSE, help_text="Show what was told of the customer.")


class CustomerViewSet(ListModelMixin, Resource):
    queryset = Customer.objects.order_by("-pk")
    owner = "pk"
    not_found = CustomerNotFound
    scopes = {
        "list": "customers:read",
        "retrieve": "customers:read",
        "create": "customers:execute",
        "partial_update": "customers:write",
        "invitation": "customers:execute",
    }
    refusals = {
        "create": (SandboxOnly, Conflict),
        "partial_update": (CustomerStateForbids,),
        "invitation": (NobodyInvited,),
    }
    filterset_class = CustomerFilters
    serializer_class = CustomerOut

    @extend_schema(request=CustomerIn, responses={201: CustomerOut})
    def create(self, request: Request) -> Response:
        """Open a customer. It answers `storing`; a worker checks it."""
        body = self.body(CustomerIn)
        wanted = NewCustomer(
            type=body["type"],
            name=one_text(body.get("name") or {}),
            labels=body.get("labels"),
            external_id=body.get("external_id", ""),
            details=given(body),
            expected_behaviour=_one_of(body.get("expected_behaviours") or []),
        )
        customer = _opened(wanted, body.get("login_email", ""), clock.now())
        transaction.on_commit(partial(wake_worker.to_check, customer.pk))  # just now, unless a test holds it back
        return self.shown(customer, status=201)

    @extend_schema(parameters=[CustomerQuery], responses=WholeCustomerOut)
    def retrieve(self, request: Request, guid: str) -> Response:
        """One customer; what was told of it only where that is asked for."""
        if not is_true(CustomerQuery.read(request.query_params).get("include_pii")):
            return self.shown(self.get_object())
        customer = self.found(with_details(self.get_queryset()), guid)
        return Response(WholeCustomerOut(customer).data)

    @extend_schema(request=CustomerPatch, responses={200: CustomerOut})
    def partial_update(self, request: Request, guid: str) -> Response:
        """Take a verification or a rejection back."""
        state = self.body(CustomerPatch).get("state")
        return self.shown(services.change_customer(self.get_object().pk, state=state, at=clock.now()))

    @property
    def keeps_answers(self) -> bool:  # type: ignore[override]
        """An invitation is kept nowhere; whoever asks again gets another one."""
        return self.action != "invitation"

    @extend_schema(request=None, responses={201: InvitationOut})
    @action(detail=True, methods=["post"])
    def invitation(self, request: Request, guid: str) -> Response:
        """Get an invitation for a customer's login that has no password yet."""
        customer = self.found(self.get_queryset().select_related("user"), guid)
        return Response(InvitationOut(services.invite(customer, clock.now())).data, status=201)


def _opened(wanted: NewCustomer, email: str, at: datetime) -> Customer:
    if email:
        return services.open_invited(wanted, email, at)
    [customer] = services.open_customers([wanted], at)
    return customer


def _one_of(behaviours: Sequence[str]) -> str:
    if len(behaviours) > 1:
        raise Malformed("expected_behaviours has one of them at most.")
    return behaviours[0] if behaviours else ""
