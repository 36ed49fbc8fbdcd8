"""`manage.py risk_limit`: how much may be open; one person sets and lowers a limit, and proposes to raise one."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from accounts import clock
from accounts.management import who
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand
from trades import controls, risk_limits
from trades.models import ControlChange, RiskLimit
from trades.reads.risk_limits import Use, all_of_them, of_one

NONE = "none"


class Command(JSONCommand):
    help = (
        "Limits of what is open: list, set or lower, and propose to raise. A second person applies that in the admin."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        super().add_arguments(does.add_parser("list", help="every limit, and how much of it is used"))
        puts = does.add_parser("set", help="set a limit, or lower it: it counts from the next order on")
        puts.add_argument("kind", choices=RiskLimit.Kind.values)
        puts.add_argument("amount", type=int, help="whole units of the account currency")
        puts.add_argument("--of", default="", help="a symbol, or a customer's guid or e-mail address; else of each")
        proposes = does.add_parser("propose", help="as the maker, to raise a limit or to take it away")
        proposes.add_argument("guid", help="the limit")
        proposes.add_argument("amount", type=_amount, help=f"whole units of the account currency, or {NONE}")
        proposes.add_argument("--reason", required=True)
        for one in (puts, proposes):
            who.add_by(one)
            super().add_arguments(one)

    def handle(self, *args: Any, **options: Any) -> None:
        does = options["does"]
        if does == "list":
            found = all_of_them()
            self.say_found(
                options,
                {"limits": [_told(one) for one in found]},
                list(map(_written, found)),
                nothing="No limit is set.",
            )
            return
        if does == "set":
            who.named(options, "change_limit")
            limit = risk_limits.put(options["kind"], options["amount"], of=options["of"])
            use = of_one(limit)
            self.say(options, _told(use), _written(use))
            return
        by, limit_id = who.somebody(options, "change_limit").pk, guid_of(options["guid"])
        adds = [risk_limits.raising(limit_id, options["amount"])]
        kind, at = ControlChange.Kind.LIMIT, clock.firm_now()
        one = controls.propose(kind, limit_id, adds, reason=options["reason"], by=by, at=at)
        facts = {"guid": one.pk, "limit_guid": limit_id, "state": one.state, "change": one.adds[0]}
        self.say(options, facts, f"{one.pk.hex} {one.adds[0]}: {one.state}")


def _amount(text: str) -> int | None:
    if text == NONE:
        return None
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is neither a whole number nor {NONE}")
    return int(text)


def _told(one: Use) -> dict[str, Any]:
    limit = one.limit
    return {
        "guid": limit.pk,
        "kind": limit.kind,
        "customer_guid": limit.customer_id,
        "symbol": limit.instrument_id,
        "amount": limit.amount,
        "used_percent": one.percent,
    }


def _written(one: Use) -> str:
    limit = one.limit
    of = limit.customer_id.hex if limit.customer_id else limit.instrument_id or ""
    used = "" if one.percent is None else f", used to {one.percent} %"
    return f"{limit.pk.hex} {limit.kind}{f' {of}' if of else ''}: {limit.amount}{used}"
