"""/api/subscription_events and /api/subscription_deliveries: what webhooks are sent of, and what became of each."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock, events
from accounts.api.subscriptions import ENVIRONMENTS, environment
from accounts.errors import NotFound, SubscriptionEnds, SubscriptionGone, SubscriptionNotFound
from accounts.ids import parse_guid
from accounts.models import Event, WebhookAttempt, WebhookDelivery, WebhookSubscription
from accounts.rest import fields
from accounts.rest.filters import At, Filters, Guids, OneOf
from accounts.rest.viewsets import FIRM, Resource
from accounts.services import subscriptions
from accounts.webhooks.feeding import kinds_of


class Places(Guids):
    """Guids of events, separated by commas."""

    def condition(self, value: Any) -> Q:
        places = [events.place_of(guid) for guid in map(UUID, value) if events.is_place(guid)]
        if not places:
            return Q(pk__in=[])
        return reduce(or_, [Q(transaction=transaction, number=number) for transaction, number in places])


class SubscriptionEventFilters(Filters):
    guid = Places()


class SubscriptionEventOut(fields.Shown):
    guid = fields.Guid()
    event_type = fields.Choice(events.EVERY_KIND, source="kind")
    object_guid = fields.Guid(source="object_id")
    customer_guid = fields.Guid(source="customer_id", allow_null=True)
    detail = fields.Text()
    environment = fields.Of(lambda _: environment(), {"type": "string", "enum": list(ENVIRONMENTS)})
    organization_guid = fields.Of(lambda _: settings.BANK_GUID, fields.A_GUID)
    bank_guid = fields.Of(lambda _: settings.BANK_GUID, fields.A_GUID)
    created_at = fields.Time(source="at")
    updated_at = fields.Time(source="at")


class SubscriptionEventViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    """Newest first. To read on without missing one, GET /api/events."""

    queryset = Event.objects.order_by("-transaction", "-number")
    owner = FIRM
    scopes = {"list": "subscription_events:read", "retrieve": "subscription_events:read"}
    filterset_class = SubscriptionEventFilters
    serializer_class = SubscriptionEventOut

    def get_queryset(self) -> QuerySet[Event]:
        rows: QuerySet[Event] = super().get_queryset()
        return rows.filter(kind__in=events.kinds_seen_by(self.caller), pk__lte=events.horizon())

    def found(self, rows: QuerySet[Any], guid: str, not_found: type[NotFound] | None = None) -> Any:
        id_ = parse_guid(guid)
        row = None if id_ is None or not events.is_place(id_) else rows.filter(pk=events.place_of(id_)).first()
        if row is None:
            raise not_found or self.not_found
        return row


class DeliveryFilters(Filters):
    guid = Guids("pk")
    subscription_event_guid = Places()
    subscription_guid = Guids("subscription_id")
    event_type = OneOf("kind", events.EVERY_KIND)
    state = OneOf("state", WebhookDelivery.State.values)
    completed_at_gte = At("completed_at__gte")
    completed_at_lt = At("completed_at__lt")


class DeliveryIn(fields.Body):
    subscription_guid = fields.Guid(required=True)
    subscription_event_guid = fields.Guid(required=True)


class DeliveryOut(fields.Shown):
    guid = fields.Guid(source="pk")
    subscription_guid = fields.Guid(source="subscription_id")
    subscription_event_guid = fields.Of(lambda one: events.guid_of((one.transaction, one.number)), fields.A_GUID)
    event_type = fields.Choice(events.EVERY_KIND, source="kind")
    state = fields.Choice(WebhookDelivery.State.values)
    attempt_count = fields.Count(source="attempts")
    response = fields.Of(lambda one: one.response or None, {"type": ["string", "null"]})
    next_attempt_at = fields.Time(allow_null=True)
    completed_at = fields.Time(allow_null=True)
    failed_at = fields.Time(allow_null=True)
    created_at = fields.Time()
    updated_at = fields.Time()


class AttemptOut(fields.Shown):
    """One call. `status` is null where no answer came; `response` has the answer's first kilobyte."""

    guid = fields.Guid(source="pk")
    status = fields.Whole(least=100, most=999, allow_null=True)
    response = fields.Text()
    milliseconds = fields.Of(
        lambda one: None if one.status is None else one.milliseconds, {"type": ["integer", "null"], "minimum": 0}
    )
    created_at = fields.Time(source="at")


class DeliveryViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    """Of the subscriptions that the API client made."""

    queryset = WebhookDelivery.objects.order_by("-transaction", "-number", "-pk")
    owner = FIRM
    scopes = {
        "list": "subscription_events:read",
        "retrieve": "subscription_events:read",
        "create": "subscription_events:execute",
        "attempts": "subscription_events:read",
    }
    refusals = {"create": (SubscriptionNotFound, NotFound, SubscriptionEnds, SubscriptionGone)}
    filterset_class = DeliveryFilters
    serializer_class = DeliveryOut

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        rows: QuerySet[WebhookDelivery] = super().get_queryset()
        return rows.filter(subscription__client_id=self.caller.client_id)

    @extend_schema(request=DeliveryIn, responses={201: DeliveryOut})
    def create(self, request: Request) -> Response:
        """Deliver an event to a subscription once more, under the same id."""
        body = self.body(DeliveryIn)
        mine = WebhookSubscription.objects.filter(client_id=self.caller.client_id).select_related("client")
        subscription = mine.filter(pk=body["subscription_guid"]).first()
        if subscription is None or self.caller.client_id is None:
            raise SubscriptionNotFound
        if not events.is_place(body["subscription_event_guid"]):
            raise NotFound
        event = subscriptions.event_of(
            body["subscription_event_guid"], kinds_of(subscription), subscription.customer_id
        )
        return self.shown(subscriptions.deliver_again(subscription.pk, event, clock.now()), status=201)

    @extend_schema(responses=AttemptOut(many=True), filters=False)
    @action(detail=True, filterset_class=None, serializer_class=AttemptOut)
    def attempts(self, request: Request, guid: str) -> Response:
        """Every call that was made of it, the latest first."""
        return self.page(WebhookAttempt.objects.filter(delivery=self.get_object()).order_by("-pk"))
