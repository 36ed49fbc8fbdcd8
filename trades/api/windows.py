"""GET /api/settlement_windows: when batches are cut, and when next."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock
from accounts.models import Asset
from accounts.rest import fields
from accounts.rest.filters import Filters, Guids, OneOf
from accounts.rest.viewsets import FIRM, Resource
from trades import selectors
from trades.api.batches import READ
from trades.errors import WindowNotFound
from trades.models import SettlementWindow
from trades.settlement.windows import Schedule, schedules

CUTS_SHOWN: Final = 5
TIMES: Final = {"type": "array", "items": fields.SHOWN_TIME, "maxItems": CUTS_SHOWN}


class WindowFilters(Filters):
    guid = Guids("pk")
    asset_kind = OneOf("asset_kind", Asset.Type.values)


class WindowOut(fields.Shown):
    """`cron` has five fields in `time_zone`; `calendar` names the market on whose holidays nothing is cut, or is "".

    `netting`: an instruction nets the legs of one `batch`, or those of a `day`'s batches. `completes_in_order`: trades
    complete in order of time up to what has come of their legs, else none until all has. `carries_forward`: what is
    missing of a leg goes into the next batch's instruction. `value_days`: business days from a cut to its legs' value
    date.
    """

    guid = fields.Guid(source="window.pk")
    name = fields.Text(source="window.name")
    asset_kind = fields.Choice(Asset.Type.values, source="window.asset_kind")
    cron = fields.Text(source="window.cron")
    time_zone = fields.Text(source="window.time_zone")
    calendar = fields.Text(source="window.calendar")
    is_active = fields.YesNo(source="window.is_active")
    is_automatic = fields.YesNo(source="window.is_automatic")
    legs_are_automatic = fields.YesNo(source="window.legs_are_automatic")
    netting = fields.Choice(SettlementWindow.Netting.values, source="window.netting")
    completes_in_order = fields.YesNo(source="window.completes_in_order")
    carries_forward = fields.YesNo(source="window.carries_forward")
    value_days = fields.Count(source="window.value_days")
    last_cut_at = fields.Time(source="window.last_cut_at", allow_null=True)
    next_cuts = fields.Of(lambda schedule: list(schedule.next_cuts), TIMES)


class SettlementWindowViewSet(Resource):
    queryset = selectors.windows()
    owner = FIRM
    not_found = WindowNotFound
    scopes = dict.fromkeys(["list", "retrieve"], READ)
    filterset_class = WindowFilters
    serializer_class = WindowOut

    def list(self, request: Request) -> Response:
        """The windows by name, each with its next cuts."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(WindowOut(_scheduled(page), many=True).data)

    @extend_schema(responses=WindowOut)
    def retrieve(self, request: Request, guid: str) -> Response:
        """One window with its next cuts."""
        return self.shown(_scheduled([self.get_object()])[0])


def _scheduled(windows: Any) -> list[Schedule]:
    return schedules(windows, clock.firm_now(), CUTS_SHOWN)
