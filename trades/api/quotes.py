"""/api/quotes. The view is in this app, because an exit quote is made of a trade, and quotes don't know trades."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import clock
from accounts.api import bodies
from accounts.api.lists import Filter, bank, guid_in_path, guids, one_of, page_of, strings, timestamp
from accounts.errors import CustomerNotFound, Forbidden, Malformed
from accounts.identity import Caller
from accounts.selectors import customer_seen_by
from quotes import prices, selectors, services
from quotes.errors import ProductNotOffered, QuoteNotFound
from quotes.models import Quote
from quotes.quoting import FeeTerms
from trades.api.amounts import fee_terms, one_amount
from trades.spot.exit_quotes import quote_exit

OFFERED = (Quote.Product.TRADING.value, Quote.Product.TRADING_EXIT.value)
NOT_OFFERED = ("funding", "crypto_transfer", "inter_account", "lightning_transfer", "book_transfer")
FILTERS: dict[str, Filter] = {
    "guid": guids("pk"),
    "bank_guid": bank(settings.BANK_GUID),
    "customer_guid": guids("customer_id"),
    "reference_trade_guid": guids("reference_trade_id"),
    "product_type": one_of("product_type", (*OFFERED, *NOT_OFFERED)),
    "symbol": strings("instrument_id__in"),
    "side": one_of("side", (*Quote.Side.values, "deposit", "withdrawal")),
    "created_at_gte": timestamp("issued_at__gte"),
    "created_at_lt": timestamp("issued_at__lt"),
    "updated_at_gte": timestamp("issued_at__gte"),
    "updated_at_lt": timestamp("issued_at__lt"),
}


class Quotes(APIView):
    scopes = {"GET": "quotes:read", "POST": "quotes:execute"}

    def get(self, request: Request) -> Response:
        return Response(page_of(selectors.quotes_of(caller(request)), request.query_params, FILTERS, quote_out))

    def post(self, request: Request) -> Response:
        body = bodies.object_in(request.data)
        product = bodies.choice(body, "product_type", (*OFFERED, *NOT_OFFERED), default=Quote.Product.TRADING.value)
        if product in NOT_OFFERED:
            raise ProductNotOffered
        make = _trading if product == Quote.Product.TRADING else _exit
        return Response(quote_out(make(body, caller(request), clock.now())), status=201)


class OneQuote(APIView):
    scopes = {"GET": "quotes:read"}

    def get(self, request: Request, guid: str) -> Response:
        quote = selectors.quote_of(caller(request), guid_in_path(guid))
        if quote is None:
            raise QuoteNotFound
        return Response(quote_out(quote))


def caller(request: Request) -> Caller:
    """Who calls; every view here has asked for a scope, so there is one."""
    assert isinstance(request.user, Caller)
    return request.user


def quote_out(quote: Quote) -> dict[str, Any]:
    """A quote as the contract shows it; keys that don't apply are left out, never null."""
    shown = {
        "created_at": quote.issued_at,
        "updated_at": quote.issued_at,
        "guid": quote.pk,
        "product_type": quote.product_type,
        "customer_guid": quote.customer_id,
        "symbol": quote.instrument_id,
        "side": quote.side,
        "receive_amount": Decimal(quote.receive_amount),
        "deliver_amount": Decimal(quote.deliver_amount),
        "fee": Decimal(quote.fee),
        "issued_at": quote.issued_at,
        "expires_at": quote.expires_at,
        "asset": quote.instrument.base_asset_id,
    }
    if quote.reference_trade_id is not None:
        shown["reference_trade_guid"] = quote.reference_trade_id
    if (trade := getattr(quote, "trade", None)) is not None:
        shown["trade_guid"] = trade.pk
    return shown


def _trading(body: Mapping[str, Any], by: Caller, at: datetime) -> Quote:
    fees = _fees(body, by)
    symbol = bodies.text(body, "symbol", longest=24, required=True)
    side = bodies.choice(body, "side", Quote.Side.values)
    receive, deliver = one_amount(body)
    return services.quote_trading(
        customer_id=_customer(body, by),
        symbol=symbol,
        side=side,
        receive=receive,
        deliver=deliver,
        fees=fees,
        prices=prices.latest(),
        at=at,
    )


def _exit(body: Mapping[str, Any], by: Caller, at: datetime) -> Quote:
    fees = _fees(body, by)
    reference = bodies.required_guid(body, "reference_trade_guid")
    return quote_exit(
        customer_id=_customer(body, by), reference_trade_id=reference, fees=fees, prices=prices.latest(), at=at
    )


def _fees(body: Mapping[str, Any], by: Caller) -> FeeTerms | None:
    """The fee is the firm's to set: whoever acts for one customer pays the instrument's own."""
    if by.customer_id is not None and body.get("fees") is not None:
        raise Forbidden("The fees of a quote are the firm's to set.")
    return fee_terms(body)


def _customer(body: Mapping[str, Any], by: Caller) -> UUID:
    """Whom the quote is for: the caller's own customer, or the one that a firm's client names."""
    named = bodies.guid(body, "customer_guid")
    if by.customer_id is not None:
        if named not in (None, by.customer_id):
            raise CustomerNotFound
        return by.customer_id
    if named is None:
        raise Malformed("customer_guid is required.")
    return customer_seen_by(by, named).pk
