"""`manage.py counterparty`: whom the firm settles with, and where each gets its assets, agreed by two persons."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from accounts import clock
from accounts.management import who
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand
from trades.models import Counterparty, StandingInstruction
from trades.settlement.instructions import standing
from trades.settlement.instructions.errors import CounterpartyNotFound

DESTINATION = ("holder", "iban", "bic", "bank_name", "network", "address", "memo")
MOST_LISTED = 1_000


class Command(JSONCommand):
    help = "Add counterparties; propose, approve and refuse the standing instructions that say where money goes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        super().add_arguments(does.add_parser("list", help="counterparties, and where each gets what"))
        add = does.add_parser("add", help="a new counterparty; nothing goes to it yet")
        add.add_argument("name")
        add.add_argument("--lei", default="", help="Legal Entity Identifier, 20 characters")
        add.add_argument("--own", action="store_true", help="it is the firm itself: the accounts it pays from")
        propose = does.add_parser("propose", help="where it gets an asset: a bank account, or a wallet")
        propose.add_argument("name")
        propose.add_argument("asset")
        for name in DESTINATION:
            propose.add_argument(f"--{name.replace('_', '-')}", default="")
        propose.add_argument("--default", action="store_true", help="it settles the asset from then on")
        propose.add_argument("--reason", required=True)
        for name, help_ in (("approve", "in the name of a second person"), ("refuse", "or withdraw one's own")):
            does.add_parser(name, help=help_).add_argument("guid")
        for name, help_ in (("off", "no new instruction is made for it"), ("on", "instructions are made again")):
            does.add_parser(name, help=help_).add_argument("name")
        for name in ("add", "propose", "approve", "refuse", "off", "on"):
            who.add_by(does.choices[name])
            super().add_arguments(does.choices[name])

    def handle(self, *args: Any, **options: Any) -> None:
        does = options["does"]
        if does == "list":
            self._list(options)
            return
        by = _by(does, options)
        if does in ("propose", "approve", "refuse"):
            one = _decided_or_proposed(does, options, by)
            self.say(options, _told(one), _written(one))
            return
        found = _switched_or_added(does, options, by)
        self.say(options, _told_of(found, []), _written_of(found))

    def _list(self, options: dict[str, Any]) -> None:
        found = list(Counterparty.objects.order_by("name")[:MOST_LISTED])
        going: dict[UUID, list[StandingInstruction]] = {}
        rows = StandingInstruction.objects.exclude(state="refused").select_related("counterparty")
        for one in rows.order_by("counterparty__name", "asset_id", "pk")[:MOST_LISTED]:
            going.setdefault(one.counterparty_id, []).append(one)
        facts = {"counterparties": [_told_of(each, going.get(each.pk, [])) for each in found]}
        lines = [line for each in found for line in (_written_of(each), *map(_written, going.get(each.pk, [])))]
        self.say(options, facts, *(lines or ["There is no counterparty."]))


def _by(does: str, options: dict[str, Any]) -> UUID:
    """Who does it, if their roles let them. Raises what `who.somebody` raises."""
    if does not in ("approve", "refuse"):
        return who.somebody(options, "propose_standing_instruction" if does == "propose" else "add_counterparty").pk
    maker = who.maker_of(StandingInstruction, guid_of(options["guid"])) if does == "refuse" else None
    return who.somebody(options, "decide_standing_instruction", maker).pk


def _decided_or_proposed(does: str, options: dict[str, Any], by: UUID) -> StandingInstruction:
    at = clock.firm_now()
    if does != "propose":
        decides = standing.approve if does == "approve" else standing.refuse
        return decides(guid_of(options["guid"]), by=by, at=at)
    return standing.propose(
        _named(options["name"]).pk,
        options["asset"],
        {name: options[name] for name in DESTINATION},
        reason=options["reason"],
        is_default=options["default"],
        by=by,
        at=at,
    )


def _switched_or_added(does: str, options: dict[str, Any], by: UUID) -> Counterparty:
    if does == "add":
        return standing.add_counterparty(
            options["name"], lei=options["lei"], is_own=options["own"], by=by, at=clock.firm_now()
        )
    return standing.switch_counterparty(_named(options["name"]).pk, on=does == "on")


def _named(text: str) -> Counterparty:
    found = Counterparty.objects.filter(name=text.strip()).first() if "\x00" not in text else None
    if found is None:
        raise CounterpartyNotFound(f"There is no counterparty {text[:70]!r}.")
    return found


def _told(one: StandingInstruction) -> dict[str, Any]:
    said = {name: getattr(one, name) for name in DESTINATION if getattr(one, name)}
    return {
        "guid": one.pk,
        "counterparty": one.counterparty.name,
        "asset": one.asset_id,
        "kind": one.kind,
        **said,
        "is_default": one.is_default,
        "state": one.state,
        "in_force_from": one.in_force_from,
        "reason": one.reason,
    }


def _told_of(one: Counterparty, going: list[StandingInstruction]) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "name": one.name,
        "lei": one.lei,
        "is_own": one.is_own,
        "is_active": one.is_active,
        "standing_instructions": [_told(each) for each in going],
    }


def _written(one: StandingInstruction) -> str:
    default = ", default" if one.is_default else ""
    return f"  {one.pk.hex} {one.asset_id} to {one.iban or one.network + ' ' + one.address}: {one.state}{default}"


def _written_of(one: Counterparty) -> str:
    return f"{one.name}{', the firm itself' if one.is_own else ''}{'' if one.is_active else ', off'}"
