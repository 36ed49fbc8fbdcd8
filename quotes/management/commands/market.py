"""Whether a market trades; halt it, let it be closed only, or let it follow its hours again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts import clock
from accounts.management import who
from accounts.management.output import JSONCommand
from quotes import symbols
from quotes.errors import UnknownSymbol
from quotes.hours import Switch
from quotes.switching import in_words, switch_market

WORDS = {"halt": Switch.HALTED, "close-only": Switch.CLOSE_ONLY, "resume": Switch.NONE}


class Command(JSONCommand):
    help = "Say whether markets trade, or switch one: halt, close-only, resume."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("symbol", nargs="?", help="Without one: all of them.")
        parser.add_argument("switch", nargs="?", choices=sorted(WORDS), help="Without one it is only told.")
        parser.add_argument("--reason", default="", help="Why; it stands in the history.")
        who.add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = self._symbols(options["symbol"])
        if options["switch"]:
            if not options["reason"]:
                raise CommandError("Say why: --reason.")
            by, to = who.actor(options, "halt_market"), WORDS[options["switch"]]
            switch_market(wanted[0], to, by=by, reason=options["reason"], at=clock.firm_now())
            symbols.forget()
        self._tell(wanted, options)

    def _symbols(self, said: str | None) -> list[str]:
        if said is None:
            return sorted(symbols.instruments())
        try:
            return [symbols.instrument(said).symbol]
        except UnknownSymbol:
            raise UnknownSymbol(f"Unknown symbol: {said}") from None

    def _tell(self, wanted: list[str], options: dict[str, Any]) -> None:
        at, rows, facts, lines = clock.firm_now(), symbols.instruments(), [], []
        for symbol in wanted:
            hours = symbols.hours_of(symbol)
            state = hours.state_at(at)
            facts.append(
                {
                    "symbol": symbol,
                    "tradingHours": rows[symbol].trading_hours_id,
                    "marketState": state.phase.value,
                    "stateUntil": state.until,
                    "nextOpening": state.next_open,
                    "switch": hours.switch.value,
                }
            )
            lines.append(f"{symbol} ({rows[symbol].trading_hours_id}): {in_words(hours, at)}")
        self.say(options, {"markets": facts}, *lines)
