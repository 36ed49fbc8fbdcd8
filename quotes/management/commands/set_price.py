"""Hold a symbol at a price (simulator only), or let it walk again."""

from __future__ import annotations

from argparse import ArgumentParser
from decimal import Decimal
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError

from accounts.exact import dumps
from accounts.money import at_scale, parse_decimal, printed
from quotes import prices, symbols
from quotes.errors import UnknownSymbol
from quotes.models import Instrument


class Command(BaseCommand):
    help = "Hold SYMBOL at BID and ASK from now on, whatever the simulator walks to; --release ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol")
        parser.add_argument("bid", nargs="?")
        parser.add_argument("ask", nargs="?")
        parser.add_argument("--release", action="store_true", help="Let the feed's own price through again.")
        parser.add_argument("--json", action="store_true", help="Answer in JSON, for scripts.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            instrument = symbols.instrument(options["symbol"])
            answer = self._release(instrument, options) if options["release"] else self._hold(instrument, options)
        except UnknownSymbol:
            raise CommandError(f"Unknown symbol: {options['symbol']}") from None
        except redis.RedisError as error:
            raise CommandError(f"Redis can't be reached: {error}") from None
        self.stdout.write(dumps(answer).decode() if options["json"] else _sentence(answer))

    def _release(self, instrument: Instrument, options: dict[str, Any]) -> dict[str, Any]:
        if options["bid"] is not None:
            raise CommandError("Give a price or --release, not both.")
        prices.release(instrument.symbol)
        return {"symbol": instrument.symbol, "held": False}

    def _hold(self, instrument: Instrument, options: dict[str, Any]) -> dict[str, Any]:
        bid, ask = (_price(options[name], instrument) for name in ("bid", "ask"))
        if bid > ask:
            raise CommandError("The bid must not be above the ask.")
        prices.hold(instrument.symbol, bid, ask)
        return {"symbol": instrument.symbol, "held": True, "bid": bid, "ask": ask}


def _price(text: str | None, instrument: Instrument) -> Decimal:
    value = parse_decimal(text)
    if value is None or value <= 0:
        raise CommandError("BID and ASK must be numbers greater than 0.")
    value = at_scale(value)
    if -int(value.as_tuple().exponent) > instrument.price_decimals:
        raise CommandError(f"Prices of {instrument.symbol} have at most {instrument.price_decimals} decimals.")
    return value


def _sentence(answer: dict[str, Any]) -> str:
    if not answer["held"]:
        return f"{answer['symbol']} follows the feed again."
    return f"{answer['symbol']} is held at {printed(answer['bid'])} / {printed(answer['ask'])} until it is released."
