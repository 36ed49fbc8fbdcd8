from trades.models.batch import LeftOut, SettlementBatch, SettlementLeg, SettlementWindow, TradeFlag
from trades.models.correction import Correction
from trades.models.engine import EngineLease, IdempotentAnswer
from trades.models.order import Deal, Order
from trades.models.position import Position
from trades.models.trade import Trade, TradeEvent

__all__ = [
    "Correction",
    "Deal",
    "EngineLease",
    "IdempotentAnswer",
    "LeftOut",
    "Order",
    "Position",
    "SettlementBatch",
    "SettlementLeg",
    "SettlementWindow",
    "Trade",
    "TradeEvent",
    "TradeFlag",
]
