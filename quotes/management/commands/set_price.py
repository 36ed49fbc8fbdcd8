"""Hold a symbol at a price, or let it follow the feed again."""

from __future__ import annotations

from argparse import ArgumentParser
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError

from accounts.identity import SYSTEM, Actor
from accounts.management import who
from accounts.management.output import JSONCommand
from accounts.models import User
from accounts.money import at_scale, parse_decimal, printed
from quotes import symbols
from quotes.errors import UnknownSymbol
from quotes.models import Instrument
from quotes.services import LONGEST_REASON, RecordedHold, hold_price, may_be_held, release_price


class Command(JSONCommand):
    help = "Hold SYMBOL at BID and ASK from now on, whatever the feed says; --release ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("symbol")
        parser.add_argument("bid", nargs="?")
        parser.add_argument("ask", nargs="?")
        parser.add_argument("--release", action="store_true", help="Let the feed's own price through again.")
        who.add_by(parser)
        parser.add_argument("--reason", default="", help="Why; it stands in the history of holds.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            instrument = symbols.instrument(options["symbol"])
        except UnknownSymbol:
            raise UnknownSymbol(f"Unknown symbol: {options['symbol']}") from None
        if len(options["reason"]) > LONGEST_REASON:
            raise CommandError(f"A reason has at most {LONGEST_REASON} characters.")
        by = who.named(options, "hold_price")
        if options["release"]:
            self._release(instrument, by, options)
        else:
            self._say(self._hold(instrument, by, options), by, options)

    def _release(self, instrument: Instrument, by: User | None, options: dict[str, Any]) -> None:
        if options["bid"] is not None:
            raise CommandError("Give a price or --release, not both.")
        if may_be_held(instrument):
            self._say(
                release_price(instrument, by=_actor(by), reason=options["reason"]),
                by,
                options,
            )
        else:
            facts = {"symbol": instrument.symbol, "held": False}
            self.say_nothing(options, facts, f"{instrument.symbol} isn't held: it follows the feed.")

    def _hold(self, instrument: Instrument, by: User | None, options: dict[str, Any]) -> RecordedHold:
        bid, ask = (_price(options[name], instrument) for name in ("bid", "ask"))
        if bid > ask:
            raise CommandError("The bid must not be above the ask.")
        return hold_price(instrument, bid, ask, by=_actor(by), reason=options["reason"])

    def _say(self, told: RecordedHold, by: User | None, options: dict[str, Any]) -> None:
        self.say(options, _facts(told, by), _sentence(told, by))


def _actor(by: User | None) -> Actor:
    return SYSTEM if by is None else Actor(user_id=by.pk)


def _price(text: str | None, instrument: Instrument) -> Decimal:
    value = parse_decimal(text)
    if value is None or value <= 0:
        raise CommandError("BID and ASK must be numbers greater than 0.")
    value = at_scale(value)
    if -int(value.as_tuple().exponent) > instrument.price_decimals:
        raise CommandError(f"Prices of {instrument.symbol} have at most {instrument.price_decimals} decimals.")
    return value


def _facts(told: RecordedHold, by: User | None) -> dict[str, Any]:
    hold = told.hold
    facts: dict[str, Any] = {"symbol": hold.instrument_id, "held": hold.is_held}
    if hold.is_held:
        facts |= {"bid": hold.bid, "ask": hold.ask}
    if by is not None:
        facts["by"] = by.email
    if hold.reason:
        facts["reason"] = hold.reason
    if not told.is_in_redis:
        facts["inRedis"] = False
    return facts


def _sentence(told: RecordedHold, by: User | None) -> str:
    hold = told.hold
    by_whom = f" by {by.email}" if by else ""
    if hold.bid is None or hold.ask is None:
        said = f"{hold.instrument_id} follows the feed again{by_whom and f', released{by_whom}'}."
    else:
        price = f"{printed(hold.bid)} / {printed(hold.ask)}"
        said = f"{hold.instrument_id} is held at {price}{by_whom} until it is released."
    if not told.is_in_redis:
        said += " Redis can't be reached: it takes effect once a feed reaches it."
    return said
