from trades.models.batch import SettlementBatch, SettlementLeg, SettlementWindow
from trades.models.engine import EngineLease, IdempotentAnswer
from trades.models.order import Deal, Order
from trades.models.position import Position
from trades.models.trade import Trade, TradeEvent

__all__ = [
    "Deal",
    "EngineLease",
    "IdempotentAnswer",
    "Order",
    "Position",
    "SettlementBatch",
    "SettlementLeg",
    "SettlementWindow",
    "Trade",
    "TradeEvent",
]
