"""What the orders' API shows and takes, for its document. The engine writes the bytes (`trades.margin.presentation`),
and `trades.gateway.requests` reads the bodies, in the contract's order and words; tests hold both to these."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import PolymorphicProxySerializer

from accounts.money import LONGEST_NUMBER, MAX_WHOLE_DIGITS
from accounts.rest import fields
from accounts.rest.fields import Schema
from trades.margin.terms import LONGEST_NAME, MOST_LEVERAGE
from trades.states import CancelReason, CloseReason, OrderStatus, OrderType

SIDES: Final = ("buy", "sell")
NUMBER: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"


class Wanted(fields.Field):
    """An exact decimal as a number, or as text, for JavaScript's numbers lose digits; null and "" are absent."""

    numbers: Schema = {"exclusiveMinimum": 0, "exclusiveMaximum": 10**MAX_WHOLE_DIGITS}

    def __init__(self, *, may_be_blank: bool = True, **options: Any) -> None:
        super().__init__(**options)
        may_be_blank = may_be_blank and not self.required
        types = ["number", "string", "null"] if may_be_blank else ["number", "string"]
        text = {"maxLength": LONGEST_NUMBER, "pattern": f"^({NUMBER}){'?' if may_be_blank else ''}$"}
        self.schema = {"type": types} | self.numbers | text


class WantedWhole(Wanted):
    numbers: Schema = {"minimum": 1, "maximum": MOST_LEVERAGE, "multipleOf": 1}


class WantedOrNone(Wanted):
    """Zero is one, too."""

    numbers: Schema = {"minimum": 0, "exclusiveMaximum": 10**MAX_WHOLE_DIGITS}


class Word(fields.Field):
    """One of some words, in any case; where it may be absent, null and "" are."""

    def __init__(self, *words: str, **options: Any) -> None:
        super().__init__(**options)
        in_any_case = "|".join("".join(f"[{c}{c.upper()}]" for c in word) for word in words)
        self.schema = {"type": "string", "pattern": f"^({in_any_case}){'' if self.required else '?'}$"}


class OrderId(fields.Field):
    schema: Schema = {"type": "string", "pattern": "^ord_[0-9a-f]{16}$"}


class CreateOrderIn(fields.Body):
    symbol = fields.Text(longest=LONGEST_NAME, required=True, help_text="BTC-USD; btc, BTC, BTCUSD, BTCUSDT, too.")
    type = Word(*SIDES, required=True, help_text="In any case.")
    quantity = Wanted(required=True, help_text="Above zero, within the instrument's decimals and bounds.")
    leverage = WantedWhole(required=True, help_text="A whole number up to the instrument's cap.")
    takeProfit = Wanted()  # noqa: N815 - the contract's names, here and below
    stopLoss = Wanted()  # noqa: N815
    trailingStop = Wanted(help_text="A price distance.")  # noqa: N815
    slippage = WantedOrNone(help_text="Percent; together with expectedPrice.")
    expectedPrice = Wanted()  # noqa: N815
    orderType = Word(*OrderType.values, help_text="In any case; market where it is absent.")  # noqa: N815
    price = Wanted(help_text="Of limit and stop orders.")
    clientOrderId = fields.Text(longest=LONGEST_NAME, help_text="Unique for the customer.")  # noqa: N815


class CloseOrderIn(fields.Body):
    orderId = fields.Verbatim(required=True)  # noqa: N815
    quantity = Wanted(help_text="A part; absent: all of it.")


class ChangeOrderIn(fields.Body):
    """null or "" takes a stop away; what is left out stays as it is."""

    takeProfit = Wanted()  # noqa: N815
    stopLoss = Wanted()  # noqa: N815
    trailingStop = Wanted()  # noqa: N815
    price = Wanted(may_be_blank=False, help_text="Of a pending order; it always has one.")
    rules = {"anyOf": [{"required": [name]} for name in ("takeProfit", "stopLoss", "trailingStop", "price")]}


class CloseAllIn(fields.Body):
    symbol = fields.Text(longest=LONGEST_NAME, help_text="Absent: every open order.")


class OrderOut(fields.Shown):
    """`profit` is floating, and null while there is no fresh price."""

    optional = frozenset({"currentPriceHeld", "closeTime", "closeReason"})

    orderId = OrderId()  # noqa: N815
    clientOrderId = fields.Text(allow_null=True)  # noqa: N815
    symbol = fields.Text()
    type = fields.Choice(SIDES)
    orderType = fields.Choice(OrderType.values)  # noqa: N815
    quantity = fields.Number()
    leverage = fields.Whole(least=1, most=MOST_LEVERAGE)
    margin = fields.Number(allow_null=True)
    price = fields.Number(allow_null=True)
    openPrice = fields.Number(allow_null=True)  # noqa: N815
    currentPrice = fields.Number(allow_null=True)  # noqa: N815
    profit = fields.Number(allow_null=True)
    takeProfit = fields.Number(allow_null=True)  # noqa: N815
    stopLoss = fields.Number(allow_null=True)  # noqa: N815
    trailingStop = fields.Number(allow_null=True)  # noqa: N815
    openTime = fields.Time(allow_null=True)  # noqa: N815
    swap = fields.Number(allow_null=True)
    status = fields.Choice(OrderStatus.values)
    currentPriceHeld = fields.YesNo(help_text="An operator holds the current price.")  # noqa: N815
    closeTime = fields.Time(help_text="When it was cancelled.")  # noqa: N815
    closeReason = fields.Choice(CancelReason.values, help_text="Why it was cancelled.")  # noqa: N815


