"""/api/subscriptions: who is told of events by webhooks, as the API family's organization client asks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from django.conf import settings
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock, events
from accounts.errors import (
    BadEndpoint,
    CustomerNotFound,
    Forbidden,
    Malformed,
    SubscriptionEnds,
    SubscriptionGone,
    SubscriptionNotFound,
    TooManySubscriptions,
    TooManyToReplay,
)
from accounts.models import WebhookSubscription
from accounts.rest import fields
from accounts.rest.filters import Filters, Guids, OneOf
from accounts.rest.viewsets import FIRM, Resource
from accounts.selectors import customer_seen_by
from accounts.services import subscriptions

LONGEST_NAME: Final = 128
ENVIRONMENTS: Final = ("sandbox", "production")
TYPES: Final = ("webhook",)
A_KEY: Final[fields.Schema] = {"type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{43}=$"}


def environment() -> str:
    return "sandbox" if settings.SANDBOX else "production"


class OnesOwn(OneOf):
    """What is the same of every row here, as the environment: all rows or none."""

    def __init__(self, own: Callable[[], str], known: Collection[str]) -> None:
        super().__init__("", known)
        self.own = own

    def condition(self, value: Any) -> Q:
        return Q() if self.own() in value else Q(pk__in=[])


class SubscriptionFilters(Filters):
    guid = Guids("pk")
    environment = OnesOwn(environment, ENVIRONMENTS)
    state = OneOf("state", WebhookSubscription.State.values)
    type = OnesOwn(lambda: TYPES[0], TYPES)


class SubscriptionIn(fields.Body):
    environment = fields.Choice(ENVIRONMENTS, required=True, help_text="This installation's own.")
    type = fields.Choice(TYPES, required=True)
    name = fields.Text(required=True, longest=LONGEST_NAME)
    url = fields.Text(required=True, longest=subscriptions.LONGEST_URL)
    event_types = fields.Choices(events.EVERY_KIND, help_text="Absent: all that the client may see.")
    customer_guid = fields.Guid(help_text="Only this customer's, and the prices'. Absent: the whole firm's.")


class SubscriptionPatch(fields.Body):
    name = fields.Text(longest=LONGEST_NAME, help_text="Absent: it keeps its name.")


class ReplayIn(fields.Body):
    """Without a time: what failed. With one: every event of then, delivered or not."""

    created_at_gte = fields.Time()
    created_at_lt = fields.Time()


class ReplayOut(fields.Shown):
    """`deliveries`: how many are made again; `has_more`: more have failed, ask again."""

    deliveries = fields.Count()
    has_more = fields.YesNo()


class SubscriptionOut(fields.Shown):
    optional = frozenset({"failure_code"})

    guid = fields.Guid(source="pk")
    name = fields.Text()
    type = fields.Of(lambda _: TYPES[0], {"type": "string", "enum": list(TYPES)})
    environment = fields.Of(lambda _: environment(), {"type": "string", "enum": list(ENVIRONMENTS)})
    state = fields.Choice(WebhookSubscription.State.values)
    failure_code = fields.Of(lambda one: one.failure_code or None, {"type": "string"})
    organization_guid = fields.Of(lambda _: settings.BANK_GUID, fields.A_GUID)
    customer_guid = fields.Guid(source="customer_id", allow_null=True)
    url = fields.Text()
    event_types = fields.Choices(events.EVERY_KIND, source="kinds", allow_null=True)
    deliveries_failing_since = fields.Time(source="failing_since", allow_null=True)
    scheduled_deletion_at = fields.Time(source="deleted_at", allow_null=True)
    created_at = fields.Time()
    updated_at = fields.Time()


class SubscriptionWithKeyOut(SubscriptionOut):
    """`signing_key` is shown here and never again."""

    signing_key = fields.Of(subscriptions.key_shown, A_KEY)


class SubscriptionViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    """An API client sees those that it made."""

    queryset = WebhookSubscription.objects.order_by("-pk")
    owner = FIRM
    not_found = SubscriptionNotFound
    keeps_answers = False  # a key that is shown once is kept nowhere
    scopes = {
        "list": "subscriptions:read",
        "retrieve": "subscriptions:read",
        "create": "subscriptions:execute",
        "partial_update": "subscriptions:write",
        "destroy": "subscriptions:execute",
        "signing_key": "subscriptions:execute",
        "replay": "subscription_events:execute",
    }
    refusals = {
        "create": (BadEndpoint, CustomerNotFound, TooManySubscriptions),
        "partial_update": (SubscriptionEnds,),
        "signing_key": (SubscriptionEnds,),
        "replay": (SubscriptionEnds, SubscriptionGone, TooManyToReplay),
    }
    filterset_class = SubscriptionFilters
    serializer_class = SubscriptionOut

    def get_queryset(self) -> QuerySet[WebhookSubscription]:
        rows: QuerySet[WebhookSubscription] = super().get_queryset()
        return rows & subscriptions.there(clock.now()).filter(client_id=self.caller.client_id)

    @extend_schema(request=SubscriptionIn, responses={201: SubscriptionWithKeyOut})
    def create(self, request: Request) -> Response:
        """Be told of events from now on. The key that signs them is shown here and never again."""
        body = self.body(SubscriptionIn)
        if self.caller.client_id is None or self.caller.customer_id is not None:
            raise Forbidden
        if body["environment"] != environment():
            raise Malformed(f"environment must be {environment()}: this installation's own.")
        customer = customer_seen_by(self.caller, body["customer_guid"]) if "customer_guid" in body else None
        wanted = subscriptions.NewSubscription(
            self.caller.client_id, body["name"], body["url"], body.get("event_types"), customer
        )
        made = subscriptions.subscribe(wanted, clock.now())
        return Response(SubscriptionWithKeyOut(made).data, status=201)

    @extend_schema(request=SubscriptionPatch, responses={200: SubscriptionOut})
    def partial_update(self, request: Request, guid: str) -> Response:
        """Give it another name."""
        there = self.get_object()
        name = self.body(SubscriptionPatch).get("name", there.name)
        return self.shown(subscriptions.rename(there.pk, name, clock.now()))

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, guid: str) -> Response:
        """Be told nothing from 24 hours later on (`scheduled_deletion_at`)."""
        subscriptions.end(self.get_object().pk, clock.now())
        return Response(status=204)

    @extend_schema(request=None, responses={201: SubscriptionWithKeyOut})
    @action(detail=True, methods=["post"], url_path="signing_key")
    def signing_key(self, request: Request, guid: str) -> Response:
        """Get a new key. The one before signs, too, for 24 hours."""
        made = subscriptions.replace_key(self.get_object().pk, clock.now())
        return Response(SubscriptionWithKeyOut(made).data, status=201)

    @extend_schema(request=ReplayIn, responses={200: ReplayOut})
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, guid: str) -> Response:
        """Deliver again what failed, the oldest 10,000; or all of a range of time, if they are no more than that."""
        body = self.body(ReplayIn)
        replayed = subscriptions.replay(
            self.get_object().pk, clock.now(), since=body.get("created_at_gte"), until=body.get("created_at_lt")
        )
        return Response({"deliveries": replayed.count, "has_more": replayed.has_more})
