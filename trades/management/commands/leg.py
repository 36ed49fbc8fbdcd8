"""`manage.py leg`: what moves between the firm and its providers is listed, and reported settled or failed."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from accounts import clock, services
from accounts.identity import Actor
from accounts.ids import pasted_guid
from accounts.management import who
from accounts.management.output import JSONCommand, as_command_errors
from accounts.money import from_base_units
from trades import selectors
from trades.errors import LegNotFound
from trades.models import SettlementLeg
from trades.settlement.legs import fail_leg, settle_leg

MOST_LISTED = 1_000


class Command(JSONCommand):
    help = "List the legs that are due, and report them: settled with what really moved, or failed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        listing = does.add_parser("list", help="those that are due, the oldest first")
        super().add_arguments(listing)
        settle = does.add_parser("settle", help="it was carried out")
        settle.add_argument("guid")
        settle.add_argument("actual", help="what really moved, in units of the asset, e.g. 0.1")
        settle.add_argument("--reference", default="", help="the bank's or the provider's own")
        fail = does.add_parser("fail", help="it could not be carried out; it is due again after a pause")
        fail.add_argument("guid")
        fail.add_argument("--failure", required=True, metavar="WHY")
        for one in (settle, fail):
            who.add_by(one, "the member of staff who reports it")
            super().add_arguments(one)

    @as_command_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if options["does"] == "list":
            due = selectors.legs().filter(selectors.is_due(clock.now())).select_related("asset").order_by("pk")
            found = list(due[:MOST_LISTED])
            self.say(options, {"legs": [_told(leg) for leg in found]}, *(map(_written, found)))
            return
        by = who.actor(options)
        leg = _reported(_named(options["guid"]), options, by)
        self.say(options, _told(leg), _written(leg))


def _reported(leg: SettlementLeg, options: dict[str, Any], by: Actor) -> SettlementLeg:
    now = clock.now()
    if options["does"] == "fail":
        fail_leg(leg.pk, failure=options["failure"], by=by, at=now)
    else:
        actual = services.base_units(leg.asset_id, options["actual"], may_be_zero=True)
        settle_leg(leg.pk, actual=actual, reference=options["reference"], by=by, at=now)
    return SettlementLeg.objects.select_related("asset").get(pk=leg.pk)


def _named(text: str) -> SettlementLeg:
    guid: UUID | None = pasted_guid(text)
    leg = SettlementLeg.objects.filter(pk=guid).first() if guid else None
    if leg is None:
        raise LegNotFound(f"There is no leg {text[:40]!r}.")
    return leg


def _told(leg: SettlementLeg) -> dict[str, Any]:
    """Amounts in units of the asset."""

    def units(amount: Any) -> Any:
        return None if amount is None else from_base_units(amount, leg.asset.decimals)

    return {
        "guid": leg.pk,
        "batch_guid": leg.batch_id,
        "asset": leg.asset_id,
        "direction": leg.direction,
        "expected": units(leg.expected),
        "actual": units(leg.actual),
        "difference": units(leg.difference),
        "status": leg.status,
        "attempts": leg.attempts,
        "next_attempt_at": leg.next_attempt_at,
        "reference": leg.reference,
        "failure": leg.failure,
    }


def _written(leg: SettlementLeg) -> str:
    told = _told(leg)
    text = f"{leg.pk.hex} {leg.direction} {told['expected']:f} {leg.asset_id}: {leg.status}"
    if told["actual"] is not None:
        text += f" with {told['actual']:f}"
    if told["difference"]:
        text += f", a difference of {told['difference']:+f}: there is a break"
    if leg.next_attempt_at:
        text += f", {leg.failure}; due again at {leg.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"
    return text
