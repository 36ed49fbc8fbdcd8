"""/api/sandbox/clock: what time it is for the firm, and to make it later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from accounts import clock
from accounts.api.wake_worker import wake_ups
from accounts.identity import SANDBOX
from accounts.rest import fields
from accounts.rest.queries import Query
from accounts.rest.viewsets import FIRM, Resource
from brokerage.sandbox import moving
from brokerage.sandbox.errors import ClockGoesBack, ClockTooFar

BECOMES_DUE: Final = ("trades.tasks.cut_due", "trades.tasks.retry_legs")
"""Tasks of the schedule that look at the firm's time; the engine looks by itself."""

_MOST_SECONDS: Final = int(moving.FURTHEST_MOVE.total_seconds())
_UNTIL: Final = {"required": ["until"], "properties": {"until": {"type": "string"}, "by_seconds": {"type": "null"}}}
_BY: Final = {"required": ["by_seconds"], "properties": {"by_seconds": {"type": "integer"}, "until": {"type": "null"}}}


class MoveIn(fields.Body):
    """Exactly one of the two."""

    until = fields.Time(help_text="The firm's time from now on: later than it is by the firm's clock.")
    by_seconds = fields.Whole(least=1, most=_MOST_SECONDS, help_text="How much later it is from now on.")
    rules = {"oneOf": [_UNTIL, _BY]}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise ValidationError("Exactly one of until and by_seconds is required.")
        return attrs


class ClockOut(fields.Shown):
    """`firm_time` is `ahead_seconds` later than `real_time`. `moved_at` and `moved_by_client_guid`: the last move's."""

    firm_time = fields.Time()
    real_time = fields.Time()
    ahead_seconds = fields.Count()
    moved_at = fields.Time(allow_null=True)
    moved_by_client_guid = fields.Guid(allow_null=True)


# The router's name for a GET without an id is "list"; this is one object.
_ONE: Final = forced_singular_serializer(ClockOut)  # type: ignore[no-untyped-call]


class ClockViewSet(Resource):
    """The firm has one clock, for all of its clients. It is never moved back."""

    owner = FIRM
    scopes = dict.fromkeys(["list", "create"], SANDBOX)
    refusals = {"create": (ClockGoesBack, ClockTooFar)}
    pagination_class = None

    @extend_schema(responses=_ONE, filters=False)
    def list(self, request: Request) -> Response:
        """What time it is for the firm."""
        Query.read(request.query_params)
        return Response(_now())

    @extend_schema(request=MoveIn, responses={201: ClockOut})
    def create(self, request: Request) -> Response:
        """Make it later for the firm, by 31 days at most. What is due by then happens within seconds, in its order."""
        body = self.body(MoveIn)
        client = self.caller.client_id
        if "until" in body:
            moving.move_to(body["until"], by_client=client)
        else:
            moving.move_by(timedelta(seconds=body["by_seconds"]), by_client=client)
        transaction.on_commit(_wake)
        return Response(_now(), status=201)


def _wake() -> None:
    for task in BECOMES_DUE:
        wake_ups.put((task, None))


def _now() -> dict[str, Any]:
    real, firm = clock.both()
    last = moving.last_move()
    said = {
        "firm_time": firm,
        "real_time": real,
        "ahead_seconds": (firm - real) // timedelta(seconds=1),
        "moved_at": last.at if last else None,
        "moved_by_client_guid": last.by_client_id if last else None,
    }
    shown: dict[str, Any] = ClockOut(said).data
    return shown
