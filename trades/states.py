"""The states of everything that moves, and the tables of legal moves. Nothing else.

The database refuses every other move by triggers, so nobody can write a move that is illegal here. The migrations
`trades/migrations/0002_guards.py`, `trades/migrations/0005_settlement_guards.py`, of legs
`trades/migrations/0078_parts_of_legs.py`, of corrections `trades/migrations/0087_batches_are_reversed_in_slices.py` and
of payments `trades/migrations/0094_payments.py` and `trades/migrations/0096_book_transfers.py` spell the moves out, and
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


class PaymentState(TextChoices):
    STORING = "storing"
    PENDING = "pending"
    SETTLING = "settling"
    COMPLETED = "completed"
    FAILED = "failed"


PAYMENTS_UNDER_WAY: Final = (PaymentState.STORING, PaymentState.PENDING, PaymentState.SETTLING)


class BatchState(TextChoices):
    CUT = "cut"
    CONFIRMED = "confirmed"
    SETTLING = "settling"
    PARTIALLY_SETTLED = "partially_settled"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


# Its trades complete, its legs are reported.
BATCHES_UNDER_WAY: Final = (BatchState.SETTLING, BatchState.PARTIALLY_SETTLED)


class LegStatus(TextChoices):
    PENDING = "pending"
    PARTIALLY_SETTLED = "partially_settled"
    SETTLED = "settled"
    FAILED = "failed"


class CorrectionState(TextChoices):
    PROPOSED = "proposed"
    APPLYING = "applying", "being applied"
    APPLIED = "applied"
    REJECTED = "rejected"


class StandingState(TextChoices):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"


class InstructionState(TextChoices):
    MADE = "made"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"


CARRIED_OUT: Final = (CorrectionState.APPLYING, CorrectionState.APPLIED)


class FailureCode(TextChoices):
    EXPIRED_QUOTE = "expired_quote"
    NON_SUFFICIENT_FUNDS = "non_sufficient_funds"
    INVALID_REFERENCE_TRADE = "invalid_reference_trade"
    MARKET_VOLATILITY = "market_volatility"
    LIMIT_EXCEEDED = "limit_exceeded"
    UNSUPPORTED = "unsupported"


class PaymentFailure(TextChoices):
    """Named as the published clients name them, where they have a name."""

    NON_SUFFICIENT_FUNDS = "non_sufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    EXPIRED = "expired"
    REFUSED = "refused"
    REVERSED = "reversed"


class CloseReason(TextChoices):
    MANUAL = "manual"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    STOP_OUT = "stop_out"
    CLOSE_ALL = "close_all"
    OPERATOR = "operator"


class CancelReason(TextChoices):
    """Why a pending order never opened."""

    MANUAL = "manual"
    STOP_OUT = "stop_out"
    NO_MARGIN = "no_margin", "not enough free margin when its price came"
    FORBIDDEN = "forbidden", "the customer or the instrument was not open to new orders when its price came"
    GAP = "gap", "a gap took its price beyond its own take profit"
    LEVERAGE = "leverage", "more leverage than the customer was allowed by then"
    LIMIT = "limit", "a risk limit of the firm was reached when its price came"
    SPREAD = "spread", "its stop loss or a stop-out would have closed it at once, by the spread alone"
    OPERATOR = "operator"


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

PAYMENT_MOVES: Final[Moves] = {
    PaymentState.STORING: frozenset({PaymentState.PENDING, PaymentState.FAILED}),
    PaymentState.PENDING: frozenset({PaymentState.SETTLING, PaymentState.FAILED}),
    PaymentState.SETTLING: frozenset({PaymentState.COMPLETED, PaymentState.FAILED}),
    PaymentState.COMPLETED: frozenset(),
    PaymentState.FAILED: frozenset(),
}

# Money between two customers passes through nobody's hands: it has moved at once, or not at all.
BOOK_MOVES: Final[Moves] = {
    PaymentState.STORING: frozenset({PaymentState.COMPLETED, PaymentState.FAILED}),
    PaymentState.PENDING: frozenset(),
    PaymentState.SETTLING: frozenset(),
    PaymentState.COMPLETED: frozenset(),
    PaymentState.FAILED: frozenset(),
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
    LegStatus.PENDING: frozenset({LegStatus.PARTIALLY_SETTLED, LegStatus.SETTLED, LegStatus.FAILED}),
    LegStatus.FAILED: frozenset({LegStatus.PENDING, LegStatus.PARTIALLY_SETTLED, LegStatus.SETTLED}),
    # A reversal opens it again, by a correction only.
    LegStatus.PARTIALLY_SETTLED: frozenset({LegStatus.SETTLED, LegStatus.FAILED, LegStatus.PENDING}),
    LegStatus.SETTLED: frozenset({LegStatus.PENDING}),
}

CORRECTION_MOVES: Final[Moves] = {
    CorrectionState.PROPOSED: frozenset({CorrectionState.APPLYING, CorrectionState.APPLIED, CorrectionState.REJECTED}),
    CorrectionState.APPLYING: frozenset({CorrectionState.APPLIED}),  # of a batch's reversal, once all of it is done
    CorrectionState.APPLIED: frozenset(),
    CorrectionState.REJECTED: frozenset(),
}

STANDING_MOVES: Final[Moves] = {
    StandingState.PROPOSED: frozenset({StandingState.APPROVED, StandingState.REFUSED}),
    StandingState.APPROVED: frozenset(),
    StandingState.REFUSED: frozenset(),
}

INSTRUCTION_MOVES: Final[Moves] = {
    InstructionState.MADE: frozenset(
        {
            InstructionState.SENT,
            InstructionState.CONFIRMED,  # what is incoming, or nets to nothing, is sent to nobody
            InstructionState.FAILED,
            InstructionState.CANCELLED,
        }
    ),
    InstructionState.SENT: frozenset({InstructionState.CONFIRMED, InstructionState.FAILED}),
    InstructionState.CONFIRMED: frozenset(),
    InstructionState.FAILED: frozenset(),
    InstructionState.CANCELLED: frozenset(),
}
