"""Refusals of margin orders. The engine's own are told twice, as `error` and `message` (the seed page)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from accounts.errors import (
    ERROR_CODE,
    Conflict,
    InvalidToken,
    KeyUsedForAnother,
    Malformed,
    NotFound,
    Refusal,
    StillRunning,
    Unavailable,
)
from quotes import errors
from quotes.hours import MarketState


class EngineRefusal(Refusal):
    """Declined by the engine, at the moment of executing."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"
    twice: ClassVar[bool] = True


class OrderNotFoundOrClosed(EngineRefusal):
    """Unknown, somebody else's, pending, cancelled or closed: the same bytes for all."""

    code = "order_not_found_or_closed"
    sentence = "Order not found or already closed"


class OrderNotFound(NotFound):
    """Where an order is named in the path. Unknown or somebody else's: the same bytes, whoever finds it out."""

    code = "order_not_found"
    sentence = "Order not found"


class PriceNotFound(EngineRefusal):
    code = "price_not_found"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"Price data not found for symbol: {symbol}")


class MarketClosed(errors.MarketClosed, EngineRefusal):
    """Of the engine."""


class MarketHalted(errors.MarketHalted, EngineRefusal):
    """Of the engine."""


class MarketCloseOnly(errors.MarketCloseOnly, EngineRefusal):
    """Of the engine."""


def market_rests(symbol: str, state: MarketState) -> Refusal:
    """Why something can't be done in this market now, as the engine says it."""
    return errors.market_rests(symbol, state, (MarketClosed, MarketHalted, MarketCloseOnly))


class InsufficientBalance(EngineRefusal):
    code = "insufficient_balance"

    def __init__(self, required: str, available: str) -> None:
        super().__init__(f"Insufficient balance. Required: ${required}, Available: ${available}")
        self.required, self.available = required, available


class AgainstTheRules(EngineRefusal):
    """A value that the instrument or the execution price forbids; the sentence names both."""


class MayNotOpen(AgainstTheRules):
    """The customer isn't verified, or the user who logs in is switched off."""

    code = "customer_not_verified"
    sentence = "This account may not open orders"


class SlippageExceeded(AgainstTheRules):
    code = "slippage"

    def __init__(self, allowed: str, expected: str, current: str) -> None:
        super().__init__(f"Price moved beyond the slippage of {allowed}%. Expected: {expected}, Current: {current}")


class LeverageTooHigh(AgainstTheRules):
    """More than the instrument, the customer's class or their exposure allows; the sentence names the cap."""

    code = "leverage_too_high"


class StoppedOutAtOnce(AgainstTheRules):
    """What the order would be worth at the side at which it would be closed leaves the account below the stop-out."""

    code = "stopped_out_at_once"

    def __init__(self, level: str, closed_at: str, percent: int) -> None:
        super().__init__(
            f"The margin level would be {level}% at {closed_at}, where this order would be closed;"
            f" positions are stopped out at {percent}%"
        )


class LimitReached(AgainstTheRules):
    """More would be open than the firm allows; `kind` is that of the limit (`RiskLimit.Kind`)."""

    code = "risk_limit"

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"Beyond a limit: {why}")
        self.kind = str(kind)


class ClientOrderIdTaken(Conflict):
    """The first order's id goes with it, so a client that lost its answer finds its order."""

    code = "client_order_id_used"
    sentence = "clientOrderId was used before"

    def __init__(self, order_code: str) -> None:
        super().__init__()
        self.extra = {"orderId": order_code}


class NotOffered(Malformed):
    """Something that this system, or this call, doesn't do: refused rather than dropped."""

    code = "not_offered"


class UnknownField(Malformed):
    code = "unknown_field"

    def __init__(self, name: str, meant: str) -> None:
        super().__init__(f"Unknown field {name}; did you mean {meant}?")


class MissingParameters(Malformed):
    code = "missing_parameters"

    def __init__(self, names: str) -> None:
        super().__init__(f"Missing required parameters: {names}")


class TooManyWaiting(Unavailable):
    sentence = "Too many requests are waiting for the engine; try again"


class UnsupportedContent(Refusal):
    status, code = 415, "unsupported_media_type"
    sentence = "Content-Type must be application/json"


# --- what a request is told, where the engine has not answered it ------------------------------------


class CreationTimedOut(Refusal):
    """No answer in time; the command is not executed any more, but may have been."""

    status, code, twice = 408, "timeout", True
    sentence = "Request timeout: Order creation took longer than 3 seconds"
    extra = {"timeout": True}


class OutcomeUnknown(Refusal):
    """No answer in time, and either it was done or it never will be: a sentence says where to read which."""

    status, code = 500, "timeout"

    def __init__(self, failed: str, either_way: str, named: Mapping[str, str]) -> None:
        super().__init__(failed)
        message = f"No answer within 5 seconds: outcome unknown. {either_way} to see which."
        self.extra = {"message": message, "timeout": True, **named}


class OrderIdMismatch(Refusal):
    """The engine's answer speaks of another order: it isn't passed on."""

    status, code = 400, "order_id_mismatch"
    sentence = "Order ID mismatch"


# --- the engine's answers ----------------------------------------------------------------------------

# How the engine's answers begin, and what they are. An answer is kept and given again as its bytes alone.
BEGINNINGS = {
    OrderNotFoundOrClosed.sentence: OrderNotFoundOrClosed.code,
    OrderNotFound.sentence: OrderNotFound.code,
    "Price data not found": PriceNotFound.code,
    "Market closed": MarketClosed.code,
    "Market halted": MarketHalted.code,
    "Market takes closing": MarketCloseOnly.code,
    "Insufficient balance": InsufficientBalance.code,
    "Price moved beyond the slippage": SlippageExceeded.code,
    "Leverage must be at most": LeverageTooHigh.code,
    "The margin level would be": StoppedOutAtOnce.code,
    "Beyond a limit": LimitReached.code,
    MayNotOpen.sentence: MayNotOpen.code,
    ClientOrderIdTaken.sentence: ClientOrderIdTaken.code,
    KeyUsedForAnother.sentence: KeyUsedForAnother.code,
    StillRunning.sentence: StillRunning.code,
}
BY_STATUS = {400: AgainstTheRules.code, 401: InvalidToken.code, 503: Unavailable.code}


def code_of(status: int, body: str) -> str:
    """The stable word for an error that a body of the orders' dialect tells in a sentence."""
    sentence = body.removeprefix('{"error":"')
    for beginning, code in BEGINNINGS.items():
        if sentence.startswith(beginning):
            return code
    return BY_STATUS.get(status, "internal_server_error")


def headers_of(status: int, body: str) -> dict[str, str]:
    """What goes with an answer of the engine's, as with every other of the API."""
    if status < 400:
        return {}
    challenge = {"WWW-Authenticate": "Bearer"} if status == InvalidToken.status else {}
    return {ERROR_CODE: code_of(status, body), **challenge}
