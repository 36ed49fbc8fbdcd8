"""GET /api/transactions: every movement of a customer's money, in each asset, what is settling or leaving included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.db.models import F, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Malformed
from accounts.kinds import KINDS
from accounts.ledger import AVAILABLE, LEAVING, MARGIN, SETTLING
from accounts.models import Transfer
from accounts.rest import fields
from accounts.rest.filters import At, Filters, Guids, OneOf, Strings
from accounts.rest.viewsets import Resource

_DEBITED: Final = Q(debit_account__customer=F("customer"))
_CREDITED: Final = Q(credit_account__customer=F("customer"))
_OWN: Final = frozenset({AVAILABLE, MARGIN, SETTLING, LEAVING})
SHOWN_KINDS: Final = tuple(kind for kind, pairs in KINDS.items() if any(_OWN & {*pair.split(">")} for pair in pairs))
"""The kinds that move something of a customer's."""


def transactions() -> QuerySet[Transfer]:
    """Movements between a customer's accounts, or into or out of one, newest first."""
    moved = Transfer.objects.filter(_DEBITED | _CREDITED)
    return moved.select_related("debit_account", "credit_account").order_by("-pk")


class TransactionFilters(Filters):
    guid = Guids("pk")
    customer_guid = Guids("customer_id")
    asset = Strings("asset_id__in")
    kind = OneOf("kind", SHOWN_KINDS)
    subject_guid = Guids("subject")
    created_at_gte = At("at__gte")
    created_at_lt = At("at__lt")


def _change(type_: str) -> Callable[[Transfer], int]:
    """What a movement changes in the customer's account of this type: base units, signed."""

    def change(moved: Transfer) -> int:
        credit, debit = moved.credit_account, moved.debit_account
        came = credit.type == type_ and credit.customer_id == moved.customer_id
        went = debit.type == type_ and debit.customer_id == moved.customer_id
        return int(moved.amount) * (came - went)

    return change


def _of(type_: str) -> fields.Of:
    return fields.Of(_change(type_), {"type": "integer"})


class TransactionOut(fields.Shown):
    """Base units, signed: what each of the customer's accounts in the asset gained. `subject_guid`: the order, trade or
    transfer that it belongs to. `reference` is its name in the ledger, unique for the customer."""

    guid = fields.Guid(source="pk")
    customer_guid = fields.Guid(source="customer_id")
    asset = fields.Text(source="asset_id")
    kind = fields.Choice(SHOWN_KINDS)
    available = _of(AVAILABLE)
    settling = _of(SETTLING)
    leaving = _of(LEAVING)
    margin = _of(MARGIN)
    subject_guid = fields.Guid(source="subject", allow_null=True)
    reference = fields.Text(source="key")
    created_at = fields.Time(source="at")


class TransactionViewSet(RetrieveModelMixin, Resource):
    queryset = transactions()
    owner = "customer_id"
    scopes = dict.fromkeys(["list", "retrieve"], "accounts:read")
    filterset_class = TransactionFilters
    serializer_class = TransactionOut

    @extend_schema(responses=TransactionOut(many=True))
    def list(self, request: Request) -> Response:
        """Movements, newest first. A firm's client names a customer, or a movement: all are too many to count."""
        rows = self.filter_queryset(self.get_queryset())
        if self.caller.customer_id is None and not {"customer_guid", "guid"} & request.query_params.keys():
            raise Malformed("customer_guid is required.")
        return self.get_paginated_response(self.get_serializer(self.paginate_queryset(rows), many=True).data)
