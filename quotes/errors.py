"""Refusals of markets and quotes, one class each."""

from __future__ import annotations

from datetime import datetime

from accounts.errors import Conflict, Malformed, NotFound, Refusal
from accounts.json_codec import timestamp
from quotes.hours import MarketState, Phase


class StalePrice(Refusal):
    """There is no price that may be used: none, too old, crossed, zero or not a number."""

    code = "stale_price"
    sentence = "There is no fresh price for this symbol."


class UnknownSymbol(Malformed):
    code = "unknown_symbol"
    sentence = "There is no such symbol."


class NoRefusedPrice(Refusal):
    """There is nothing to accept: the feed is back where it was, or somebody accepted it before."""

    code = "no_refused_price"
    sentence = "No price of this symbol is refused at the moment."


class RefusedPriceMoved(Refusal):
    """The refused price is another one than whoever accepts it saw."""

    code = "refused_price_moved"
    sentence = "The refused price has moved on since you saw it: look again."


class RefusedPriceTooWide(Refusal):
    """Its bid and ask are too far apart for it to be a price; accepting a jump doesn't switch that rule off."""

    code = "refused_price_too_wide"
    sentence = "The refused price is wider than the instrument's greatest spread: it can't be accepted."


class HoldTooWide(Refusal):
    """A price that an operator wants to hold has its bid and ask too far apart."""

    code = "hold_too_wide"
    sentence = "The price is wider than the instrument's greatest spread: it isn't held."


class AcceptedTooLate(Refusal):
    """Accepting took so long that the price which was seen is of before."""

    code = "accepted_too_late"
    sentence = "It took too long, and nothing was accepted: look again."


# --- hours ---------------------------------------------------------------------------------------------


class MarketClosed(Refusal):
    """Outside its hours. The sentence ends with the next opening, where there is one, in both dialects:
    `Market closed for symbol: EUR-USD. Next opening: 2026-11-29T22:00:00.000Z`.
    """

    code = "market_closed"

    def __init__(self, symbol: str, next_open: datetime | None) -> None:
        opening = f". Next opening: {timestamp(next_open)}" if next_open else ""
        super().__init__(f"Market closed for symbol: {symbol}{opening}")


class MarketHalted(Refusal):
    """An operator has halted it."""

    code = "market_halted"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"Market halted for symbol: {symbol}")


class MarketCloseOnly(Refusal):
    """An operator lets it be closed only, and this would open something."""

    code = "market_close_only"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"Market takes closing orders only for symbol: {symbol}")


Rests = tuple[type[MarketClosed], type[MarketHalted], type[MarketCloseOnly]]


def market_rests(
    symbol: str, state: MarketState, kinds: Rests = (MarketClosed, MarketHalted, MarketCloseOnly)
) -> Refusal:
    """Why something can't be done in this market now, as one of `kinds`."""
    closed, halted, close_only = kinds
    if state.phase is Phase.HALTED:
        return halted(symbol)
    if state.phase is Phase.CLOSE_ONLY:
        return close_only(symbol)
    return closed(symbol, state.next_open)


class SwitchedAlready(Conflict):
    sentence = "The market is like that already."


# --- quotes ----------------------------------------------------------------------------------------


class QuoteNotFound(NotFound):
    sentence = "There is no such quote."


class AmountTooSmall(Refusal):
    """After rounding and fee one side of the trade would come to nothing."""

    code = "amount_too_small"
    sentence = "The amount is too small: after rounding and fee nothing would be left."


class AmountOutOfRange(Refusal):
    code = "amount_out_of_range"
    sentence = "The amount is too large."


class SymbolNotTraded(Refusal):
    """The instrument exists but its operator switched it off."""

    code = "symbol_not_traded"
    sentence = "This symbol is not traded at the moment."


class ProductNotOffered(Refusal):
    code = "product_not_offered"
    sentence = "This product is not offered; trading, trading_exit and funding are."
