"""/api/sandbox/deposits: money for a customer, in one call."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock
from accounts.errors import CustomerNotFound, CustomerNotVerified, UnknownAsset
from accounts.identity import SANDBOX
from accounts.rest import fields
from accounts.rest.viewsets import FIRM, Resource
from brokerage.sandbox.funding import fund
from trades import selectors
from trades.api.transfers import TransferOut
from trades.errors import CustomerIsFrozen


class DepositIn(fields.Body):
    customer_guid = fields.Guid(required=True)
    asset = fields.Text(longest=20, required=True)
    amount = fields.Amount(required=True, help_text="In base units.")
    labels = fields.Labels()
    external_id = fields.Text(longest=64, help_text="The partner's own name for it.")


class SandboxDepositViewSet(Resource):
    """An ordinary transfer of the sandbox's rail: its quote, its events and its webhooks come as with any other."""

    queryset = selectors.payments()
    owner = FIRM
    scopes = {"create": SANDBOX}
    refusals = {"create": (CustomerNotFound, CustomerNotVerified, CustomerIsFrozen, UnknownAsset)}
    serializer_class = TransferOut

    @extend_schema(request=DepositIn, responses={201: TransferOut})
    def create(self, request: Request) -> Response:
        """Bring money in: the transfer has completed, or failed, when this answers."""
        body = self.body(DepositIn)
        payment_id = fund(
            by=self.caller,
            customer_id=self.customer(body["customer_guid"]).pk,
            asset=body["asset"],
            amount=body["amount"],
            labels=body.get("labels"),
            external_id=body.get("external_id", ""),
            at=clock.firm_now(),
        )
        return self.shown(self.get_queryset().get(pk=payment_id), status=201)
