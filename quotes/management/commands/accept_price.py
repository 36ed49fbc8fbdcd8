"""Look at a price that the feed was refused, and accept it."""

from __future__ import annotations

from argparse import ArgumentParser
from decimal import Decimal
from typing import Any

import redis

from accounts.errors import Unavailable
from accounts.management.output import JSONCommand
from accounts.management.who import add_by, somebody
from accounts.money import NEAREST, exact, printed, rounded
from quotes import prices, symbols
from quotes.errors import NoRefusedPrice, RefusedPriceTooWide
from quotes.judging import is_too_wide
from quotes.models import Instrument, PriceHold
from quotes.prices import Price
from quotes.selectors import holds_behind, who
from quotes.services import accept_price


class Command(JSONCommand):
    help = "Show the price of SYMBOL that was refused as a jump beside the one that stands; --yes accepts it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("symbol")
        parser.add_argument("--yes", action="store_true", help="accept it: the next prices are compared with it")
        add_by(parser, "the member of staff who accepts it")

    def handle(self, *args: Any, **options: Any) -> None:
        instrument = symbols.instrument(options["symbol"])
        symbol = instrument.symbol
        by = somebody(options, "hold_price") if options["yes"] else None
        try:
            refused, stands = prices.refused().get(symbol), prices.latest().by_symbol.get(symbol)
        except redis.RedisError:
            raise Unavailable("Redis can't be reached.") from None
        if refused is None:
            raise NoRefusedPrice
        if by is not None:
            refused = accept_price(instrument, seen=refused, by=by.pk)
        hold = holds_behind([stands]).get(symbol) if stands else None
        facts = {"symbol": symbol, "stands": _told(stands, hold), "refused": _told(refused), "accepted": options["yes"]}
        self.say(options, facts, *_lines(instrument, stands, refused, hold, is_accepted=options["yes"]))


def _told(price: Price | None, hold: PriceHold | None = None) -> dict[str, Any] | None:
    if price is None:
        return None
    told: dict[str, Any] = {"bid": price.bid, "ask": price.ask, "time": price.at}
    if price.is_held:
        told |= {"held": True, "held_since": hold and hold.at, "held_by": hold and who(hold)}
    return told


def _lines(
    instrument: Instrument, stands: Price | None, refused: Price, hold: PriceHold | None, *, is_accepted: bool
) -> list[str]:
    symbol = instrument.symbol
    shown = f"{printed(refused.bid)} / {printed(refused.ask)}"
    is_held = stands is not None and stands.is_held
    if is_accepted:
        goes_on = [f"{symbol} stays held{_by_whom(hold)}."] if is_held else []
        return [f"{symbol} {shown} is accepted; the feed's next prices are compared with it.", *goes_on]
    is_wide = is_too_wide(refused.bid, refused.ask, instrument.max_spread_percent)
    return [
        f"{symbol} stands at {_written(stands)}{f', held{_by_whom(hold)}' if is_held else ''}",
        f"  refused: {_written(refused)}{f', {_change(stands, refused)} %' if stands else ''}",
        RefusedPriceTooWide.sentence if is_wide else "Nothing is changed. Accept it with --yes --by EMAIL.",
    ]


def _by_whom(hold: PriceHold | None) -> str:
    return f" by {who(hold)} since {hold.at:%Y-%m-%d %H:%M:%S} UTC" if hold else ""


def _written(price: Price | None) -> str:
    if price is None:
        return "no price"
    return f"{printed(price.bid)} / {printed(price.ask)} as of {price.at:%Y-%m-%d %H:%M:%S} UTC"


@exact
def _change(stands: Price, refused: Price) -> str:
    """How far the refused price is from the one that stands, e.g. +900.0."""
    share: Decimal = (refused.bid + refused.ask) / (stands.bid + stands.ask) - 1
    return f"{rounded(share * 100, 1, NEAREST):+f}"
