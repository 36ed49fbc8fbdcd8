"""GET /api/events: what has changed since a place, by a cursor that misses nothing."""

from __future__ import annotations

import re
from typing import Any, Final

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import events
from accounts.ids import parse_guid
from accounts.models import Event
from accounts.rest import fields
from accounts.rest.queries import Query
from accounts.rest.viewsets import Resource

MOST: Final = 1000
NOW: Final = "now"


_GUID: Final = "[0-7][0-9a-f]{15}[0-7][0-9a-f]{15}"


class After(fields.Field):
    """An event's guid, or `now`."""

    schema = {"type": "string", "pattern": f"^({_GUID}|{NOW})$"}

    def to_internal_value(self, data: Any) -> events.Place:
        if data == NOW:
            return events.horizon()
        guid = parse_guid(data)
        if guid is None or not events.is_place(guid):
            self.refuse("must be the guid of an event, or now")
        return events.place_of(guid)


class SomeOf(fields.Field):
    """Values of a closed list, separated by commas."""

    def __init__(self, known: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self.known = known
        one = f"({'|'.join(map(re.escape, known))})"
        self.schema = {"type": "string", "pattern": f"^{one}(,{one}){{0,{len(known) - 1}}}$"}

    def to_internal_value(self, data: Any) -> list[str]:
        wanted = data.split(",")
        if unknown := [name for name in wanted if name not in self.known]:
            self.refuse(f"has no {unknown[0][:64]}; there are {', '.join(self.known)}")
        return list(wanted)


class EventQuery(Query):
    after = After(help_text="Those that came after this event; `now`: none yet, only where to go on. Absent: all.")
    event_type = SomeOf(events.EVERY_KIND)
    customer_guid = fields.Guid()
    limit = fields.WholeText(least=1, most=MOST, help_text="100 where it is absent.")


class EventOut(fields.Shown):
    """`detail`: a failure's code, a batch's guid, an asset's or an instrument's name; "" where nothing is to say."""

    guid = fields.Guid()
    event_type = fields.Choice(events.EVERY_KIND, source="kind")
    object_guid = fields.Guid(source="object_id")
    customer_guid = fields.Guid(source="customer_id", allow_null=True)
    detail = fields.Text()
    created_at = fields.Time(source="at")


@extend_schema_serializer(many=False)  # the list is inside
class EventPageOut(fields.Shown):
    """`next` is what to ask `after` from here on, also where nothing came; `has_more`: at once."""

    objects = EventOut(many=True)
    next = fields.Guid()
    has_more = fields.YesNo()


class EventViewSet(Resource):
    """In the order in which they can be relied on: who has read up to one never misses an earlier one."""

    queryset = Event.objects.all()
    owner = "customer_id"
    scopes = {"list": "trades:read"}
    pagination_class = None
    serializer_class = EventOut

    @extend_schema(parameters=[EventQuery], responses=EventPageOut, filters=False)
    def list(self, request: Request) -> Response:
        """What has changed since an event, of what the token's scopes may read. Raises Malformed."""
        asked = EventQuery.read(request.query_params)
        kinds = events.kinds_seen_by(self.caller)
        if wanted := asked.get("event_type"):
            kinds = [kind for kind in kinds if kind in wanted]
        customers = [asked["customer_guid"]] if "customer_guid" in asked else []
        page = events.after(asked.get("after", events.FIRST), self.caller, kinds, customers, asked.get("limit", 100))
        return Response(
            {
                "objects": EventOut(page.events, many=True).data,
                "next": events.guid_of(page.following),
                "has_more": page.has_more,
            }
        )
