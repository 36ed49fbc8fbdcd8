"""`manage.py leg`: what moves between the firm and its providers is listed, and reported settled or failed."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from accounts import clock, services
from accounts.identity import Actor
from accounts.ids import pasted_guid
from accounts.management import who
from accounts.management.output import JSONCommand, amount
from accounts.money import from_base_units
from trades import selectors
from trades.errors import LegNotFound
from trades.fail_reasons import FailReason
from trades.models import SettlementLeg
from trades.settlement.legs import fail_leg, settle_leg

PAGE: Final = 500
CODES: Final = "ISO 20022's code: " + ", ".join(f"{code} {meaning}" for code, meaning in FailReason.choices)


class Command(JSONCommand):
    help = "List the legs that are due, and report them: settled with what really moved, or failed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        listing = does.add_parser("list", help="those that are due, the oldest first")
        super().add_arguments(listing)
        listing.add_argument("--overdue", action="store_true", help="those whose value date is over")
        settle = does.add_parser("settle", help="it was carried out")
        settle.add_argument("guid")
        settle.add_argument("actual", help="what really moved, in units of the asset, e.g. 0.1")
        settle.add_argument("--reference", default="", help="the bank's or the provider's own")
        settle.add_argument(
            "--final", action="store_true", help="nothing more comes; without it, less than expected is a part"
        )
        fail = does.add_parser("fail", help="it could not be carried out; it is due again after a pause")
        fail.add_argument("guid")
        fail.add_argument("--failure", required=True, metavar="WHY")
        fail.add_argument("--reason", default=FailReason.NARRATIVE.value, choices=FailReason.values, help=CODES)
        for one in (settle, fail):
            who.add_by(one, "the member of staff who reports it")
            super().add_arguments(one)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["does"] == "list":
            self._list(options)
            return
        by = who.actor(options, "report_leg")
        leg = _reported(_named(options["guid"]), options, by)
        self.say(options, _told(leg), _written(leg))

    def _list(self, options: dict[str, Any]) -> None:
        """To the end, however many there are."""
        now, asked = clock.firm_now(), selectors.is_overdue if options["overdue"] else selectors.is_due
        found = list(_by_age(selectors.legs().filter(asked(now))))
        lines = [f"{_written(leg)}; {_since(leg, now)}" for leg in found]
        nothing = "No leg is overdue." if options["overdue"] else "No leg is due."
        self.say_found(options, {"legs": [_told(leg) for leg in found]}, lines, nothing=nothing)


def _by_age(legs: QuerySet[SettlementLeg]) -> Iterator[SettlementLeg]:
    """All of them, the oldest first, a page at a time: ids are in the order of time."""
    rest = legs.select_related("asset", "batch").order_by("pk")
    while page := list(rest[:PAGE]):
        yield from page
        rest = legs.select_related("asset", "batch").order_by("pk").filter(pk__gt=page[-1].pk)


def _since(leg: SettlementLeg, at: datetime) -> str:
    """Its batch, since when it stands, by when it is due, and the instruction that it is in."""
    age, late = at - leg.batch.cut_at, at - leg.due_by
    text = f"batch {leg.batch_id.hex} of {leg.batch.cut_at:%Y-%m-%d %H:%M} UTC, {_days(age)} old, "
    text += f"value date {leg.value_date}" + (f", overdue for {_days(late)}" if late > timedelta() else "")
    return text + _instructed(leg.instructed, leg.carried_to)  # type: ignore[attr-defined]


def _instructed(reference: str | None, carried_to: UUID | None) -> str:
    carried = f", carried forward to leg {carried_to.hex}" if carried_to else ""
    return f", in instruction {reference}{carried}" if reference else ""


def _days(span: timedelta) -> str:
    """Without the fraction of a second."""
    return str(span - timedelta(microseconds=span.microseconds))


def _reported(leg: SettlementLeg, options: dict[str, Any], by: Actor) -> SettlementLeg:
    now = clock.firm_now()
    if options["does"] == "fail":
        fail_leg(leg.pk, failure=options["failure"], reason_code=options["reason"], by=by, at=now)
    else:
        actual = services.base_units(leg.asset_id, options["actual"], may_be_zero=True)
        settle_leg(leg.pk, actual=actual, reference=options["reference"], final=options["final"], by=by, at=now)
    return selectors.legs().select_related("asset", "batch").get(pk=leg.pk)


def _named(text: str) -> SettlementLeg:
    guid: UUID | None = pasted_guid(text)
    leg = SettlementLeg.objects.filter(pk=guid).first() if guid else None
    if leg is None:
        raise LegNotFound(f"There is no leg {text[:40]!r}.")
    return leg


def _told(leg: SettlementLeg) -> dict[str, Any]:
    def units(given: Any) -> dict[str, Any] | None:
        return None if given is None else amount(given, leg.asset_id, leg.asset.decimals)

    return {
        "guid": leg.pk,
        "batch_guid": leg.batch_id,
        "asset": leg.asset_id,
        "direction": leg.direction,
        "expected": units(leg.expected),
        "actual": units(leg.actual),
        "parts": leg.parts,  # type: ignore[attr-defined]  # of selectors.legs
        "difference": units(leg.difference),
        "status": leg.status,
        "attempts": leg.attempts,
        "next_attempt_at": leg.next_attempt_at,
        "reference": leg.reference,
        "reason_code": leg.reason_code,
        "failure": leg.failure,
        "value_date": leg.value_date.isoformat(),
        "due_by": leg.due_by,
        "cut_at": leg.batch.cut_at,
        "instruction": leg.instructed,  # type: ignore[attr-defined]
        "carried_to_guid": leg.carried_to,  # type: ignore[attr-defined]
    }


def _written(leg: SettlementLeg) -> str:
    decimals = leg.asset.decimals
    text = f"{leg.pk.hex} {leg.direction} {from_base_units(leg.expected, decimals):f} {leg.asset_id}: {leg.status}"
    if leg.actual is not None:
        text += f" with {from_base_units(leg.actual, decimals):f}"
    if leg.difference:
        text += f", a difference of {from_base_units(leg.difference, decimals):+f}: there is a break"
    if leg.next_attempt_at:
        text += f", {leg.reason_code} {leg.failure}; due again at {leg.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"
    return text
