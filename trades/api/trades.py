"""/api/trades: execute a quote, and follow what became of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import SandboxOnly
from accounts.ledger import AVAILABLE
from accounts.models import LedgerAccount
from accounts.rest import fields
from accounts.rest.filters import At, Bank, ChangedSince, Filters, Guids, OneOf, Strings, TrueOrFalse
from accounts.rest.viewsets import Resource
from quotes.errors import QuoteNotFound
from trades import selectors
from trades.api import examples, wake_worker
from trades.errors import QuoteUsed, TradeNotFound, TradeTypeDoesNotFit
from trades.models import Trade
from trades.spot.execute import execute
from trades.states import FailureCode, TradeState

EXPECTED_ERRORS: Final = (FailureCode.EXPIRED_QUOTE.value, FailureCode.NON_SUFFICIENT_FUNDS.value)


class OfAccounts(Guids):
    """Trades of these accounts' customers that receive or deliver their assets."""

    assets: tuple[str, ...] = ("receive_asset", "deliver_asset")

    def condition(self, value: Any) -> Q:
        accounts = LedgerAccount.objects.filter(pk__in=value, type=AVAILABLE, customer=OuterRef("customer"))
        return Q(*(Exists(accounts.filter(asset=OuterRef(asset))) for asset in self.assets), _connector=Q.OR)


class Reversed(TrueOrFalse):
    """`true`: those that a correction took back; `false`: the others."""

    found: Callable[..., QuerySet[Any, Any]] = staticmethod(selectors.reversed_trades)

    def condition(self, value: Any) -> Q:
        taken_back = Q(pk__in=self.found())
        return taken_back if value else ~taken_back


class ReversedBy(Guids):
    """Guids of corrections, separated by commas."""

    found: Callable[..., QuerySet[Any, Any]] = staticmethod(selectors.reversed_trades)

    def condition(self, value: Any) -> Q:
        return Q(pk__in=self.found(value))


class TradeFilters(Filters):
    guid = Guids("pk")
    bank_guid = Bank()
    customer_guid = Guids("customer_id")
    quote_guid = Guids("quote_id")
    reference_trade_guid = Guids("reference_trade_id")
    account_guid = OfAccounts()
    symbol = Strings("instrument_id__in")
    external_id = Strings("external_id__in")
    state = OneOf("state", TradeState.values)
    failure_code = OneOf("failure_code", FailureCode.values)
    side = OneOf("side", Trade.Side.values)
    trade_type = OneOf("trade_type", Trade.Type.values)
    label = Strings("labels__overlap")
    reversed = Reversed()
    reversed_by_guid = ReversedBy()
    created_at_gte = At("created_at__gte")
    created_at_lt = At("created_at__lt")
    updated_at_gte = ChangedSince("updated_at__gte")
    updated_at_lt = At("updated_at__lt")


class TradeIn(fields.Body):
    """`expected_error` makes the trade fail, in the sandbox."""

    quote_guid = fields.Guid(required=True)
    trade_type = fields.Choice(Trade.Type.values, default=Trade.Type.PLATFORM.value)
    labels = fields.Labels()
    external_id = fields.Text(longest=64, help_text="The partner's own name for it.")
    expected_error = fields.Choice(EXPECTED_ERRORS)


class TradeOut(fields.Shown):
    """Reversed, it stays `completed`; `reversed_by_guid` is the correction's."""

    optional = frozenset({"settlement_batch_guid", "settled_at", "reversed_at", "reversed_by_guid", "external_id"})

    created_at = fields.Time()
    updated_at = fields.Time()
    guid = fields.Guid(source="pk")
    trade_type = fields.Choice(Trade.Type.values)
    customer_guid = fields.Guid(source="customer_id")
    quote_guid = fields.Guid(source="quote_id")
    symbol = fields.Text(source="instrument_id")
    side = fields.Choice(Trade.Side.values)
    state = fields.Choice(TradeState.values)
    failure_code = fields.Choice(FailureCode.values, allow_null=True)
    receive_amount = fields.Amount()
    deliver_amount = fields.Amount()
    fee = fields.Amount(least=0)
    reference_trade_guid = fields.Guid(source="reference_trade_id", allow_null=True)
    labels = fields.Labels(allow_null=True)
    external_id = fields.Text()
    settlement_batch_guid = fields.Guid(source="batch_id")
    settled_at = fields.Time(default=None)  # a trade that was made just now has none of these attributes
    reversed_at = fields.Time(default=None)
    reversed_by_guid = fields.Guid(source="reversed_by", default=None)


class TradeViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    """Exits are trades of `trade_type` exit."""

    queryset = selectors.trades()
    owner = "customer_id"
    not_found = TradeNotFound
    scopes = {"list": "trades:read", "retrieve": "trades:read", "create": "trades:execute"}
    refusals = {"create": (QuoteNotFound, QuoteUsed, TradeTypeDoesNotFit, SandboxOnly)}
    filterset_class = TradeFilters
    serializer_class = TradeOut

    @extend_schema(request=TradeIn, responses={201: TradeOut}, examples=examples.TRADES)
    def create(self, request: Request) -> Response:
        """Execute a quote. The trade answers `storing`; a worker moves it."""
        body = self.body(TradeIn)
        trade = execute(
            by=self.caller,
            quote_id=body["quote_guid"],
            trade_type=body["trade_type"],
            labels=body.get("labels"),
            external_id=body.get("external_id", ""),
            expected_error=body.get("expected_error", ""),
        )
        transaction.on_commit(partial(wake_worker.to_advance, trade.pk))  # just now, unless a test holds it back
        return self.shown(trade, status=201)
