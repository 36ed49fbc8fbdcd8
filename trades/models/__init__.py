from trades.models.batch import (
    BatchEvent,
    LeftOut,
    LowWater,
    SettlementBatch,
    SettlementLeg,
    SettlementWindow,
    TradeFlag,
)
from trades.models.correction import Correction
from trades.models.engine import EngineLease, IdempotentAnswer, MarginAccount, PriceExtreme, SwapRun
from trades.models.order import Deal, Order, OrderEvent
from trades.models.position import Position
from trades.models.trade import Trade, TradeEvent

__all__ = [
    "BatchEvent",
    "Correction",
    "Deal",
    "EngineLease",
    "IdempotentAnswer",
    "LeftOut",
    "LowWater",
    "MarginAccount",
    "Order",
    "OrderEvent",
    "Position",
    "PriceExtreme",
    "SettlementBatch",
    "SettlementLeg",
    "SettlementWindow",
    "SwapRun",
    "Trade",
    "TradeEvent",
    "TradeFlag",
]
