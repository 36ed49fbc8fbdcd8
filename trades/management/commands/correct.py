"""`manage.py correct`: one person proposes a correction, another one applies or rejects it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from accounts import clock, services
from accounts import selectors as people
from accounts.identity import Actor
from accounts.management import who
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand, as_command_errors
from accounts.money import from_base_units
from trades.corrections import decide, propose, selectors
from trades.corrections.funding import OF_THE_FIRM, propose_firms_own
from trades.models import Correction
from trades.states import CorrectionState

_REVERSALS = {
    "reverse-trade": (propose.propose_trade_reversal, "a completed trade with its exit"),
    "reverse-batch": (propose.propose_batch_reversal, "every trade of a completed batch, and its legs"),
    "reverse-leg": (propose.propose_leg_reversal, "a settled leg, to be reported anew"),
}
_BREAKS = {"paid": Correction.Kind.BREAK_PAID, "written-off": Correction.Kind.BREAK_WRITTEN_OFF}


class Command(JSONCommand):
    help = "Propose, apply, reject and list corrections. Nothing is edited: a correction is further movements."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        kinds = does.add_parser("propose", help="as the maker").add_subparsers(dest="kind", required=True)
        for name, (_, what) in _REVERSALS.items():
            one = kinds.add_parser(name, help=f"take back {what}")
            one.add_argument("guid")
            self._says_why(one)
        adjust = kinds.add_parser("adjust", help="move money between a customer and the house")
        adjust.add_argument("customer", help="guid or e-mail address")
        adjust.add_argument("direction", choices=Correction.Direction.values, help="credit: to the customer")
        adjust.add_argument("asset", help="e.g. USD")
        adjust.add_argument("amount", help="in units of the asset, e.g. 25.00")
        self._says_why(adjust, with_reference=True)
        own = kinds.add_parser("firm", help="book the firm's own money: capital in, earned profit or fees paid out")
        own.add_argument("what", choices=OF_THE_FIRM)
        own.add_argument("asset", help="e.g. USD")
        own.add_argument("amount", help="in units of the asset, e.g. 25000.00")
        self._says_why(own, with_reference=True)
        resolved = kinds.add_parser("break", help="a leg's difference was paid after all, or is written off")
        resolved.add_argument("guid")
        resolved.add_argument("how", choices=sorted(_BREAKS))
        self._says_why(resolved, with_reference=True)
        for name, whose in (("apply", "as the checker"), ("reject", "as the checker, or as the maker who withdraws")):
            one = does.add_parser(name, help=whose)
            one.add_argument("guid")
            self._is_by(one)
        listing = does.add_parser("list", help="newest first")
        listing.add_argument("--state", choices=CorrectionState.values, default="")
        super().add_arguments(listing)

    @as_command_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if options["does"] == "list":
            found = list(selectors.corrections(state=options["state"]))
            self.say(options, {"corrections": [_told(one) for one in found]}, *map(_written, found))
            return
        by = who.actor(options)
        done = _propose(options, by) if options["does"] == "propose" else _decide(options, by)
        correction = selectors.correction(done.pk)
        self.say(options, _told(correction), _written(correction))

    def _says_why(self, parser: ArgumentParser, *, with_reference: bool = False) -> None:
        parser.add_argument("--reason", required=True)
        if with_reference:
            parser.add_argument("--reference", default="", help="the bank's or the provider's own")
        self._is_by(parser)

    def _is_by(self, parser: ArgumentParser) -> None:
        who.add_by(parser)
        super().add_arguments(parser)


def _propose(options: dict[str, Any], by: Actor) -> Correction:
    at, why = clock.now(), options["reason"]
    if options["kind"] in _REVERSALS:
        reverses, _ = _REVERSALS[options["kind"]]
        return reverses(guid_of(options["guid"]), reason=why, by=by, at=at)
    if options["kind"] == "break":
        kind, reference = _BREAKS[options["how"]], options["reference"]
        return propose.propose_break_resolution(
            guid_of(options["guid"]), kind, reason=why, reference=reference, by=by, at=at
        )
    asset = options["asset"].upper()
    if options["kind"] == "firm":
        amount, reference = services.base_units(asset, options["amount"]), options["reference"]
        return propose_firms_own(options["what"], asset, amount, reference=reference, reason=why, by=by, at=at)
    return propose.propose_adjustment(
        people.customer_named(options["customer"]).pk,
        asset,
        services.base_units(asset, options["amount"]),
        options["direction"],
        reason=why,
        reference=options["reference"],
        by=by,
        at=at,
    )


def _decide(options: dict[str, Any], by: Actor) -> Correction:
    does = decide.apply if options["does"] == "apply" else decide.reject
    return does(guid_of(options["guid"]), by=by, at=clock.now())


def _told(one: Correction) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "kind": one.kind,
        "state": one.state,
        "subject": one.subject,
        "customer_guid": one.customer_id,
        "asset": one.asset_id,
        "amount": None if one.asset is None or one.amount is None else from_base_units(one.amount, one.asset.decimals),
        "direction": one.direction or None,
        "reason": one.reason,
        "reference": one.reference or None,
        "needs_checker": one.needs_checker,
        "made_by": _who(one.made_by, one.made_by_client),
        "checked_by": _who(one.checked_by, one.checked_by_client),
        "made_at": one.made_at,
        "decided_at": one.decided_at,
        "movements": one.movements_count,
    }


def _who(user: Any, client: Any) -> str | None:
    return str(user or client) if user or client else None


def _written(one: Correction) -> str:
    told = _told(one)
    about = one.subject.hex if one.subject else f"customer {one.customer_id.hex}" if one.customer_id else "the firm"
    amount = f" {told['amount']:f} {one.asset_id} {one.direction}".rstrip() if told["amount"] is not None else ""
    checked = f", decided by {told['checked_by']}" if told["checked_by"] else ""
    moved = f", movements: {one.movements_count}" if one.state == CorrectionState.APPLIED else ""
    return f"{one.pk.hex} {one.kind} of {about}{amount}: {one.state}, made by {told['made_by']}{checked}{moved}"
