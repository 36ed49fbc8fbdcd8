"""/api/sandbox/settlement_batches: cut and settle now, and report legs as a bank would.

What is cut here the system cuts, as its schedule does, so whoever asks may confirm it; a batch that a client has cut by
/api/settlement_batches another one confirms, in a sandbox, too.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from accounts import clock, conflicts
from accounts.identity import SANDBOX, SYSTEM, Actor
from accounts.rest import fields
from accounts.rest.viewsets import FIRM, Resource
from brokerage.sandbox.errors import NothingWaits
from trades import selectors
from trades.api import wake_worker
from trades.api.batches import BatchIn, BatchOut
from trades.api.legs import REASONS
from trades.errors import (
    BatchNotFound,
    BatchStateForbids,
    LegStateForbids,
    MakerIsChecker,
    NothingToCut,
    WindowNotFound,
)
from trades.fail_reasons import FailReason
from trades.models import SettlementBatch, SettlementLeg, SettlementWindow
from trades.settlement import approval
from trades.settlement.cut import cut_now, cut_window
from trades.settlement.legs import LONGEST_FAILURE, fail_leg, settle_leg
from trades.settlement.settle import begin
from trades.states import BatchState, LegStatus

SETTLED: Final = "settled"
FAILED: Final = "failed"


_OF_A_WINDOW: Final = ("legs_are_automatic", "completes_in_order")  # it says them itself


class CutIn(BatchIn):
    """Without a window every kind of asset is cut. A window says itself how its legs settle."""

    window_guid = fields.Guid(help_text="Only this window's kind of asset, as its schedule would.")
    settle = fields.YesNo(default=True, help_text="false: the batch is cut, and waits to be confirmed.")
    legs_are_automatic = fields.YesNo(help_text="true unless a window says so itself; false: legs wait to be reported.")
    completes_in_order = fields.YesNo(
        help_text="When a part of a leg has come, trades complete in order of time up to it."
    )

    rules = {"not": {"required": ["window_guid"], "anyOf": [{"required": [name]} for name in _OF_A_WINDOW]}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in _OF_A_WINDOW:
            if "window_guid" in attrs and name in attrs:
                raise ValidationError(f"{name} is for a cut of every kind; a window has its own setting.")
        return attrs


class LegsIn(fields.Body):
    """Of every leg of the batch that waits, or of one asset's."""

    outcome = fields.Choice((SETTLED, FAILED), required=True, help_text="`settled`: what is expected has moved.")
    asset = fields.Text(longest=20)
    failure = fields.Text(longest=LONGEST_FAILURE, default="Failed on request.", help_text="Of `failed`: why.")
    reason_code = fields.Choice(FailReason.values, default=FailReason.NARRATIVE.value, help_text=REASONS)


class SandboxBatchViewSet(Resource):
    queryset = selectors.batches()
    owner = FIRM
    not_found = BatchNotFound
    scopes = dict.fromkeys(["create", "settle", "report_legs"], SANDBOX)
    refusals = {
        "create": (NothingToCut, WindowNotFound),
        "settle": (MakerIsChecker, BatchStateForbids),
        "report_legs": (NothingWaits, LegStateForbids, BatchStateForbids),
    }
    serializer_class = BatchOut

    @extend_schema(request=CutIn, responses={201: BatchOut})
    def create(self, request: Request) -> Response:
        """Cut a batch now, and have it settled: GET /api/settlement_batches/{guid} says how far that is."""
        body = self.body(CutIn)
        at = clock.firm_now()
        batch = _cut(body, self._window(body.get("window_guid")), at=at)
        if body["settle"]:
            approval.confirm(batch.pk, by=self.caller.actor, at=at)
            transaction.on_commit(wake_worker.to_settle)
        return self._now(batch.pk, status=201)

    @extend_schema(request=None, responses=BatchOut)
    @action(detail=True, methods=["post"])
    def settle(self, request: Request, guid: str) -> Response:
        """Confirm a batch, if it still waits for that, and have it settled as far as its legs allow."""
        batch = self.get_object()
        if batch.state == BatchState.CUT:
            approval.confirm(batch.pk, by=self.caller.actor, at=clock.firm_now())
        elif batch.state == BatchState.CANCELLED:
            raise BatchStateForbids(f"The batch is {batch.state}.")
        transaction.on_commit(wake_worker.to_settle)
        return self._now(batch.pk)

    @extend_schema(request=LegsIn, responses=BatchOut)
    @action(detail=True, methods=["post"])
    def report_legs(self, request: Request, guid: str) -> Response:
        """Report what became of the legs that wait, as a bank would: each settled as expected, or failed."""
        batch = self.get_object()
        body = self.body(LegsIn)
        if not report(batch.pk, **body, by=self.caller.actor, at=clock.firm_now()):
            raise NothingWaits
        transaction.on_commit(wake_worker.to_settle)
        return self._now(batch.pk)

    def _window(self, named: UUID | None) -> SettlementWindow | None:
        if named is None:
            return None
        window: SettlementWindow = self.found(SettlementWindow.objects.all(), named.hex, WindowNotFound)
        return window

    def _now(self, batch_id: UUID, status: int = 200) -> Response:
        return self.shown(self.get_queryset().get(pk=batch_id), status=status)


def _cut(body: dict[str, Any], window: SettlementWindow | None, *, at: Any) -> SettlementBatch:
    """Raises NothingToCut."""
    if window is None:
        said = {"legs_are_automatic": True, "completes_in_order": False}
        return cut_now(at=at, by=SYSTEM, **(said | {name: body[name] for name in said if name in body}))
    batch = cut_window(window, at, at, SYSTEM)
    if batch is None:
        raise NothingToCut
    return batch


@conflicts.atomic
def report(batch_id: UUID, *, outcome: str, failure: str, reason_code: str, by: Actor, at: Any, asset: str = "") -> int:
    """Report every leg of a batch that waits, or an asset's; how many they were.

    A confirmed batch begins to settle first, as a worker would have it in a moment. Raises LegStateForbids for a batch
    whose legs can't be reported.
    """
    begin(batch_id, at)
    legs = SettlementLeg.objects.filter(batch=batch_id).exclude(status=LegStatus.SETTLED).order_by("pk")
    if outcome == FAILED:
        legs = legs.exclude(status=LegStatus.FAILED)
    found = list(legs.filter(asset_id=asset) if asset else legs)
    for leg in found:
        if outcome == FAILED:
            fail_leg(leg.pk, failure=failure, reason_code=reason_code, by=by, at=at)
        else:
            rest = int(leg.expected) - int(leg.actual or 0)
            settle_leg(leg.pk, actual=rest, reference=f"sandbox-{leg.pk.hex}-{leg.attempts}", by=by, at=at)
    return len(found)
