from quotes.models.change import InstrumentChange, TermBand
from quotes.models.feed import FeedLease, PriceHold
from quotes.models.instrument import Candle, Instrument
from quotes.models.quote import Quote

__all__ = ["Candle", "FeedLease", "Instrument", "InstrumentChange", "PriceHold", "Quote", "TermBand"]
