"""Accounts and assets, as the quotes/trades API shows them.

There is one account per customer and asset: its guid is that of the ledger account of type `available`,
its balance is what is available, still settling or leaving.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock, selectors, services
from accounts.errors import Conflict, CustomerNotFound, UnknownAsset, WrongAccountType
from accounts.models import Asset, LedgerAccount
from accounts.rest import fields
from accounts.rest.filters import Bank, Filters, Guids, OneOf, Strings
from accounts.rest.viewsets import PublicResource, Resource
from accounts.services.customers import FIAT_ACCOUNT, TRADING_ACCOUNT

LONGEST_NAME: Final = 128
TYPES: Final = (TRADING_ACCOUNT, FIAT_ACCOUNT)
NONE: Final = Q(pk__in=[])


class OfType(OneOf):
    """`type` says what the asset is: the ledger has no such column."""

    def __init__(self) -> None:
        super().__init__("type", [*TYPES, "fee"])

    def condition(self, value: Any) -> Q:
        is_fiat = Q(asset__type=Asset.Type.FIAT)
        return (is_fiat if FIAT_ACCOUNT in value else NONE) | (~is_fiat if TRADING_ACCOUNT in value else NONE)


class OfOwner(OneOf):
    """The firm's own accounts are not shown here."""

    def __init__(self) -> None:
        super().__init__("owner", ["bank", "customer"])

    def condition(self, value: Any) -> Q:
        return Q() if "customer" in value else NONE


class AccountFilters(Filters):
    guid = Guids("pk")
    bank_guid = Bank()
    customer_guid = Guids("customer_id")
    type = OfType()
    owner = OfOwner()
    asset = Strings("asset_id__in")
    label = Strings("labels__overlap")


class AssetFilters(Filters):
    code = Strings("pk__in")


class AccountIn(fields.Body):
    type = fields.Choice(TYPES, required=True)
    asset = fields.Text(longest=10, required=True)
    name = fields.Text(longest=LONGEST_NAME, required=True)
    customer_guid = fields.Guid()
    labels = fields.Labels()


class AccountPatch(fields.Body):
    name = fields.Text(longest=LONGEST_NAME)
    labels = fields.Labels()


def _type(account: LedgerAccount) -> str:
    return FIAT_ACCOUNT if account.asset.type == Asset.Type.FIAT else TRADING_ACCOUNT


class AccountOut(fields.Shown):
    type = fields.Of(_type, {"type": "string", "enum": list(TYPES)})
    guid = fields.Guid(source="pk")
    created_at = fields.Time()
    updated_at = fields.Time()
    asset = fields.Text(source="asset_id")
    name = fields.Of(lambda account: account.name or account.asset.name, {"type": "string"})
    bank_guid = fields.Of(lambda _: settings.BANK_GUID, fields.A_GUID)
    customer_guid = fields.Guid(source="customer_id")
    platform_balance = fields.Amount(least=0)
    platform_available = fields.Amount(least=0, source="balance")
    state = fields.Of(lambda _: "created", {"type": "string", "enum": ["created"]})
    labels = fields.Labels(allow_null=True)


class AssetOut(fields.Shown):
    type = fields.Choice(Asset.Type.values)
    code = fields.Text()
    name = fields.Text()
    symbol = fields.Text()
    decimals = fields.Whole(least=0, most=18)


class AccountViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = selectors.accounts()
    owner = "customer_id"
    scopes = {
        "list": "accounts:read",
        "retrieve": "accounts:read",
        "create": "accounts:execute",
        "partial_update": "accounts:write",
    }
    refusals = {"create": (CustomerNotFound, UnknownAsset, WrongAccountType, Conflict), "partial_update": ()}
    filterset_class = AccountFilters
    serializer_class = AccountOut

    @extend_schema(request=AccountIn, responses={201: AccountOut})
    def create(self, request: Request) -> Response:
        """Name a customer's account in an asset."""
        body = self.body(AccountIn)
        customer = self.customer(body.get("customer_guid"))
        account = services.open_account(customer, body["asset"], body["type"], body["name"], body.get("labels"))
        return self.shown(self.get_queryset().get(pk=account.pk), status=201)

    @extend_schema(request=AccountPatch, responses={200: AccountOut})
    def partial_update(self, request: Request, guid: str) -> Response:
        """Give an account another name, or other labels: [] takes them away, null leaves them."""
        body = self.body(AccountPatch)
        account_id = self.get_object().pk
        services.change_account(account_id, name=body.get("name"), labels=body.get("labels"), at=clock.now())
        return self.shown(self.get_queryset().get(pk=account_id))


class AssetViewSet(ListModelMixin, PublicResource):
    queryset = selectors.assets()
    filterset_class = AssetFilters
    serializer_class = AssetOut
