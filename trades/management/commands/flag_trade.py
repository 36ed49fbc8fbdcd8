"""`manage.py flag_trade`: hold a trade back from settlement, or let it go again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from accounts import clock
from accounts.ids import pasted_guid
from accounts.management import who
from accounts.management.output import JSONCommand
from trades.errors import TradeNotFound
from trades.settlement import flags


class Command(JSONCommand):
    help = "Hold a trade back from settlement for a reason; --clear lets it settle with the next batch."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("guid", help="the trade; its exit or original is held back with it")
        parser.add_argument("--reason", default="", help="why it is held back")
        parser.add_argument("--clear", action="store_true", help="let it go again")
        who.add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["clear"] == bool(options["reason"]):
            raise CommandError("Say --reason to hold a trade back, or --clear to let it go.")
        trade_id: UUID | None = pasted_guid(options["guid"])
        if trade_id is None:
            raise TradeNotFound(f"There is no trade {options['guid'][:40]!r}.")
        by, now = who.actor(options, "flag_trade"), clock.firm_now()
        if options["clear"]:
            flag = flags.clear(trade_id, by=by, at=now)
        else:
            flag = flags.flag(trade_id, reason=options["reason"], by=by, at=now)
        facts = {"trade_guid": trade_id, "reason": flag.reason, "flagged": flag.cleared_at is None}
        what = "is let go" if flag.cleared_at else "is held back"
        self.say(options, facts, f"{trade_id.hex} {what}: {flag.reason}")
