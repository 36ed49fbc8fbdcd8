"""/api/quotes. The viewset is in this app, because an exit quote is made of a trade, and quotes don't know trades."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from accounts import clock
from accounts.errors import CustomerNotFound, CustomerNotVerified, Forbidden, UnknownAsset
from accounts.rest import fields
from accounts.rest.filters import At, Bank, ChangedSince, Filters, Guids, OneOf, Strings
from accounts.rest.viewsets import Resource
from quotes import prices, selectors, services
from quotes.errors import (
    AmountOutOfRange,
    AmountTooSmall,
    MarketClosed,
    MarketCloseOnly,
    MarketHalted,
    ProductNotOffered,
    QuoteNotFound,
    StalePrice,
    SymbolNotTraded,
    UnknownSymbol,
)
from quotes.models import Quote
from trades.api import examples
from trades.api.amounts import Fees
from trades.errors import ReferenceNotExitable
from trades.spot.exit_quotes import quote_exit

OFFERED: Final = tuple(Quote.Product.values)
TRADED: Final = (Quote.Side.BUY.value, Quote.Side.SELL.value)
MOVED: Final = (Quote.Side.DEPOSIT.value, Quote.Side.WITHDRAWAL.value)
NOT_OFFERED: Final = ("crypto_transfer", "inter_account", "lightning_transfer")


class QuoteFilters(Filters):
    guid = Guids("pk")
    bank_guid = Bank()
    customer_guid = Guids("customer_id")
    reference_trade_guid = Guids("reference_trade_id")
    product_type = OneOf("product_type", (*OFFERED, *NOT_OFFERED))
    symbol = Strings("instrument_id__in")
    external_id = Strings("external_id__in")
    side = OneOf("side", Quote.Side.values)
    created_at_gte = At("issued_at__gte")
    created_at_lt = At("issued_at__lt")
    updated_at_gte = ChangedSince("issued_at__gte")
    updated_at_lt = At("issued_at__lt")


class ProductIn(fields.Body):
    """What every quote is asked for with."""

    product_type = fields.Choice((*OFFERED, *NOT_OFFERED), default=Quote.Product.TRADING.value)


def _given(name: str, *, absent: str) -> fields.Schema:
    return {"required": [name], "properties": {name: {"type": "integer"}, absent: {"type": "null"}}}


class OneAmount(fields.Body):
    """Exactly one of receive_amount and deliver_amount."""

    receive_amount = fields.Amount()
    deliver_amount = fields.Amount()
    rules = {
        "oneOf": [
            _given("receive_amount", absent="deliver_amount"),
            _given("deliver_amount", absent="receive_amount"),
        ]
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("receive_amount" in attrs) == ("deliver_amount" in attrs):
            raise ValidationError("Give exactly one of receive_amount and deliver_amount.")
        return attrs


class TradingQuoteIn(OneAmount):
    """Exactly one of receive_amount and deliver_amount."""

    product_type = fields.Choice([Quote.Product.TRADING.value], default=Quote.Product.TRADING.value)
    customer_guid = fields.Guid()
    symbol = fields.Text(longest=24, required=True)
    side = fields.Choice(TRADED, required=True)
    fees = Fees()
    external_id = fields.Text(longest=64, help_text="The partner's own name for it.")


class ExitQuoteIn(fields.Body):
    product_type = fields.Choice([Quote.Product.TRADING_EXIT.value], required=True)
    customer_guid = fields.Guid()
    reference_trade_guid = fields.Guid(required=True)
    fees = Fees()
    external_id = fields.Text(longest=64, help_text="The partner's own name for it.")


class FundingQuoteIn(OneAmount):
    """A deposit delivers money from outside, a withdrawal delivers it there; what is received is less by the fee."""

    product_type = fields.Choice([Quote.Product.FUNDING.value], required=True)
    customer_guid = fields.Guid()
    asset = fields.Text(longest=16, required=True)
    side = fields.Choice(MOVED, required=True)
    fees = Fees()
    external_id = fields.Text(longest=64, help_text="The partner's own name for it.")


class BookQuoteIn(OneAmount):
    """The customer delivers money to another one, whom the transfer names; what is received is less by the fee."""

    product_type = fields.Choice([Quote.Product.BOOK_TRANSFER.value], required=True)
    customer_guid = fields.Guid()
    asset = fields.Text(longest=16, required=True)
    side = fields.Choice([Quote.Side.DEPOSIT.value])
    fees = Fees()
    external_id = fields.Text(longest=64, help_text="The partner's own name for it.")


QuoteIn: Final = PolymorphicProxySerializer(
    "QuoteIn", [TradingQuoteIn, ExitQuoteIn, FundingQuoteIn, BookQuoteIn], resource_type_field_name=None
)


def _asset(quote: Quote) -> str | None:
    """What is traded, or moved."""
    return quote.asset_id if quote.instrument is None else quote.instrument.base_asset_id


def _used_by(name: str) -> Callable[[Quote], Any]:
    def used_by(quote: Quote) -> Any:
        user = getattr(quote, name, None)
        return user and user.pk

    return used_by


class QuoteOut(fields.Shown):
    """Keys that don't apply are left out, never null."""

    optional = frozenset({"symbol", "reference_trade_guid", "trade_guid", "transfer_guid", "external_id"})

    created_at = fields.Time(source="issued_at")
    updated_at = fields.Time(source="issued_at")
    guid = fields.Guid(source="pk")
    product_type = fields.Choice(OFFERED)
    customer_guid = fields.Guid(source="customer_id")
    symbol = fields.Text(source="instrument_id")
    side = fields.Choice(Quote.Side.values)
    receive_amount = fields.Amount()
    deliver_amount = fields.Amount()
    fee = fields.Amount(least=0)
    issued_at = fields.Time()
    expires_at = fields.Time()
    asset = fields.Of(_asset, {"type": "string"})
    reference_trade_guid = fields.Guid(source="reference_trade_id")
    trade_guid = fields.Of(_used_by("trade"), fields.A_GUID)
    transfer_guid = fields.Of(_used_by("payment"), fields.A_GUID)
    external_id = fields.Text()


class QuoteViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = selectors.quotes()
    owner = "customer_id"
    not_found = QuoteNotFound
    scopes = {"list": "quotes:read", "retrieve": "quotes:read", "create": "quotes:execute"}
    refusals = {
        "create": (
            *(CustomerNotFound, CustomerNotVerified, UnknownSymbol, ProductNotOffered, SymbolNotTraded, StalePrice),
            *(MarketClosed, MarketHalted, MarketCloseOnly),
            *(AmountTooSmall, AmountOutOfRange, ReferenceNotExitable, UnknownAsset),
        )
    }
    filterset_class = QuoteFilters
    serializer_class = QuoteOut

    @extend_schema(request=QuoteIn, responses={201: QuoteOut}, examples=examples.QUOTES)
    def create(self, request: Request) -> Response:
        """Ask for a price, or for what a transfer comes to. It holds for half a minute, reserves nothing and is used
        once."""
        product = self.body(ProductIn)["product_type"]
        if product in NOT_OFFERED:
            raise ProductNotOffered
        self._leave_fees_to_the_firm()
        makers: dict[str, Callable[[datetime], Quote]] = {
            Quote.Product.TRADING: self._trading,
            Quote.Product.TRADING_EXIT: self._exit,
            Quote.Product.FUNDING: partial(self._moving, FundingQuoteIn),
            Quote.Product.BOOK_TRANSFER: partial(self._moving, BookQuoteIn),
        }
        return self.shown(makers[product](clock.firm_now()), status=201)

    def _trading(self, at: datetime) -> Quote:
        body = self.body(TradingQuoteIn)
        return services.quote_trading(
            fees=body.get("fees"),
            external_id=body.get("external_id", ""),
            customer_id=self.customer_id(body.get("customer_guid")),
            symbol=body["symbol"],
            side=body["side"],
            receive=body.get("receive_amount"),
            deliver=body.get("deliver_amount"),
            prices=prices.latest(),
            at=at,
        )

    def _exit(self, at: datetime) -> Quote:
        body = self.body(ExitQuoteIn)
        return quote_exit(
            fees=body.get("fees"),
            external_id=body.get("external_id", ""),
            customer_id=self.customer_id(body.get("customer_guid")),
            reference_trade_id=body["reference_trade_guid"],
            prices=prices.latest(),
            at=at,
        )

    def _moving(self, form: type[OneAmount], at: datetime) -> Quote:
        body = self.body(form)
        return services.quote_funding(
            product=body["product_type"],
            fees=body.get("fees"),
            external_id=body.get("external_id", ""),
            customer_id=self.customer_id(body.get("customer_guid")),
            asset=body["asset"],
            side=body.get("side", Quote.Side.DEPOSIT.value),  # of a book transfer, which need not say it
            receive=body.get("receive_amount"),
            deliver=body.get("deliver_amount"),
            at=at,
        )

    def _leave_fees_to_the_firm(self) -> None:
        """Whoever acts for one customer pays the instrument's own fee."""
        asked: Any = self.request.data
        if self.caller.customer_id is not None and asked.get("fees") is not None:
            raise Forbidden("The fees of a quote are the firm's to set.")
