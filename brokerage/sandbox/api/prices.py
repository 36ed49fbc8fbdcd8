"""/api/sandbox/prices: hold a symbol at a price, so that a stop fires or a margin call comes; and release it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Malformed
from accounts.identity import SANDBOX
from accounts.money import at_scale, parse_decimal
from accounts.rest import fields
from accounts.rest.queries import Query
from accounts.rest.viewsets import FIRM, Resource
from brokerage.sandbox.errors import NotHeld, SymbolNotFound
from quotes import symbols
from quotes.errors import HoldTooWide, UnknownSymbol
from quotes.models import Instrument, PriceHold
from quotes.selectors import holds_that_stand
from quotes.services import LONGEST_REASON, hold_price, may_be_held, release_price
from trades.api.order_bodies import Wanted

LONGEST_SYMBOL: Final = 32


class Price(Wanted):
    def __init__(self, **options: Any) -> None:
        super().__init__(may_be_blank=False, required=True, **options)

    def to_internal_value(self, data: Any) -> Decimal:
        value = parse_decimal(data)
        if value is None or value <= 0:
            self.refuse("must be a number greater than 0")
        return at_scale(value)


class HoldIn(fields.Body):
    symbol = fields.Text(longest=LONGEST_SYMBOL, required=True, help_text="BTC-USD; btc, BTC, BTCUSD, BTCUSDT, too.")
    bid = Price(help_text="Of one whole base asset, in the counter asset: what selling brings.")
    ask = Price(help_text="What buying costs.")
    reason = fields.Text(longest=LONGEST_REASON, default="", help_text="It stands in the history of holds.")


class HoldOut(fields.Shown):
    """Since `at`, by whom and why. `held`: false once the feed's own price is followed again."""

    symbol = fields.Text(source="instrument_id")
    held = fields.YesNo(source="is_held")
    bid = fields.Number(allow_null=True)
    ask = fields.Number(allow_null=True)
    at = fields.Time()
    by_user_guid = fields.Guid(source="by_id", allow_null=True)
    by_client_guid = fields.Guid(source="by_client_id", allow_null=True)
    reason = fields.Text()


class SandboxPriceViewSet(Resource):
    """What `manage.py set_price` does, by the same rows."""

    owner = FIRM
    not_found = SymbolNotFound
    scopes = dict.fromkeys(["list", "create", "destroy"], SANDBOX)
    refusals = {"create": (UnknownSymbol, HoldTooWide), "destroy": (NotHeld,)}
    pagination_class = None
    lookup_url_kwarg = "symbol"

    @extend_schema(responses=HoldOut(many=True), filters=False)
    def list(self, request: Request) -> Response:
        """The symbols whose price is held."""
        Query.read(request.query_params)
        return Response([_shown(hold) for hold in holds_that_stand()])

    @extend_schema(request=HoldIn, responses={201: HoldOut})
    def create(self, request: Request) -> Response:
        """Hold a symbol at a price from now on, whatever the feed says; again, to move it."""
        body = self.body(HoldIn)
        instrument = symbols.instrument(body["symbol"])
        bid, ask = _fitting(body["bid"], instrument), _fitting(body["ask"], instrument)
        if bid > ask:
            raise Malformed("The bid must not be above the ask.")
        held = hold_price(instrument, bid, ask, by=self.caller.actor, reason=body["reason"])
        return Response(_shown(held.hold), status=201)

    @extend_schema(responses={200: HoldOut})
    def destroy(self, request: Request, symbol: str) -> Response:
        """Let the feed's own price through again."""
        try:
            instrument = symbols.instrument(symbol)
        except UnknownSymbol:
            raise SymbolNotFound from None
        if not may_be_held(instrument):
            raise NotHeld
        return Response(_shown(release_price(instrument, by=self.caller.actor).hold))


def _fitting(price: Decimal, instrument: Instrument) -> Decimal:
    """Raises Malformed for a price that is finer than the instrument's."""
    if -int(price.as_tuple().exponent) > instrument.price_decimals:
        raise Malformed(f"Prices of {instrument.symbol} have at most {instrument.price_decimals} decimals.")
    return price


def _shown(hold: PriceHold) -> dict[str, Any]:
    shown: dict[str, Any] = HoldOut(hold).data
    return shown
