"""`manage.py instructions`: make and net them, hand out payment files, follow what becomes of them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts import clock
from accounts.management import who
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand, amount
from accounts.money import from_base_units
from trades.management import bank_files
from trades.models import InstructionLeg, SettlementInstruction
from trades.settlement.instructions import files, make, moves, statements
from trades.settlement.instructions.carry_forward import carried_in
from trades.settlement.instructions.errors import InstructionNotFound

MOST_LISTED = 1_000

Carried = Mapping[UUID, Sequence[InstructionLeg]]


class Command(JSONCommand):
    help = "Settlement instructions: make and net them, write payment files, say what became of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        listing = does.add_parser("list", help="the open ones, and those that may still be paid, the oldest first")
        listing.add_argument("--all", action="store_true", help="those that have ended, too")
        making = does.add_parser("make", help="for a batch's legs that are still without")
        making.add_argument("--batch", required=True, metavar="GUID")
        net = does.add_parser("net", help="across the batches of a day, after its last cut")
        net.add_argument("--day", required=True, type=date.fromisoformat, help="the value date, YYYY-MM-DD")
        file_ = does.add_parser("file", help="what is outgoing and waits, as a file for the bank")
        scope = file_.add_mutually_exclusive_group(required=True)
        scope.add_argument("--batch", metavar="GUID")
        scope.add_argument("--day", type=date.fromisoformat, help="a value date, YYYY-MM-DD")
        bank_files.add_file(file_)
        for name, help_ in (
            ("send", "it was given to the bank by another way than a file"),
            ("fail", "it won't be carried out: its legs failed"),
            ("cancel", "it is given up before it was sent"),
        ):
            one = does.add_parser(name, help=help_)
            one.add_argument("reference")
            if name != "send":
                one.add_argument("--reason", required=True)
            if name == "fail":
                one.add_argument(
                    "--stopped",
                    action="store_true",
                    help="the bank has refused or stopped it: what was sent may still be paid until then",
                )
        bank_files.add_import(does.add_parser("import", help=bank_files.IMPORT))
        match = does.add_parser("match", help="a listed entry by hand, to the instruction that it confirms")
        match.add_argument("entry", metavar="GUID")
        match.add_argument("reference", nargs="?", help="the instruction; without one it is explained: a fee, interest")
        match.add_argument("--reason", required=True)
        for name, one in does.choices.items():
            if name != "list":
                who.add_by(one)
            super().add_arguments(one)

    def handle(self, *args: Any, **options: Any) -> None:
        {
            "list": self._list,
            "make": self._make,
            "net": self._make,
            "file": self._file,
            "send": self._move,
            "fail": self._move,
            "cancel": self._move,
            "import": self._import,
            "match": self._match,
        }[options["does"]](options)

    def _list(self, options: dict[str, Any]) -> None:
        found = SettlementInstruction.objects.order_by("pk")
        if not options["all"]:
            found = found.filter(Q(state__in=["made", "sent"]) | Q(may_be_paid=True))
        rows = list(found.select_related("asset", "counterparty", "payment_file")[:MOST_LISTED])
        carried = carried_in(rows)
        facts = {"instructions": [_told(one, carried) for one in rows]}
        lines = [line for one in rows for line in _written(one, carried)]
        self.say_found(options, facts, lines, nothing="No instruction is open.")

    def _make(self, options: dict[str, Any]) -> None:
        by, at = who.actor(options, "handle_instruction"), clock.firm_now()
        if options["does"] == "net":
            made = make.net_day(options["day"], by=by, at=at)
        else:
            made = make.make_for_batch(guid_of(options["batch"]), by=by, at=at)
        rows = [_again(one) for one in made.instructions]
        carried = carried_in(rows)
        facts = {
            "instructions": [_told(one, carried) for one in rows],
            "without_counterparty": [
                {"leg_guid": leg.pk, "batch_guid": leg.batch_id, "asset": leg.asset_id} for leg in made.without
            ],
            "not_begun": made.not_begun,
            "may_be_paid": [
                {"leg_guid": line.leg_id, "instruction": line.instruction.reference} for line in made.may_be_paid
            ],
        }
        lines = [line for one in rows for line in _written(one, carried)]
        lines += [f"Without: leg {leg.pk.hex}, nobody settles {leg.asset_id}." for leg in made.without]
        lines += [f"Not yet: batch {batch.hex} hasn't begun to settle." for batch in made.not_begun]
        lines += [
            f"Not yet: leg {line.leg_id.hex}, {line.instruction.reference} was sent and may still be paid. Once the"
            f" bank has refused or stopped it: instructions fail {line.instruction.reference} --stopped."
            for line in made.may_be_paid
        ]
        self.say(options, facts if rows else {**facts, "nothing": True}, *(lines or ["No leg is without instruction."]))

    def _file(self, options: dict[str, Any]) -> None:
        bank_files.must_be_free(options["output"])
        does = files.repeat_file if options["repeat"] else files.make_file
        batch = guid_of(options["batch"]) if options["batch"] else None
        by = who.actor(options, "make_payment_file")
        made = does(options["format"], batch_id=batch, day=options["day"], by=by, at=clock.firm_now())
        bank_files.write(self, options, made, "instructions")

    def _import(self, options: dict[str, Any]) -> None:
        bank_files.import_statement(self, options)

    def _match(self, options: dict[str, Any]) -> None:
        given = {"note": options["reason"], "by": who.actor(options, "match_entry"), "at": clock.firm_now()}
        guid = guid_of(options["entry"])
        if options["reference"]:
            one = statements.match_by_hand(guid, options["reference"], **given)
        else:
            one = statements.explain(guid, **given)
        self.say(options, bank_files.told_of_entry(one), bank_files.written_of_entry(one))

    def _move(self, options: dict[str, Any]) -> None:
        found = SettlementInstruction.objects.filter(reference=options["reference"].strip().upper()).first()
        if found is None:
            raise InstructionNotFound(f"There is no instruction {options['reference'][:40]!r}.")
        by, at = who.actor(options, "handle_instruction"), clock.firm_now()
        if options["does"] == "send":
            moves.send(found.pk, at=at)
        elif options["does"] == "fail":
            moves.fail(found.pk, note=options["reason"], by=by, at=at, is_stopped=options["stopped"])
        else:
            moves.cancel(found.pk, note=options["reason"], at=at)
        one = _again(found)
        carried = carried_in([one])
        self.say(options, _told(one, carried), *_written(one, carried))


def _again(one: SettlementInstruction) -> SettlementInstruction:
    return SettlementInstruction.objects.select_related("asset", "counterparty", "payment_file").get(pk=one.pk)


def _told(one: SettlementInstruction, carried: Carried) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "reference": one.reference,
        "counterparty": one.counterparty.name,
        "direction": one.direction,
        "amount": amount(one.amount, one.asset_id, one.asset.decimals),
        "confirmed": amount(one.confirmed_amount, one.asset_id, one.asset.decimals),
        "value_date": one.value_date.isoformat(),
        "state": one.state,
        "may_be_paid": one.may_be_paid,
        "batch_guid": one.batch_id,
        "payment_file": one.payment_file.message_id if one.payment_file else None,
        "note": one.note,
        "carried_forward": [
            {
                "leg_guid": line.leg_id,
                "batch_guid": line.leg.batch_id,
                "to_leg_guid": line.carried_to_id,
                "direction": line.direction,
                "amount": amount(line.amount, one.asset_id, one.asset.decimals),
            }
            for line in carried.get(one.pk, ())
        ],
    }


def _written(one: SettlementInstruction, carried: Carried) -> Iterator[str]:
    """Its line, and one for each leg of an earlier batch that is carried forward in it."""
    text = f"{one.reference} {one.direction} {from_base_units(one.amount, one.asset.decimals):f} {one.asset_id}"
    may_be_paid = " and may still be paid" if one.may_be_paid else ""
    note = f", {one.note}" if one.note else ""
    yield f"{text}, {one.counterparty.name}, {one.value_date}: {one.state}{may_be_paid}{note}"
    for line in carried.get(one.pk, ()):
        units = f"{from_base_units(line.amount, one.asset.decimals):f} {one.asset_id}"
        yield f"  {line.direction} {units} of leg {line.leg_id.hex}, batch {line.leg.batch_id.hex}, carried forward"
