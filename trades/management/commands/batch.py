"""`manage.py batch`: list settlement batches by state and age, show one, and decide on one that was cut."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models import QuerySet

from accounts import clock
from accounts.management import who
from accounts.management.ages import age, shown
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand, amount
from accounts.money import from_base_units
from trades import selectors
from trades.errors import BatchNotFound
from trades.models import SettlementBatch, SettlementLeg
from trades.settlement.approval import cancel, confirm
from trades.states import BatchState

PAGE: Final = 500  # rows a query


class Command(JSONCommand):
    help = "List, show, confirm and cancel settlement batches."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        listing = does.add_parser("list", help="the oldest first, to the end")
        listing.add_argument("--state", choices=BatchState.values, action="append", help="more than once for several")
        listing.add_argument("--open", action="store_true", help="those that are neither completed nor cancelled")
        listing.add_argument("--older-than", type=age, metavar="AGE", help="cut at least so long ago: 26h, 90m, 2d")
        listing.add_argument("--after", metavar="GUID", help="go on behind this batch")
        listing.add_argument("--limit", type=int, help="at most so many")
        super().add_arguments(listing)
        show = does.add_parser("show", help="its legs, its counts and who was left out")
        for one in (show, *self._deciders(does)):
            one.add_argument("guid")
            super().add_arguments(one)

    def _deciders(self, does: Any) -> Iterator[ArgumentParser]:
        for name, help_ in (("confirm", "let it be settled"), ("cancel", "its trades wait for the next cut")):
            decider = does.add_parser(name, help=f"{help_}; never by whoever cut it")
            who.add_by(decider, "the second person")
            yield decider

    def handle(self, *args: Any, **options: Any) -> None:
        if options["does"] == "list":
            self._list(options)
            return
        batch_id = guid_of(options["guid"])
        if options["does"] != "show":
            decides = confirm if options["does"] == "confirm" else cancel
            decides(batch_id, by=who.actor(options, f"{options['does']}_batch"), at=clock.firm_now())
        batch = selectors.batches().filter(pk=batch_id).first()
        if batch is None:
            raise BatchNotFound(f"There is no batch {options['guid'][:40]}.")
        now = clock.firm_now()
        if options["does"] == "show":
            legs = list(selectors.legs().filter(batch=batch).select_related("asset").order_by("asset_id"))
            left_out = selectors.left_out_counts(batch.pk)
            facts = _told(batch, now) | {"legs": [_told_leg(leg) for leg in legs], "left_out": left_out}
            self.say(options, facts, _written(batch, now), *map(_written_leg, legs), *map(_written_left, left_out))
            return
        self.say(options, _told(batch, now), _written(batch, now))

    def _list(self, options: dict[str, Any]) -> None:
        """Page by page behind the last one's id, so that it reads to the end whatever comes in meanwhile."""
        if options["limit"] is not None and options["limit"] < 1:
            raise CommandError("--limit must be at least 1.")
        now, found, last = clock.firm_now(), [], None
        for last in _wanted(options, now):
            if options["json"]:
                found.append(_told(last, now))
            else:
                self.say(options, {}, _written(last, now))
        is_cut_short = last is not None and options["limit"] is not None and _has_more(options, now, last)
        facts = {"batches": found, "next_after": last.pk if last and is_cut_short else None}
        if last is None:
            self.say_nothing(options, facts, "There is no such batch.")
        else:
            self.say(options, facts, *([f"More of them: --after {last.pk.hex}"] if is_cut_short else []))


def _wanted(options: dict[str, Any], now: datetime) -> Iterator[SettlementBatch]:
    after: UUID | None = guid_of(options["after"]) if options["after"] else None
    left: int | None = options["limit"]
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = list(_those(options, now, after)[:size])
        yield from page
        if len(page) < size:
            return
        after = page[-1].pk
        left = None if left is None else left - size


def _has_more(options: dict[str, Any], now: datetime, last: SettlementBatch) -> bool:
    """Whether there are more behind this one."""
    return _those(options, now, last.pk).exists()


def _those(options: dict[str, Any], now: datetime, after: UUID | None) -> QuerySet[SettlementBatch]:
    found = selectors.batches().order_by("pk")
    if options["state"]:
        found = found.filter(state__in=options["state"])
    if options["open"]:
        found = found.exclude(state__in=[BatchState.COMPLETED, BatchState.CANCELLED])
    if options["older_than"]:
        found = found.filter(cut_at__lte=now - options["older_than"])
    return found.filter(pk__gt=after) if after else found


def _told(batch: SettlementBatch, now: datetime) -> dict[str, Any]:
    return {
        "guid": batch.pk,
        "state": batch.state,
        "window": batch.window.name if batch.window else None,
        "asset_kinds": batch.asset_kinds.split(","),
        "cut_at": batch.cut_at,
        "age_seconds": int((now - batch.cut_at).total_seconds()),
        "trades": batch.trades_count,
        "customers": batch.customers_count,
        "completed": batch.completed_count,
        "percent": batch.percent,
        "left_out_count": batch.left_out_count,
        "key": batch.key,
        "made_by": _who(batch.made_by_id, batch.made_by_client_id),
        "confirmed_by": _who(batch.confirmed_by_id, batch.confirmed_by_client_id),
        "cancelled_by": _who(batch.cancelled_by_id, batch.cancelled_by_client_id),
        "reversed_at": batch.reversed_at,  # type: ignore[attr-defined]  # of selectors.batches
        "reversed_by_guid": batch.reversed_by,  # type: ignore[attr-defined]
    }


def _who(user_id: UUID | None, client_id: UUID | None) -> UUID | None:
    """The guid of the person or the program; none where it was the system."""
    return user_id or client_id


def _written(batch: SettlementBatch, now: datetime) -> str:
    of = batch.window.name if batch.window else "every kind"
    left_out = f", {batch.left_out_count} left out" if batch.left_out_count else ""
    done = f"{batch.completed_count} of {batch.trades_count} trades of {batch.customers_count} customers completed"
    text = f"{batch.pk.hex} {batch.state}: {of}, cut {shown(now - batch.cut_at)} ago, {done}{left_out}"
    return text + _reversed(batch.reversed_at, batch.reversed_by)  # type: ignore[attr-defined]


def _reversed(at: datetime | None, by: UUID | None) -> str:
    if by is None:
        return ""
    return f", {f'reversed at {at:%Y-%m-%d %H:%M:%S} UTC' if at else 'being reversed'} by correction {by.hex}"


def _told_leg(leg: SettlementLeg) -> dict[str, Any]:
    asset, decimals = leg.asset_id, leg.asset.decimals
    return {
        "guid": leg.pk,
        "asset": asset,
        "direction": leg.direction,
        "status": leg.status,
        "expected": amount(leg.expected, asset, decimals),
        "actual": None if leg.actual is None else amount(leg.actual, asset, decimals),
    }


def _written_leg(leg: SettlementLeg) -> str:
    return (
        f"  leg {leg.pk.hex} {leg.direction} {from_base_units(leg.expected, leg.asset.decimals):f} "
        f"{leg.asset_id}: {leg.status}"
    )


def _written_left(one: dict[str, Any]) -> str:
    return f"  left out {one['stage']}: {one['trades']} trades, {one['reason']}"
