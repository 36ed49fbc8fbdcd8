"""/api/settlement_batches: for operators' machines. Confirming lets the workers settle."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock
from accounts.rest import fields
from accounts.rest.filters import At, ChangedSince, Filters, Guids, OneOf
from accounts.rest.viewsets import FIRM, Resource
from trades import selectors
from trades.api import trades, wake_worker
from trades.api.trades import TradeFilters, TradeOut
from trades.errors import BatchNotFound, BatchStateForbids, MakerIsChecker, NothingToCut
from trades.models import LeftOut, SettlementLeg
from trades.settlement import approval
from trades.settlement.cut import EVERY_KIND, CutPreview, cut_now, preview
from trades.states import BatchState

READ: Final = "settlements:read"
EXECUTE: Final = "settlements:execute"


class Reversed(trades.Reversed):
    """`true`: those that a correction takes back as a whole, or has; `false`: the others."""

    found = staticmethod(selectors.reversed_batches)


class ReversedBy(trades.ReversedBy):
    """Guids of corrections, separated by commas."""

    found = staticmethod(selectors.reversed_batches)


class BatchFilters(Filters):
    guid = Guids("pk")
    state = OneOf("state", BatchState.values)
    reversed = Reversed()
    reversed_by_guid = ReversedBy()
    created_at_gte = At("created_at__gte")
    created_at_lt = At("created_at__lt")
    updated_at_gte = ChangedSince("updated_at__gte")
    updated_at_lt = At("updated_at__lt")


class LeftOutFilters(Filters):
    trade_guid = Guids("trade_id")
    customer_guid = Guids("customer_id")
    stage = OneOf("stage", LeftOut.Stage.values)
    reason = OneOf("reason", LeftOut.Reason.values)


class BatchIn(fields.Body):
    legs_are_automatic = fields.YesNo(default=True)
    completes_in_order = fields.YesNo(
        default=False, help_text="When a part of a leg has come, trades complete in order of time up to it."
    )


class PreviewIn(fields.Body):
    asset_kinds = fields.Choices(EVERY_KIND)


class Kinds(fields.Of):
    def __init__(self, function: Any) -> None:
        super().__init__(function, {"type": "array", "items": {"type": "string", "enum": list(EVERY_KIND)}})


class BatchOut(fields.Shown):
    """Who made and confirmed it: a person or a program; the system is neither. Reversed as a whole, it stays
    `completed`: `reversed_by_guid` is the correction's from when that begins, `reversed_at` when all was taken back.
    """

    created_at = fields.Time()
    updated_at = fields.Time()
    guid = fields.Guid(source="pk")
    window = fields.Of(lambda batch: batch.window and batch.window.name, {"type": ["string", "null"]})
    asset_kinds = Kinds(lambda batch: batch.asset_kinds.split(","))
    cut_at = fields.Time()
    state = fields.Choice(BatchState.values)
    trades_count = fields.Count()
    customers_count = fields.Count()
    left_out_count = fields.Count()
    completed_count = fields.Count()
    percent = fields.Number()
    members_sha256 = fields.Text()
    legs_are_automatic = fields.YesNo()
    completes_in_order = fields.YesNo()
    made_by_user_guid = fields.Guid(source="made_by_id", allow_null=True)
    made_by_client_guid = fields.Guid(source="made_by_client_id", allow_null=True)
    confirmed_by_user_guid = fields.Guid(source="confirmed_by_id", allow_null=True)
    confirmed_by_client_guid = fields.Guid(source="confirmed_by_client_id", allow_null=True)
    confirmed_at = fields.Time(allow_null=True)
    cancelled_by_user_guid = fields.Guid(source="cancelled_by_id", allow_null=True)
    cancelled_by_client_guid = fields.Guid(source="cancelled_by_client_id", allow_null=True)
    reversed_at = fields.Time(allow_null=True, default=None)  # what was cut or confirmed just now has neither attribute
    reversed_by_guid = fields.Guid(source="reversed_by", allow_null=True, default=None)


class LeftOutOut(fields.Shown):
    created_at = fields.Time(source="at")
    guid = fields.Guid(source="pk")
    batch_guid = fields.Guid(source="batch_id")
    trade_guid = fields.Guid(source="trade_id")
    customer_guid = fields.Guid(source="customer_id")
    stage = fields.Choice(LeftOut.Stage.values)
    reason = fields.Choice(LeftOut.Reason.values)
    detail = fields.Text()


class ReasonOut(fields.Shown):
    reason = fields.Choice(LeftOut.Reason.values)
    trades = fields.Count()


class NetOut(fields.Shown):
    """Amounts in base units."""

    asset = fields.Text()
    direction = fields.Choice(SettlementLeg.Direction.values)
    expected = fields.Amount(least=0)
    received = fields.Amount(least=0)
    delivered = fields.Amount(least=0)
    fees = fields.Amount(least=0)


class PreviewOut(fields.Shown):
    asset_kinds = Kinds(lambda found: found["asset_kinds"])
    trades = fields.Count()
    exits = fields.Count()
    customers = fields.Count()
    left_out = ReasonOut(many=True)
    legs = NetOut(many=True)


class SettlementBatchViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = selectors.batches()
    owner = FIRM
    not_found = BatchNotFound
    scopes = {
        **dict.fromkeys(["list", "retrieve", "trades", "left_out", "preview"], READ),
        **dict.fromkeys(["create", "confirm", "cancel"], EXECUTE),
    }
    refusals = {
        "create": (NothingToCut,),
        "preview": (),
        "confirm": (MakerIsChecker, BatchStateForbids),
        "cancel": (MakerIsChecker, BatchStateForbids),
    }
    filterset_class = BatchFilters
    serializer_class = BatchOut

    @extend_schema(request=BatchIn, responses={201: BatchOut})
    def create(self, request: Request) -> Response:
        """Cut a batch now."""
        batch = cut_now(at=clock.firm_now(), by=self.caller.actor, **self.body(BatchIn))
        return self.shown(batch, status=201)

    @extend_schema(request=PreviewIn, responses=PreviewOut)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """What a cut would take just now. It changes nothing, so reading suffices."""
        kinds = self.body(PreviewIn).get("asset_kinds", list(EVERY_KIND))
        return Response({"asset_kinds": kinds, **preview_out(preview(kinds, clock.firm_now()))})

    @extend_schema(responses=TradeOut(many=True))
    @action(detail=True, filterset_class=TradeFilters, serializer_class=TradeOut)
    def trades(self, request: Request, guid: str) -> Response:
        """The batch's trades."""
        return self.page(selectors.members_of(self.get_object()))

    @extend_schema(responses=LeftOutOut(many=True))
    @action(detail=True, filterset_class=LeftOutFilters, serializer_class=LeftOutOut)
    def left_out(self, request: Request, guid: str) -> Response:
        """Who could not settle with the batch."""
        return self.page(selectors.left_out_of(self.get_object().pk))

    @extend_schema(request=None, responses=BatchOut)
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, guid: str) -> Response:
        """Confirm a batch that another person or program has made."""
        batch = approval.confirm(self.get_object().pk, by=self.caller.actor, at=clock.firm_now())
        transaction.on_commit(wake_worker.to_settle)
        return self.shown(batch)

    @extend_schema(request=None, responses=BatchOut)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, guid: str) -> Response:
        """Cancel a batch before any money has moved; its trades wait for the next one."""
        return self.shown(approval.cancel(self.get_object().pk, by=self.caller.actor, at=clock.firm_now()))


def preview_out(found: CutPreview) -> dict[str, Any]:
    """The dry run's numbers; amounts in base units."""
    return {
        "trades": found.trades,
        "exits": found.exits,
        "customers": found.customers,
        "left_out": [{"reason": reason, "trades": count} for reason, count in found.left_out],
        "legs": [
            {
                "asset": net.asset,
                "direction": net.direction,
                "expected": Decimal(net.expected),
                "received": Decimal(net.received),
                "delivered": Decimal(net.delivered),
                "fees": Decimal(net.fees),
            }
            for net in found.nets
        ],
    }
