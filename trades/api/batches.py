"""/api/settlement_batches: for operators' machines. Confirming lets the workers settle."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.lists import Filter, guid_in_path, guids, moment, page_of, words
from trades import selectors
from trades.api import nudge
from trades.api.quotes import caller
from trades.api.trades import FILTERS as TRADE_FILTERS
from trades.api.trades import trade_out
from trades.models import SettlementBatch, SettlementLeg
from trades.settlement import approval
from trades.settlement.cut import cut_now
from trades.states import BatchState

READ, EXECUTE = "settlements:read", "settlements:execute"
FILTERS: dict[str, Filter] = {
    "guid": guids("pk"),
    "state": words("state", BatchState.values),
    "created_at_gte": moment("created_at__gte"),
    "created_at_lt": moment("created_at__lt"),
    "updated_at_gte": moment("updated_at__gte"),
    "updated_at_lt": moment("updated_at__lt"),
}


class Batches(APIView):
    scopes = {"GET": READ, "POST": EXECUTE}

    def get(self, request: Request) -> Response:
        return Response(page_of(selectors.batches(), request.query_params, FILTERS, batch_out))

    def post(self, request: Request) -> Response:
        batch = cut_now(at=timezone.now(), by=caller(request).actor)
        return Response(batch_out(batch), status=201)


class OneBatch(APIView):
    scopes = {"GET": READ}

    def get(self, request: Request, guid: str) -> Response:
        return Response(batch_out(selectors.batch(guid_in_path(guid))))


class Legs(APIView):
    scopes = {"GET": READ}

    def get(self, request: Request, guid: str) -> Response:
        batch = selectors.batch(guid_in_path(guid))
        return Response(page_of(selectors.legs_of(batch.pk), request.query_params, {}, leg_out))


class Members(APIView):
    scopes = {"GET": READ}

    def get(self, request: Request, guid: str) -> Response:
        batch = selectors.batch(guid_in_path(guid))
        return Response(page_of(selectors.members_of(batch), request.query_params, TRADE_FILTERS, trade_out))


class Confirm(APIView):
    scopes = {"POST": EXECUTE}

    def post(self, request: Request, guid: str) -> Response:
        with transaction.atomic():
            batch = approval.confirm(guid_in_path(guid), by=caller(request).actor, at=timezone.now())
            transaction.on_commit(nudge.settle)
        return Response(batch_out(batch))


class Cancel(APIView):
    scopes = {"POST": EXECUTE}

    def post(self, request: Request, guid: str) -> Response:
        return Response(batch_out(approval.cancel(guid_in_path(guid), at=timezone.now())))


def batch_out(batch: SettlementBatch) -> dict[str, Any]:
    return {
        "created_at": batch.created_at,
        "updated_at": batch.updated_at,
        "guid": batch.pk,
        "window": batch.window.name if batch.window else None,
        "asset_kinds": batch.asset_kinds.split(","),
        "cut_at": batch.cut_at,
        "state": batch.state,
        "trades_count": batch.trades_count,
        "completed_count": batch.completed_count,
    }


def leg_out(leg: SettlementLeg) -> dict[str, Any]:
    """Amounts in base units; `actual` is null until the leg is settled."""
    return {
        "guid": leg.pk,
        "batch_guid": leg.batch_id,
        "asset": leg.asset_id,
        "direction": leg.direction,
        "expected": Decimal(leg.expected),
        "actual": None if leg.actual is None else Decimal(leg.actual),
        "status": leg.status,
        "attempts": leg.attempts,
        "updated_at": leg.updated_at,
    }