class JustClosedOut(fields.Shown):
    orderId = OrderId()  # noqa: N815
    status = fields.Choice([OrderStatus.CLOSED.value])
    closePrice = fields.Number()  # noqa: N815
    profit = fields.Number()
    userId = fields.Guid(allow_null=True)  # noqa: N815
    symbol = fields.Text()
    type = fields.Choice(SIDES)
    quantity = fields.Number()
    leverage = fields.Whole(least=1, most=MOST_LEVERAGE)
    openPrice = fields.Number()  # noqa: N815
    openTime = fields.Time()  # noqa: N815
    closeTime = fields.Time()  # noqa: N815
    profitLoss = fields.Number()  # noqa: N815
    closeReason = fields.Choice(CloseReason.values)  # noqa: N815
    swap = fields.Number()
    fee = fields.Number()
    parentOrderId = OrderId(allow_null=True)  # noqa: N815


class ClosedOrderOut(JustClosedOut):
    """Of the history. A closed part has an orderId of its own, and its order's in parentOrderId."""

    clientOrderId = fields.Text(allow_null=True)  # noqa: N815
    takeProfit = fields.Number(allow_null=True)  # noqa: N815
    stopLoss = fields.Number(allow_null=True)  # noqa: N815


class CloseOut(fields.Shown):
    message = fields.Text()
    order = JustClosedOut()


class CreateOut(fields.Shown):
    """`order` is there for market orders."""

    optional = frozenset({"order"})

    message = fields.Text()
    orderId = OrderId()  # noqa: N815
    order = OrderOut()


class ChangeOut(fields.Shown):
    message = fields.Text()
    order = OrderOut()


class ResultOut(fields.Shown):
    """Of one order of a close-all: closed, or why not."""

    optional = frozenset({"closePrice", "profit", "error"})

    orderId = OrderId()  # noqa: N815
    status = fields.Choice(OrderStatus.values)
    closePrice = fields.Number()  # noqa: N815
    profit = fields.Number()
    error = fields.Text()


class CloseAllOut(fields.Shown):
    message = fields.Text()
    results = ResultOut(many=True)


class SourceOut(fields.Shown):
    """A source of the price, what it said, and what the execution cost beside it."""

    vars()["source"] = fields.Text()  # a serializer's field has an attribute of this name
    bid = fields.Number()
    ask = fields.Number()
    time = fields.Time()
    ageMs = fields.Whole(least=-(10**15), most=10**15, help_text="At the decision.")  # noqa: N815
    slippage = fields.Number()
    slippageBps = fields.Number(allow_null=True)  # noqa: N815


class MinuteOut(fields.Shown):
    time = fields.Time()
    open = fields.Number()
    high = fields.Number()
    low = fields.Number()
    close = fields.Number()


class RatePriceOut(fields.Shown):
    """A price that the rate is made of; `inverse`: one is divided by it."""

    symbol = fields.Text()
    side = fields.Choice(["bid", "ask", "mid"])
    inverse = fields.YesNo()


class ConversionOut(fields.Shown):
    """What one unit of `currency`, in which the instrument is counted, was in the account's: multiplier / divisor.

    `rate` is that, rounded to 18 decimals; `time` that of its oldest price.
    """

    currency = fields.Text()
    accountCurrency = fields.Text()  # noqa: N815
    rate = fields.Number()
    multiplier = fields.Number()
    divisor = fields.Number()
    prices = RatePriceOut(many=True)
    time = fields.Time()


class DealOut(fields.Shown):
    """An execution. `slippage` is what it cost beside the middle, and of a source beside its ask or bid: per whole
    unit, below zero where it was better. `bid` and all below are null of a deal from before prices were kept."""

    kind = fields.Choice(["open", "close"])
    side = fields.Choice(SIDES, help_text="What was done: buying is at the ask.")
    time = fields.Time()
    price = fields.Number()
    quantity = fields.Number()
    reason = fields.Choice(CloseReason.values, allow_null=True, help_text="Why it was closed.")
    conversion = ConversionOut(
        allow_null=True, help_text="Of the margin (open) or the profit (close); null where nothing was converted."
    )
    bid = fields.Number(allow_null=True)
    ask = fields.Number(allow_null=True)
    spread = fields.Number(allow_null=True)
    mid = fields.Number(allow_null=True)
    slippage = fields.Number(allow_null=True)
    slippageBps = fields.Number(allow_null=True)  # noqa: N815
    priceTime = fields.Time(allow_null=True)  # noqa: N815
    priceAgeMs = fields.Whole(  # noqa: N815
        least=-(2**31), most=2**31 - 1, allow_null=True, help_text="At the decision."
    )
    priceHeld = fields.YesNo(allow_null=True, help_text="An operator held the price there.")  # noqa: N815
    sources = SourceOut(many=True, allow_null=True)
    candle = MinuteOut(allow_null=True, help_text="Of the price's minute, of the middle; null while there is none.")


class ExecutionOut(fields.Shown):
    orderId = OrderId()  # noqa: N815
    symbol = fields.Text()
    type = fields.Choice(SIDES)
    status = fields.Choice(OrderStatus.values)
    deals = DealOut(many=True)


AnyOrderOut: Final = PolymorphicProxySerializer("AnyOrder", [OrderOut, ClosedOrderOut], resource_type_field_name=None)
"""A live or cancelled order, or a closed one."""
