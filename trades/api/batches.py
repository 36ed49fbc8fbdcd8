"""/api/settlement_batches: for operators' machines. Confirming lets the workers settle."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import clock
from accounts.api import bodies
from accounts.api.lists import Filter, guid_in_path, guids, one_of, page_of, timestamp
from trades import selectors
from trades.api import wake_worker
from trades.api.quotes import caller
from trades.api.trades import FILTERS as TRADE_FILTERS
from trades.api.trades import trade_out
from trades.models import LeftOut, SettlementBatch
from trades.settlement import approval
from trades.settlement.cut import EVERY_KIND, CutPreview, cut_now, preview
from trades.states import BatchState

READ, EXECUTE = "settlements:read", "settlements:execute"
FILTERS: dict[str, Filter] = {
    "guid": guids("pk"),
    "state": one_of("state", BatchState.values),
    "created_at_gte": timestamp("created_at__gte"),
    "created_at_lt": timestamp("created_at__lt"),
    "updated_at_gte": timestamp("updated_at__gte"),
    "updated_at_lt": timestamp("updated_at__lt"),
}
LEFT_OUT_FILTERS: dict[str, Filter] = {
    "trade_guid": guids("trade_id"),
    "customer_guid": guids("customer_id"),
    "stage": one_of("stage", LeftOut.Stage.values),
    "reason": one_of("reason", LeftOut.Reason.values),
}


class Batches(APIView):
    scopes = {"GET": READ, "POST": EXECUTE}

    def get(self, request: Request) -> Response:
        return Response(page_of(selectors.batches(), request.query_params, FILTERS, batch_out))

    def post(self, request: Request) -> Response:
        body = bodies.object_in(request.data)
        are_automatic = bodies.yes_or_no(body, "legs_are_automatic", default=True)
        batch = cut_now(at=clock.now(), by=caller(request).actor, legs_are_automatic=are_automatic)
        return Response(batch_out(batch), status=201)


class Preview(APIView):
    """What a cut would take just now. It changes nothing, so reading suffices."""

    scopes = {"POST": READ}

    def post(self, request: Request) -> Response:
        kinds = bodies.choices(bodies.object_in(request.data), "asset_kinds", EVERY_KIND)
        return Response({"asset_kinds": kinds, **preview_out(preview(kinds, clock.now()))})


class OneBatch(APIView):
    scopes = {"GET": READ}

    def get(self, request: Request, guid: str) -> Response:
        return Response(batch_out(selectors.batch(guid_in_path(guid))))


class Members(APIView):
    scopes = {"GET": READ}

    def get(self, request: Request, guid: str) -> Response:
        batch = selectors.batch(guid_in_path(guid))
        return Response(page_of(selectors.members_of(batch), request.query_params, TRADE_FILTERS, trade_out))


class LeftOutOf(APIView):
    scopes = {"GET": READ}

    def get(self, request: Request, guid: str) -> Response:
        batch = selectors.batch(guid_in_path(guid))
        left = selectors.left_out_of(batch.pk)
        return Response(page_of(left, request.query_params, LEFT_OUT_FILTERS, left_out_out))


class Confirm(APIView):
    scopes = {"POST": EXECUTE}

    def post(self, request: Request, guid: str) -> Response:
        batch = approval.confirm(guid_in_path(guid), by=caller(request).actor, at=clock.now())
        transaction.on_commit(wake_worker.to_settle)
        return Response(batch_out(batch))


class Cancel(APIView):
    scopes = {"POST": EXECUTE}

    def post(self, request: Request, guid: str) -> Response:
        return Response(batch_out(approval.cancel(guid_in_path(guid), by=caller(request).actor, at=clock.now())))


def batch_out(batch: SettlementBatch) -> dict[str, Any]:
    """A batch as its API shows it. Who made and confirmed it: a person or a program; the system is neither."""
    return {
        "created_at": batch.created_at,
        "updated_at": batch.updated_at,
        "guid": batch.pk,
        "window": batch.window.name if batch.window else None,
        "asset_kinds": batch.asset_kinds.split(","),
        "cut_at": batch.cut_at,
        "state": batch.state,
        "trades_count": batch.trades_count,
        "customers_count": batch.customers_count,
        "left_out_count": batch.left_out_count,
        "completed_count": batch.completed_count,
        "percent": batch.percent,
        "members_sha256": batch.members_sha256,
        "legs_are_automatic": batch.legs_are_automatic,
        "made_by_user_guid": batch.made_by_id,
        "made_by_client_guid": batch.made_by_client_id,
        "confirmed_by_user_guid": batch.confirmed_by_id,
        "confirmed_by_client_guid": batch.confirmed_by_client_id,
        "confirmed_at": batch.confirmed_at,
        "cancelled_by_user_guid": batch.cancelled_by_id,
        "cancelled_by_client_guid": batch.cancelled_by_client_id,
    }


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


def left_out_out(left: LeftOut) -> dict[str, Any]:
    return {
        "created_at": left.at,
        "guid": left.pk,
        "batch_guid": left.batch_id,
        "trade_guid": left.trade_id,
        "customer_guid": left.customer_id,
        "stage": left.stage,
        "reason": left.reason,
        "detail": left.detail,
    }
