"""`manage.py correct`: one person proposes a correction, another one applies or rejects it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from accounts import clock, services
from accounts import selectors as people
from accounts.identity import Actor
from accounts.management import who
from accounts.management.exits import WaitsForPerson
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand, amount
from accounts.money import from_base_units
from trades.corrections import decide, propose, selectors
from trades.corrections.batch_reversal import carry_on
from trades.corrections.funding import OF_THE_FIRM, propose_firms_own
from trades.corrections.payment_return import moved
from trades.errors import PaymentNotFound
from trades.models import Correction, Payment
from trades.settlement.settle import CHUNK
from trades.states import CorrectionState


def chunk_size(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= CHUNK:
        raise ArgumentTypeError(f"must be a whole number from 1 to {CHUNK}")
    return int(text)


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
        back = kinds.add_parser("payment-return", help="a deposit was taken away again outside, or a payout came back")
        back.add_argument("guid")
        back.add_argument("--amount", help="in units of the asset, e.g. 25.00; without it all that had moved")
        self._says_why(back, with_reference=True)
        resolved = kinds.add_parser("break", help="a leg's difference was paid after all, or is written off")
        resolved.add_argument("guid")
        resolved.add_argument("how", choices=sorted(_BREAKS))
        self._says_why(resolved, with_reference=True)
        for name, whose in (("apply", "as the checker"), ("reject", "as the checker, or as the maker who withdraws")):
            one = does.add_parser(name, help=whose)
            one.add_argument("guid")
            self._is_by(one)
            if name == "apply":
                one.add_argument(
                    "--chunk",
                    type=chunk_size,
                    default=CHUNK,
                    help=f"a batch's trades per transaction (default {CHUNK})",
                )
        listing = does.add_parser("list", help="newest first")
        listing.add_argument("--state", choices=CorrectionState.values, default="")
        super().add_arguments(listing)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["does"] == "list":
            found = list(selectors.corrections(state=options["state"]))
            facts = {"corrections": [_told(one) for one in found]}
            self.say_found(options, facts, list(map(_written, found)), nothing="There is no such correction.")
            return
        by = _by(options)
        done = _propose(options, by) if options["does"] == "propose" else _decide(options, by)
        correction = selectors.correction(done.pk)
        self.say(options, _told(correction), _written(correction))
        if options["does"] == "apply" and correction.waits_for:
            raise WaitsForPerson(f"Customers who can't pay back what they received: {len(correction.waits_for)}.")

    def _says_why(self, parser: ArgumentParser, *, with_reference: bool = False) -> None:
        parser.add_argument("--reason", required=True)
        if with_reference:
            parser.add_argument("--reference", default="", help="the bank's or the provider's own")
        self._is_by(parser)

    def _is_by(self, parser: ArgumentParser) -> None:
        who.add_by(parser)
        super().add_arguments(parser)


def _by(options: dict[str, Any]) -> Actor:
    """Who does it, if their roles let them. Raises what `who.actor` raises."""
    if options["does"] == "propose":
        return who.actor(options, "handle_payment" if options["kind"] == "payment-return" else "propose_correction")
    maker = who.maker_of(Correction, guid_of(options["guid"])) if options["does"] == "reject" else None
    return who.actor(options, "apply_correction", maker)


def _propose(options: dict[str, Any], by: Actor) -> Correction:
    at, why = clock.firm_now(), options["reason"]
    if options["kind"] in _REVERSALS:
        reverses, _ = _REVERSALS[options["kind"]]
        return reverses(guid_of(options["guid"]), reason=why, by=by, at=at)
    if options["kind"] == "break":
        kind, reference = _BREAKS[options["how"]], options["reference"]
        return propose.propose_break_resolution(
            guid_of(options["guid"]), kind, reason=why, reference=reference, by=by, at=at
        )
    if options["kind"] == "payment-return":
        return _payment_return(options, by, at)
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


def _payment_return(options: dict[str, Any], by: Actor, at: datetime) -> Correction:
    payment = Payment.objects.filter(pk=guid_of(options["guid"])).first()
    if payment is None:
        raise PaymentNotFound
    amount = moved(payment) if options["amount"] is None else services.base_units(payment.asset_id, options["amount"])
    return propose.propose_payment_return(
        payment.pk, amount, reference=options["reference"], reason=options["reason"], by=by, at=at
    )


def _decide(options: dict[str, Any], by: Actor) -> Correction:
    correction = selectors.correction(guid_of(options["guid"]))
    if options["does"] == "reject":
        return decide.reject(correction.pk, by=by, at=clock.firm_now())
    if correction.state != CorrectionState.APPLYING:  # who applies one that was begun carries it on
        correction = decide.apply(correction.pk, by=by, at=clock.firm_now(), chunk=options["chunk"])
    _carry_on(correction)
    return correction


def _carry_on(correction: Correction) -> None:
    """To its end, or as far as customers can pay back, under a progress bar."""
    if correction.state != CorrectionState.APPLYING:
        return
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(correction.pk.hex[-10:], total=correction.trades_count)
        for progress in carry_on(correction.pk, clock=clock.firm_now):
            bar.update(task, completed=progress.reversed, total=progress.total)


def _told(one: Correction) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "kind": one.kind,
        "state": one.state,
        "subject": one.subject,
        "customer_guid": one.customer_id,
        "asset": one.asset_id,
        "amount": _amount(one),
        "direction": one.direction or None,
        "reason": one.reason,
        "reference": one.reference or None,
        "needs_checker": one.needs_checker,
        "made_by": _who(one.made_by, one.made_by_client),
        "checked_by": _who(one.checked_by, one.checked_by_client),
        "made_at": one.made_at,
        "decided_at": one.decided_at,
        "movements": one.movements_count,
        "trades": one.trades_count,
        "trades_done": one.trades_done,
        "waits_for": one.waits_for,
    }


def _amount(one: Correction) -> dict[str, Any] | None:
    if one.asset is None or one.amount is None:
        return None
    return amount(one.amount, one.asset.pk, one.asset.decimals)


def _units(one: Correction) -> str:
    """e.g. " 25.00 USD credit"; empty where no money is named."""
    if one.asset is None or one.amount is None:
        return ""
    return f" {from_base_units(one.amount, one.asset.decimals):f} {one.asset.pk} {one.direction}".rstrip()


def _who(user: Any, client: Any) -> str | None:
    return str(user or client) if user or client else None


def _written(one: Correction) -> str:
    about = one.subject.hex if one.subject else f"customer {one.customer_id.hex}" if one.customer_id else "the firm"
    checker = _who(one.checked_by, one.checked_by_client)
    checked = f", decided by {checker}" if checker else ""
    made_by = _who(one.made_by, one.made_by_client)
    moved = f", movements: {one.movements_count}" if one.state == CorrectionState.APPLIED else ""
    how_far = _how_far(one) if one.state == CorrectionState.APPLYING else ""
    about = f"{one.kind} of {about}{_units(one)}"
    return f"{one.pk.hex} {about}: {one.state}, made by {made_by}{checked}{moved}{how_far}"


def _how_far(one: Correction) -> str:
    waits = f"; waits for customers who can't pay back: {len(one.waits_for)}" if one.waits_for else ""
    return f", {one.trades_done} of {one.trades_count} trades{waits}"
