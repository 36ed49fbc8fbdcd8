"""Legs of settlement batches: a machine finds what is due, carries it out, and reports what came of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import clock
from accounts.api import bodies
from accounts.api.lists import Filter, guid_in_path, guids, one_of, page_of, strings, timestamp
from accounts.errors import Malformed
from trades import selectors
from trades.api import wake_worker
from trades.api.amounts import reported_amount
from trades.api.batches import EXECUTE, READ
from trades.api.quotes import caller
from trades.models import SettlementLeg
from trades.settlement.legs import LONGEST_FAILURE, LONGEST_REFERENCE, fail_leg, settle_leg
from trades.states import LegStatus


def _due(name: str, text: str) -> Q:
    """`true`: those to carry out now; `false`: the others."""
    if text not in ("true", "false"):
        raise Malformed(f"{name} must be true or false.")
    due = selectors.is_due(clock.now())
    return due if text == "true" else ~due


FILTERS: dict[str, Filter] = {
    "guid": guids("pk"),
    "batch_guid": guids("batch_id"),
    "asset": strings("asset_id__in"),
    "status": one_of("status", LegStatus.values),
    "direction": one_of("direction", SettlementLeg.Direction.values),
    "due": _due,
    "updated_at_gte": timestamp("updated_at__gte"),
    "updated_at_lt": timestamp("updated_at__lt"),
}


class Legs(APIView):
    """Of all batches, newest first."""

    scopes = {"GET": READ}

    def get(self, request: Request) -> Response:
        return Response(page_of(selectors.legs(), request.query_params, FILTERS, leg_out))


class LegsOfBatch(APIView):
    scopes = {"GET": READ}

    def get(self, request: Request, guid: str) -> Response:
        batch = selectors.batch(guid_in_path(guid))
        return Response(page_of(selectors.legs_of(batch.pk), request.query_params, FILTERS, leg_out))


class Settle(APIView):
    scopes = {"POST": EXECUTE}

    def post(self, request: Request, guid: str, leg_guid: str) -> Response:
        leg = selectors.leg_of(guid_in_path(guid), guid_in_path(leg_guid))
        body = bodies.object_in(request.data)
        actual = reported_amount(body, "actual_amount")
        reference = bodies.text(body, "reference", longest=LONGEST_REFERENCE)
        leg = settle_leg(leg.pk, actual=actual, reference=reference, by=caller(request).actor, at=clock.now())
        transaction.on_commit(wake_worker.to_settle)
        return Response(leg_out(selectors.leg_of(leg.batch_id, leg.pk)))


class Fail(APIView):
    scopes = {"POST": EXECUTE}

    def post(self, request: Request, guid: str, leg_guid: str) -> Response:
        leg = selectors.leg_of(guid_in_path(guid), guid_in_path(leg_guid))
        failure = bodies.text(bodies.object_in(request.data), "failure", longest=LONGEST_FAILURE, required=True)
        leg = fail_leg(leg.pk, failure=failure, by=caller(request).actor, at=clock.now())
        return Response(leg_out(leg))


def leg_out(leg: SettlementLeg) -> dict[str, Any]:
    """Amounts in base units; `actual` and `difference` (actual less expected) are null until the leg is settled."""
    return {
        "guid": leg.pk,
        "batch_guid": leg.batch_id,
        "asset": leg.asset_id,
        "direction": leg.direction,
        "received": Decimal(leg.received),
        "delivered": Decimal(leg.delivered),
        "fees": Decimal(leg.fees),
        "expected": Decimal(leg.expected),
        "actual": None if leg.actual is None else Decimal(leg.actual),
        "difference": None if leg.difference is None else Decimal(leg.difference),
        "status": leg.status,
        "attempts": leg.attempts,
        "reference": leg.reference,
        "failure": leg.failure,
        "next_attempt_at": leg.next_attempt_at,
        "settled_at": leg.settled_at,
        "updated_at": leg.updated_at,
    }
