"""Cut a settlement batch now. It freezes membership and moves no money, unless `--confirm` asks for that as well."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from rich.console import Console

from accounts import clock
from accounts.identity import Actor
from accounts.management import who
from accounts.management.output import JSONCommand, amount
from accounts.models import Asset
from accounts.money import from_base_units
from trades.errors import NothingToCut, WindowNotFound
from trades.management.settling import end, tried
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.cut import EVERY_KIND, CutPreview, cut_now, cut_window, preview
from trades.settlement.settle import CHUNK

_KEY = re.compile(r"[!-~]{1,128}")


class Command(JSONCommand):
    help = "Cut a settlement batch now, without settling it. Its trades can't be exited any more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--window", metavar="NAME", help="only this window's kind of asset; else every kind")
        parser.add_argument("--dry-run", action="store_true", help="say what would be in it, and change nothing")
        parser.add_argument(
            "--key", type=_key, help="1 to 128 characters: whoever cuts with the same key again gets the batch it made"
        )
        parser.add_argument(
            "--confirm", action="store_true", help="confirm and settle it, too, where no second person is needed"
        )
        who.add_by(parser, "the member of staff who cuts it; another one must confirm")
        parser.add_argument(
            "--report-legs", action="store_true", help="its legs wait to be reported; a window says so itself"
        )
        parser.add_argument(
            "--in-order",
            action="store_true",
            help="with --report-legs: when a part of a leg has come, trades complete in order of time up to it;"
            " else none until all has come",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        window = _window(options["window"])
        if window and (options["report_legs"] or options["in_order"]):
            flag = "--report-legs" if options["report_legs"] else "--in-order"
            raise CommandError(f"{flag} is for a cut of every kind; a window has its own setting.")
        if options["in_order"] and not options["report_legs"]:
            raise CommandError("--in-order goes with --report-legs: legs that settle at once come as a whole.")
        if options["dry_run"] and (options["confirm"] or options["key"]):
            raise CommandError("--dry-run changes nothing: it goes with neither --confirm nor --key.")
        if options["dry_run"]:
            kinds = [window.asset_kind] if window else EVERY_KIND
            found = preview(kinds, clock.firm_now())
            self.say(options, _told(found), *_written(found))
            return
        by, now = who.actor(options, "cut_batch"), clock.firm_now()
        settled_so = {"legs_are_automatic": not options["report_legs"], "completes_in_order": options["in_order"]}
        batch = _cut(window, by, now, settled_so, options["key"])
        if batch is None:
            self.say_nothing(options, {"guid": None, "trades": 0}, NothingToCut.sentence)
            return
        if options["confirm"]:
            self._settle(options, batch, by)
            return
        facts = {"guid": batch.pk, "state": batch.state, "trades": batch.trades_count}
        is_found = batch.created_at < now  # by its key
        line = f"{batch.pk.hex} {batch.state}: {batch.trades_count} trades"
        self.say(options, facts | ({"nothing": True} if is_found else {}), f"{line}, cut before" if is_found else line)

    def _settle(self, options: dict[str, Any], batch: SettlementBatch, by: Actor) -> None:
        """Whoever made it can't confirm it: then it stays cut, and waits. Raises Ending."""
        one = tried(batch, by, CHUNK, Console(file=sys.stderr))
        facts = one.facts() | ({"nothing": True} if one.was_completed else {})
        self.say(options, facts, one.sentence())
        end([one])


def _key(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise ArgumentTypeError("a key has 1 to 128 characters of ASCII, and no blank")
    return text


def _window(name: str | None) -> SettlementWindow | None:
    if name is None:
        return None
    window = SettlementWindow.objects.filter(name=name).first()
    if window is None:
        raise WindowNotFound(f"There is no window {name!r}.")
    return window


def _cut(
    window: SettlementWindow | None, by: Actor, now: datetime, settled_so: dict[str, bool], key: str | None
) -> SettlementBatch | None:
    """The batch; None where no trade waits for one. A window has its own settings; `settled_so` counts without one."""
    if window is not None:
        return cut_window(window, now, now, by, key=key)
    try:
        return cut_now(at=now, by=by, **settled_so, key=key)
    except NothingToCut:
        return None


def _told(found: CutPreview) -> dict[str, Any]:
    decimals = dict(Asset.objects.values_list("code", "decimals"))
    return {
        "trades": found.trades,
        "exits": found.exits,
        "customers": found.customers,
        "left_out": [{"reason": reason, "trades": count} for reason, count in found.left_out],
        "legs": [
            {
                "asset": net.asset,
                "direction": net.direction,
                "expected": amount(net.expected, net.asset, decimals[net.asset]),
            }
            for net in found.nets
        ],
    }


def _written(found: CutPreview) -> list[str]:
    decimals = dict(Asset.objects.values_list("code", "decimals"))
    return [
        f"A cut would take {found.trades} trades, {found.exits} of them exits, of {found.customers} customers.",
        *(
            f"  {net.asset:6} {net.direction:9} {from_base_units(net.expected, decimals[net.asset]):f}"
            for net in found.nets
        ),
        *(f"Left out: {count} trades, {reason}." for reason, count in found.left_out),
    ]
