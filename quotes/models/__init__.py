from quotes.models.change import InstrumentChange, TermBand
from quotes.models.feed import Backfill, FeedLease, PriceHold
from quotes.models.hours import MarketSwitch, TradingHours
from quotes.models.instrument import Candle, CandleBatch, Instrument
from quotes.models.quote import Quote

__all__ = [
    "Backfill",
    "Candle",
    "CandleBatch",
    "FeedLease",
    "Instrument",
    "InstrumentChange",
    "MarketSwitch",
    "PriceHold",
    "Quote",
    "TermBand",
    "TradingHours",
]
