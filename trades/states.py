"""The states of everything that moves, and the tables of legal moves. Nothing else.

The database refuses every other move by triggers, so nobody can write a move that is illegal here. The migrations
`trades/migrations/0002_guards.py` and `trades/migrations/0005_settlement_guards.py` spell the moves out, and
`tests/trades/test_states.py` holds them equal to these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices


class OrderStatus(TextChoices):
    PENDING = "PENDING"
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"


class OrderType(TextChoices):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


LIVE: Final = (OrderStatus.PENDING, OrderStatus.OPEN)  # what may still change


class TradeState(TextChoices):
    STORING = "storing"
    SETTLING = "settling"
    COMPLETED = "completed"
    FAILED = "failed"


class BatchState(TextChoices):
    CUT = "cut"
    CONFIRMED = "confirmed"
    SETTLING = "settling"
    PARTIALLY_SETTLED = "partially_settled"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class LegStatus(TextChoices):
    PENDING = "pending"
    SETTLED = "settled"
    FAILED = "failed"


class CorrectionState(TextChoices):
    PROPOSED = "proposed"
    APPLIED = "applied"
    REJECTED = "rejected"


class FailureCode(TextChoices):
    EXPIRED_QUOTE = "expired_quote"
    NON_SUFFICIENT_FUNDS = "non_sufficient_funds"
    INVALID_REFERENCE_TRADE = "invalid_reference_trade"
    MARKET_VOLATILITY = "market_volatility"
    LIMIT_EXCEEDED = "limit_exceeded"
    UNSUPPORTED = "unsupported"


class CloseReason(TextChoices):
    MANUAL = "manual"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    STOP_OUT = "stop_out"
    CLOSE_ALL = "close_all"


class CancelReason(TextChoices):
    """Why a pending order never opened."""

    MANUAL = "manual"
    STOP_OUT = "stop_out"
    NO_MARGIN = "no_margin", "not enough free margin when its price came"
    FORBIDDEN = "forbidden", "the customer or the instrument was not open to new orders when its price came"
    GAP = "gap", "a gap took its price beyond its own take profit"


Moves = Mapping[str, frozenset[str]]

ORDER_MOVES: Final[Moves] = {
    OrderStatus.PENDING: frozenset({OrderStatus.OPEN, OrderStatus.CANCELLED}),
    OrderStatus.OPEN: frozenset({OrderStatus.CLOSED}),
    OrderStatus.CLOSED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
}

TRADE_MOVES: Final[Moves] = {
    TradeState.STORING: frozenset({TradeState.SETTLING, TradeState.FAILED}),
    TradeState.SETTLING: frozenset({TradeState.COMPLETED}),
    TradeState.COMPLETED: frozenset(),
    TradeState.FAILED: frozenset(),
}

BATCH_MOVES: Final[Moves] = {
    BatchState.CUT: frozenset({BatchState.CONFIRMED, BatchState.CANCELLED}),
    BatchState.CONFIRMED: frozenset({BatchState.SETTLING, BatchState.CANCELLED}),
    BatchState.SETTLING: frozenset({BatchState.PARTIALLY_SETTLED, BatchState.COMPLETED}),
    BatchState.PARTIALLY_SETTLED: frozenset({BatchState.SETTLING, BatchState.COMPLETED}),
    BatchState.COMPLETED: frozenset(),
    BatchState.CANCELLED: frozenset(),
}

LEG_MOVES: Final[Moves] = {
    LegStatus.PENDING: frozenset({LegStatus.SETTLED, LegStatus.FAILED}),
    LegStatus.FAILED: frozenset({LegStatus.PENDING, LegStatus.SETTLED}),
    LegStatus.SETTLED: frozenset({LegStatus.PENDING}),  # a reversal opens it again, by a correction only
}

CORRECTION_MOVES: Final[Moves] = {
    CorrectionState.PROPOSED: frozenset({CorrectionState.APPLIED, CorrectionState.REJECTED}),
    CorrectionState.APPLIED: frozenset(),
    CorrectionState.REJECTED: frozenset(),
}
