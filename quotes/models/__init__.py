from quotes.models.instrument import Candle, Instrument
from quotes.models.quote import Quote

__all__ = ["Candle", "Instrument", "Quote"]
