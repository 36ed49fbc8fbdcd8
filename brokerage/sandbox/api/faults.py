"""/api/sandbox/faults: what is to happen to this client's next calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from accounts import clock
from accounts.errors import Malformed
from accounts.identity import SANDBOX
from accounts.ids import parse_guid, uuid7
from accounts.rest import fields
from accounts.rest.queries import Query
from accounts.rest.viewsets import FIRM, Resource
from brokerage.sandbox import faults
from brokerage.sandbox.errors import FaultNotFound, TooManyFaults

METHODS: Final = ("GET", "POST", "PATCH", "DELETE", "HEAD")
_SOMETHING: Final = {"required": ["status"], "properties": {"status": {"type": "integer"}}}
_A_DELAY: Final = {"required": ["delay_milliseconds"], "properties": {"delay_milliseconds": {"type": "integer"}}}


class Status(fields.Field):
    schema = {"type": "integer", "enum": [*faults.STATUSES]}

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int or data not in faults.STATUSES:
            self.refuse(f"must be one of {', '.join(map(str, faults.STATUSES))}")
        return data


class FaultIn(fields.Body):
    """At least one of `status` and `delay_milliseconds`. With both, the call waits first."""

    status = Status(help_text="What the call answers in place of its own answer.")
    delay_milliseconds = fields.Whole(least=1, most=faults.MOST_DELAY_MILLISECONDS)
    when = fields.Choice(
        (faults.BEFORE, faults.AFTER),
        default=faults.BEFORE,
        help_text="`before`: the call isn't carried out. `after`: it is, and its answer is lost.",
    )
    method = fields.Choice(METHODS, help_text="Of every method without it.")
    path = fields.Text(
        longest=faults.LONGEST_PATH,
        help_text="Such as `/api/trades` or `/api/quotes/*`, where `*` is any one segment; of every path without it.",
    )
    count = fields.Whole(least=1, most=faults.MOST_USES, default=1, help_text="How many calls meet it.")
    rules = {"anyOf": [_SOMETHING, _A_DELAY]}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "status" not in attrs and "delay_milliseconds" not in attrs:
            raise ValidationError("One of status and delay_milliseconds is required.")
        return attrs


class FaultOut(fields.Shown):
    """`left`: how many calls are still to meet it."""

    guid = fields.Guid(source="fault.guid")
    status = fields.Of(
        lambda one: one.fault.status or None, {"type": ["integer", "null"], "enum": [*faults.STATUSES, None]}
    )
    delay_milliseconds = fields.Count(source="fault.delay_milliseconds")
    when = fields.Choice((faults.BEFORE, faults.AFTER), source="fault.when")
    method = fields.Of(lambda one: one.fault.method or None, {"type": ["string", "null"], "enum": [*METHODS, None]})
    path = fields.Of(lambda one: one.fault.path or None, {"type": ["string", "null"]})
    count = fields.Count(source="fault.count")
    left = fields.Count()
    expires_at = fields.Time(source="fault.expires_at")


class FaultViewSet(Resource):
    """Of the client that asks: nobody else's calls meet them, and nobody else sees them."""

    owner = FIRM
    not_found = FaultNotFound
    scopes = dict.fromkeys(["list", "create", "destroy"], SANDBOX)
    refusals = {"create": (TooManyFaults,), "destroy": ()}
    pagination_class = None
    serializer_class = FaultOut

    @extend_schema(responses=FaultOut(many=True), filters=False)
    def list(self, request: Request) -> Response:
        """This client's faults that are still to happen, the oldest first."""
        Query.read(request.query_params)
        return Response([FaultOut(one).data for one in faults.waiting(self._client_id)])

    @extend_schema(request=FaultIn, responses={201: FaultOut})
    def create(self, request: Request) -> Response:
        """Force a fault on this client's next call, or on the next `count` of them."""
        body = self.body(FaultIn)
        if not body.get("path", "/").startswith("/"):
            raise Malformed("path must begin with a slash.")
        fault = faults.Fault(
            guid=uuid7(),
            status=body.get("status", 0),
            delay_milliseconds=body.get("delay_milliseconds", 0),
            when=body["when"],
            method=body.get("method", ""),
            path=body.get("path", ""),
            count=body["count"],
            expires_at=clock.now() + timedelta(seconds=faults.KEPT_SECONDS),
        )
        if not faults.add(self._client_id, fault):
            raise TooManyFaults
        return Response(FaultOut(faults.Waiting(fault, fault.count)).data, status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, guid: str) -> Response:
        """Take a fault away."""
        id_ = parse_guid(guid)
        if id_ is None or not faults.remove(self._client_id, id_):
            raise FaultNotFound
        return Response(status=204)

    @property
    def _client_id(self) -> Any:
        """Only an API client's own token has the scope."""
        assert self.caller.client_id is not None
        return self.caller.client_id
