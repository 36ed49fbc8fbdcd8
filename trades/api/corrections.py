"""GET /api/corrections: what was put right, and what is proposed to be. For operators' machines, and the firm's alone.

A reason, a reference and who decided are the firm's own business. What a customer may know of a reversal stands on
their trade: when it was, and the correction's guid to ask about.
"""

from __future__ import annotations

from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from accounts.rest import fields
from accounts.rest.filters import At, ChangedSince, Filters, Guids, OneOf, Strings
from accounts.rest.viewsets import FIRM, Resource
from trades.api.batches import READ
from trades.corrections import selectors
from trades.corrections.errors import CorrectionNotFound
from trades.models import Correction
from trades.states import CorrectionState


class CorrectionFilters(Filters):
    guid = Guids("pk")
    kind = OneOf("kind", Correction.Kind.values)
    state = OneOf("state", CorrectionState.values)
    subject_guid = Guids("subject")
    customer_guid = Guids("whose")
    reference = Strings("reference__in")
    created_at_gte = At("made_at__gte")
    created_at_lt = At("made_at__lt")
    updated_at_gte = ChangedSince("updated_at__gte")
    updated_at_lt = At("updated_at__lt")


class CorrectionOut(fields.Shown):
    """`subject_guid`: the trade, batch, leg or break that it is about. `customer_guid`: whose money or trade, if one
    customer's. `amount` in base units. A person or a program made it and another one decided; nobody did where it was
    within its asset's limit.

    A batch's reversal is `applying` while `trades_done` goes up to `trades_count`; customers that it waits for have
    spent what it would take back.
    """

    created_at = fields.Time(source="made_at")
    updated_at = fields.Time()
    guid = fields.Guid(source="pk")
    kind = fields.Choice(Correction.Kind.values)
    state = fields.Choice(CorrectionState.values)
    subject_guid = fields.Guid(source="subject", allow_null=True)
    customer_guid = fields.Guid(source="whose", allow_null=True)
    asset = fields.Text(source="asset_id", allow_null=True)
    amount = fields.Amount(allow_null=True)
    direction = fields.Of(
        lambda correction: correction.direction or None,
        {"type": ["string", "null"], "enum": [*Correction.Direction.values, None]},
    )
    reason = fields.Text()
    reference = fields.Text()
    needs_checker = fields.YesNo()
    made_by_user_guid = fields.Guid(source="made_by_id", allow_null=True)
    made_by_client_guid = fields.Guid(source="made_by_client_id", allow_null=True)
    checked_by_user_guid = fields.Guid(source="checked_by_id", allow_null=True)
    checked_by_client_guid = fields.Guid(source="checked_by_client_id", allow_null=True)
    decided_at = fields.Time(allow_null=True)
    movements_count = fields.Count()
    trades_count = fields.Count()
    trades_done = fields.Count()
    customers_waiting_count = fields.Of(lambda correction: len(correction.waits_for), {"type": "integer", "minimum": 0})


class CorrectionViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    """Corrections: reversals, adjustments, money in and out. They are proposed and decided by people, elsewhere."""

    queryset = selectors.told()
    owner = FIRM
    not_found = CorrectionNotFound
    scopes = dict.fromkeys(["list", "retrieve"], READ)
    filterset_class = CorrectionFilters
    serializer_class = CorrectionOut
