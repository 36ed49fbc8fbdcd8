"""Accounts and assets, as the quotes/trades API shows them.

There is one account per customer and asset: its guid is that of the ledger account of type `available`,
its balance is what is available and what is still settling.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors, services
from accounts.api import bodies
from accounts.api.identity import PublicView
from accounts.api.lists import bank, guid_in_path, guids, one_of, page_of, strings
from accounts.errors import Malformed
from accounts.identity import Caller
from accounts.models import Asset, LedgerAccount
from accounts.services.customers import FIAT_ACCOUNT, TRADING_ACCOUNT

_LONGEST_NAME = 128


def _of_type(name: str, text: str) -> Q:
    """`type` says what the asset is: the ledger has no such column."""
    one_of("type", [FIAT_ACCOUNT, TRADING_ACCOUNT, "fee"])(name, text)
    values = text.split(",")
    is_fiat = Q(asset__type=Asset.Type.FIAT)
    nothing = Q(pk__in=[])
    return (is_fiat if FIAT_ACCOUNT in values else nothing) | (~is_fiat if TRADING_ACCOUNT in values else nothing)


def _labelled(name: str, text: str) -> Q:
    """Accounts have no labels, so none has this one."""
    strings("label")(name, text)
    return Q(pk__in=[])


def _of_owner(name: str, text: str) -> Q:
    """The firm's own accounts are not shown here."""
    one_of("owner", ["bank", "customer"])(name, text)
    return Q() if "customer" in text.split(",") else Q(pk__in=[])


FILTERS = {
    "guid": guids("pk"),
    "bank_guid": bank(settings.BANK_GUID),
    "customer_guid": guids("customer_id"),
    "type": _of_type,
    "owner": _of_owner,
    "asset": strings("asset_id__in"),
    "label": _labelled,
}
ASSET_FILTERS = {"code": strings("pk__in")}


class AccountsView(APIView):
    scopes = {"GET": "accounts:read", "POST": "accounts:execute"}

    def get(self, request: Request) -> Response:
        caller: Caller = request.user  # type: ignore[assignment]
        return Response(page_of(selectors.accounts_seen_by(caller), request.query_params, FILTERS, account_out))

    def post(self, request: Request) -> Response:
        caller: Caller = request.user  # type: ignore[assignment]
        body = bodies.object_in(request.data)
        type_ = bodies.choice(body, "type", [TRADING_ACCOUNT, FIAT_ACCOUNT])
        asset = bodies.text(body, "asset", longest=10, required=True)
        name = bodies.text(body, "name", longest=_LONGEST_NAME, required=True)
        customer_id = bodies.guid(body, "customer_guid") or caller.customer_id
        if customer_id is None:
            raise Malformed("customer_guid is required.")
        customer = selectors.customer_seen_by(caller, customer_id)
        account = services.open_account(customer, asset, type_, name)
        return Response(account_out(selectors.account_seen_by(caller, account.pk)), status=201)


class AccountView(APIView):
    scopes = {"GET": "accounts:read"}

    def get(self, request: Request, guid: str) -> Response:
        caller: Caller = request.user  # type: ignore[assignment]
        return Response(account_out(selectors.account_seen_by(caller, guid_in_path(guid))))


class AssetsView(PublicView):
    def get(self, request: Request) -> Response:
        return Response(page_of(selectors.assets(), request.query_params, ASSET_FILTERS, asset_out))


def account_out(account: LedgerAccount) -> dict[str, Any]:
    available = account.balance
    settling = int(account.settling)  # type: ignore[attr-defined]  # annotated by the selector
    return {
        "type": FIAT_ACCOUNT if account.asset.type == Asset.Type.FIAT else TRADING_ACCOUNT,
        "guid": account.pk,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
        "asset": account.asset_id,
        "name": account.name or account.asset.name,
        "bank_guid": settings.BANK_GUID,
        "customer_guid": account.customer_id,
        "platform_balance": Decimal(available + settling),  # wei exceed 64 bits: printed from Decimal
        "platform_available": Decimal(available),
        "state": "created",
        "labels": None,
    }


def asset_out(asset: Asset) -> dict[str, Any]:
    return {
        "type": asset.type,
        "code": asset.code,
        "name": asset.name,
        "symbol": asset.symbol,
        "decimals": asset.decimals,
    }
