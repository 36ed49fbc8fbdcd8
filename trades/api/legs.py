"""Legs of settlement batches: a machine finds what is due, carries it out, and reports what came of it."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock
from accounts.rest import fields
from accounts.rest.filters import At, ChangedSince, Filters, Guids, OneOf, Strings, TrueOrFalse
from accounts.rest.viewsets import FIRM, Resource
from trades import selectors
from trades.api import wake_worker
from trades.api.batches import EXECUTE, READ
from trades.errors import BatchNotFound, LegNotFound, LegStateForbids, ReferenceUsed
from trades.fail_reasons import FailReason
from trades.models import LegReport, SettlementLeg
from trades.settlement.legs import LONGEST_FAILURE, LONGEST_REFERENCE, fail_leg, settle_leg
from trades.states import LegStatus

A_DAY: Final = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
REASONS: Final = "ISO 20022: " + "; ".join(f"{reason.value}: {reason.label}" for reason in FailReason) + "."


class Due(TrueOrFalse):
    """`true`: those to carry out now; `false`: the others."""

    def condition(self, value: Any) -> Q:
        due = selectors.is_due(clock.firm_now())
        return due if value else ~due


class Overdue(TrueOrFalse):
    """`true`: those whose value date is over, and which are not settled; `false`: the others."""

    def condition(self, value: Any) -> Q:
        overdue = selectors.is_overdue(clock.firm_now())
        return overdue if value else ~overdue


class LegFilters(Filters):
    guid = Guids("pk")
    batch_guid = Guids("batch_id")
    asset = Strings("asset_id__in")
    status = OneOf("status", LegStatus.values)
    direction = OneOf("direction", SettlementLeg.Direction.values)
    due = Due()
    overdue = Overdue()
    reason_code = OneOf("reason_code", FailReason.values)
    updated_at_gte = ChangedSince("updated_at__gte")
    updated_at_lt = At("updated_at__lt")


class SettledIn(fields.Body):
    """What moved by this reference. Short of what is still expected it is a part, unless it is final; zero, which only
    a final report can say: nothing (more) did."""

    actual_amount = fields.Amount(least=0, required=True)
    reference = fields.Text(longest=LONGEST_REFERENCE, help_text="Printable characters. A part needs one.")
    final = fields.YesNo(default=False, help_text="Nothing more comes: what is missing becomes a break.")


class FailedIn(fields.Body):
    failure = fields.Text(longest=LONGEST_FAILURE, required=True, help_text="Printable characters.")
    reason_code = fields.Choice(FailReason.values, default=FailReason.NARRATIVE.value, help_text=REASONS)


class ReportFilters(Filters):
    kind = OneOf("kind", LegReport.Kind.values)


class LegOut(fields.Shown):
    """Amounts in base units; `actual`, the sum of its `parts`, is null until something has come, and `difference`
    (actual less expected) until the leg is settled. `instruction` is the id, as a bank is told it, of the instruction
    that it is in, if any; `carried_to_guid`: what is missing is in there carried forward to that leg of a later batch.
    """

    guid = fields.Guid(source="pk")
    batch_guid = fields.Guid(source="batch_id")
    asset = fields.Text(source="asset_id")
    direction = fields.Choice(SettlementLeg.Direction.values)
    received = fields.Amount(least=0)
    delivered = fields.Amount(least=0)
    fees = fields.Amount(least=0)
    expected = fields.Amount(least=0)
    actual = fields.Amount(least=0, allow_null=True)
    difference = fields.SignedAmount(allow_null=True)
    status = fields.Choice(LegStatus.values)
    parts = fields.Count()
    attempts = fields.Count()
    reference = fields.Text()
    reason_code = fields.Choice(["", *FailReason.values])
    failure = fields.Text()
    value_date = fields.Of(lambda leg: leg.value_date.isoformat(), A_DAY)
    due_by = fields.Time()
    next_attempt_at = fields.Time(allow_null=True)
    settled_at = fields.Time(allow_null=True)
    instruction = fields.Text(source="instructed", allow_null=True)
    carried_to_guid = fields.Guid(source="carried_to", allow_null=True)
    updated_at = fields.Time()


class LegReportOut(fields.Shown):
    """What was said of a leg, or became of it. `amount` in base units: what moved by this report."""

    created_at = fields.Time(source="at")
    guid = fields.Guid(source="pk")
    leg_guid = fields.Guid(source="leg_id")
    kind = fields.Choice(LegReport.Kind.values)
    attempt = fields.Count(source="number")
    amount = fields.Amount(least=0, allow_null=True)
    reference = fields.Text()
    reason_code = fields.Choice(["", *FailReason.values])
    text = fields.Text()
    by_user_guid = fields.Guid(source="by_user_id", allow_null=True)
    by_client_guid = fields.Guid(source="by_client_id", allow_null=True)
    request_id = fields.Text(allow_null=True)


class SettlementLegViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    """Of all batches, newest first; below a batch's path those of that batch, by asset."""

    queryset = selectors.legs()
    owner = FIRM
    not_found = LegNotFound
    scopes = {"list": READ, "retrieve": READ, "reports": READ, "settle": EXECUTE, "fail": EXECUTE}
    refusals = {"settle": (LegStateForbids, ReferenceUsed), "fail": (LegStateForbids,)}
    filterset_class = LegFilters
    serializer_class = LegOut

    def get_queryset(self) -> QuerySet[SettlementLeg]:
        legs = super().get_queryset()
        if "batch_guid" not in self.kwargs:
            return legs
        batch = self.found(selectors.batches(), self.kwargs["batch_guid"], BatchNotFound)
        return legs.filter(batch=batch).order_by("asset_id")

    @extend_schema(responses=LegReportOut(many=True))
    @action(detail=True, filterset_class=ReportFilters, serializer_class=LegReportOut)
    def reports(self, request: Request, **path: str) -> Response:
        """The leg's history, newest first."""
        return self.page(selectors.reports_of(self.get_object().pk))

    @extend_schema(request=SettledIn, responses=LegOut)
    @action(detail=True, methods=["post"])
    def settle(self, request: Request, **path: str) -> Response:
        """Report what a leg moved, as a whole or a part of it."""
        leg = self.get_object()
        body = self.body(SettledIn)
        moved = {"actual": body["actual_amount"], "reference": body.get("reference", ""), "final": body["final"]}
        settle_leg(leg.pk, **moved, by=self.caller.actor, at=clock.firm_now())
        transaction.on_commit(wake_worker.to_settle)
        return self.shown(self.get_object())

    @extend_schema(request=FailedIn, responses=LegOut)
    @action(detail=True, methods=["post"])
    def fail(self, request: Request, **path: str) -> Response:
        """Report that a leg could not be carried out."""
        leg = self.get_object()
        fail_leg(leg.pk, **self.body(FailedIn), by=self.caller.actor, at=clock.firm_now())
        return self.shown(self.get_object())
