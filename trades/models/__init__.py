from trades.models.batch import (
    BatchEvent,
    LeftOut,
    LowWater,
    SettlementBatch,
    SettlementWindow,
    TradeFlag,
)
from trades.models.client_class import ClientClassChange
from trades.models.control import ControlChange
from trades.models.correction import Correction
from trades.models.dealing import DealersAction
from trades.models.engine import EngineLease, IdempotentAnswer, MarginAccount, PriceExtreme, SwapRun
from trades.models.erasure import Erasure
from trades.models.instruction import (
    Counterparty,
    InstructionLeg,
    PaymentFile,
    SettlementInstruction,
    StandingInstruction,
    StatementEntry,
    StatementFile,
    StatementRelease,
)
from trades.models.leg import LegReference, LegReport, SettlementLeg
from trades.models.order import Deal, Order, OrderEvent
from trades.models.payment import Payment, PaymentEvent
from trades.models.position import Position
from trades.models.risk import LimitVersion, OpenExposure, RiskLimit
from trades.models.trade import Trade, TradeEvent

__all__ = [
    "BatchEvent",
    "ClientClassChange",
    "ControlChange",
    "Correction",
    "Counterparty",
    "Deal",
    "DealersAction",
    "EngineLease",
    "Erasure",
    "IdempotentAnswer",
    "InstructionLeg",
    "LeftOut",
    "LegReference",
    "LegReport",
    "LimitVersion",
    "LowWater",
    "MarginAccount",
    "OpenExposure",
    "Order",
    "OrderEvent",
    "Payment",
    "PaymentEvent",
    "PaymentFile",
    "Position",
    "PriceExtreme",
    "RiskLimit",
    "SettlementBatch",
    "SettlementInstruction",
    "SettlementLeg",
    "SettlementWindow",
    "StandingInstruction",
    "StatementEntry",
    "StatementFile",
    "StatementRelease",
    "SwapRun",
    "Trade",
    "TradeEvent",
    "TradeFlag",
]
