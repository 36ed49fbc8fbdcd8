"""Refusals of margin orders. The engine's own are told twice, as `error` and `message` (the seed page)."""

from __future__ import annotations

from typing import ClassVar

from accounts.errors import Conflict, Malformed, NotFound, Refusal, Unavailable


class EngineRefusal(Refusal):
    """Declined by the engine, at the moment of executing."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"
    twice: ClassVar[bool] = True


class OrderNotFoundOrClosed(EngineRefusal):
    """Unknown, somebody else's, pending, cancelled or closed: the same bytes for all."""

    sentence = "Order not found or already closed"


class OrderNotFound(NotFound):
    """Where an order is named in the path. Unknown or somebody else's: the same bytes, whoever finds it out."""

    sentence = "Order not found"


class PriceNotFound(EngineRefusal):
    def __init__(self, symbol: str) -> None:
        super().__init__(f"Price data not found for symbol: {symbol}")


class InsufficientBalance(EngineRefusal):
    def __init__(self, required: str, available: str) -> None:
        super().__init__(f"Insufficient balance. Required: ${required}, Available: ${available}")


class AgainstTheRules(EngineRefusal):
    """A value that the instrument or the execution price forbids; the sentence names both."""


class ClientOrderIdTaken(Conflict):
    """The first order's id goes with it, so a client that lost its answer finds its order."""

    sentence = "clientOrderId was used before"

    def __init__(self, order_code: str) -> None:
        super().__init__()
        self.extra = {"orderId": order_code}


class KeyUsedForAnother(Refusal):
    status, code = 422, "idempotency_key_reused"
    sentence = "Idempotency-Key was used with another request"


class StillRunning(Conflict):
    code = "in_flight"
    sentence = "A request with this Idempotency-Key is still running"


class MissingParameters(Malformed):
    def __init__(self, names: str) -> None:
        super().__init__(f"Missing required parameters: {names}")


class TooManyWaiting(Unavailable):
    sentence = "Too many requests are waiting for the engine; try again"


class NotATrader(Refusal):
    status, code = 403, "invalid_scope"
    sentence = "This token can't trade on margin"


class UnsupportedContent(Refusal):
    status, code = 415, "unsupported_media_type"
    sentence = "Content-Type must be application/json"
