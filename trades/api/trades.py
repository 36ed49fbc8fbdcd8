"""/api/trades: execute a quote, and follow what became of it."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import bodies
from accounts.api.lists import Filter, bank, guid_in_path, guids, one_of, page_of, strings, timestamp
from accounts.ledger import AVAILABLE
from accounts.models import LedgerAccount
from trades import selectors
from trades.api import wake_worker
from trades.api.quotes import caller
from trades.models import Trade
from trades.spot.execute import execute
from trades.states import FailureCode, TradeState

EXPECTED_ERRORS = (FailureCode.EXPIRED_QUOTE.value, FailureCode.NON_SUFFICIENT_FUNDS.value)


def _of_accounts(name: str, text: str) -> Q:
    """Trades of these accounts' customers that receive or deliver their assets."""
    accounts = LedgerAccount.objects.filter(guids("pk")(name, text), type=AVAILABLE, customer=OuterRef("customer"))
    return Q(Exists(accounts.filter(asset=OuterRef("receive_asset")))) | Q(
        Exists(accounts.filter(asset=OuterRef("deliver_asset")))
    )


FILTERS: dict[str, Filter] = {
    "guid": guids("pk"),
    "bank_guid": bank(settings.BANK_GUID),
    "customer_guid": guids("customer_id"),
    "quote_guid": guids("quote_id"),
    "reference_trade_guid": guids("reference_trade_id"),
    "account_guid": _of_accounts,
    "symbol": strings("instrument_id__in"),
    "state": one_of("state", TradeState.values),
    "failure_code": one_of("failure_code", FailureCode.values),
    "side": one_of("side", Trade.Side.values),
    "trade_type": one_of("trade_type", Trade.Type.values),
    "label": strings("labels__overlap"),
    "created_at_gte": timestamp("created_at__gte"),
    "created_at_lt": timestamp("created_at__lt"),
    "updated_at_gte": timestamp("updated_at__gte"),
    "updated_at_lt": timestamp("updated_at__lt"),
}


class Trades(APIView):
    scopes = {"GET": "trades:read", "POST": "trades:execute"}

    def get(self, request: Request) -> Response:
        return Response(page_of(selectors.trades_of(caller(request)), request.query_params, FILTERS, trade_out))

    def post(self, request: Request) -> Response:
        body = bodies.object_in(request.data)
        quote_id = bodies.required_guid(body, "quote_guid")
        trade_type = bodies.choice(body, "trade_type", Trade.Type.values, default=Trade.Type.PLATFORM.value)
        labels = bodies.labels(body)
        expected = bodies.choice(body, "expected_error", EXPECTED_ERRORS, default="")
        trade = execute(
            by=caller(request),
            quote_id=quote_id,
            trade_type=trade_type,
            labels=labels,
            expected_error=expected,
        )
        transaction.on_commit(partial(wake_worker.to_advance, trade.pk))  # just now, unless a test holds it back
        return Response(trade_out(trade), status=201)


class OneTrade(APIView):
    scopes = {"GET": "trades:read"}

    def get(self, request: Request, guid: str) -> Response:
        return Response(trade_out(selectors.trade_of(caller(request), guid_in_path(guid))))


def trade_out(trade: Trade) -> dict[str, Any]:
    """A trade as the contract shows it."""
    return {
        "created_at": trade.created_at,
        "updated_at": trade.updated_at,
        "guid": trade.pk,
        "trade_type": trade.trade_type,
        "customer_guid": trade.customer_id,
        "quote_guid": trade.quote_id,
        "symbol": trade.instrument_id,
        "side": trade.side,
        "state": trade.state,
        "failure_code": trade.failure_code,
        "receive_amount": Decimal(trade.receive_amount),
        "deliver_amount": Decimal(trade.deliver_amount),
        "fee": Decimal(trade.fee),
        "reference_trade_guid": trade.reference_trade_id,
        "labels": trade.labels,
    }
