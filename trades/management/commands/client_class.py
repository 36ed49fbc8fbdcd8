"""`manage.py client_class`: a customer is retail or professional; one person proposes it, another one applies it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from accounts import clock, selectors
from accounts.management import who
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand
from accounts.states import ClientClass
from trades import client_classes
from trades.models import ClientClassChange


class Command(JSONCommand):
    help = "Give a customer another client class: propose, apply, refuse and list."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        proposes = does.add_parser("propose", help="as the maker; nothing changes yet")
        proposes.add_argument("customer", help="guid or e-mail address")
        proposes.add_argument("client_class", choices=ClientClass.values)
        proposes.add_argument("--reason", required=True)
        self._is_by(proposes)
        for name, whose in (("apply", "as the checker"), ("refuse", "as the checker, or as the maker who withdraws")):
            one = does.add_parser(name, help=whose)
            one.add_argument("guid", help="the change")
            self._is_by(one)
        listing = does.add_parser("list", help="newest first")
        listing.add_argument("--state", choices=ClientClassChange.State.values, default="")
        super().add_arguments(listing)

    def handle(self, *args: Any, **options: Any) -> None:
        does = options["does"]
        if does == "list":
            found = list(client_classes.changes(state=options["state"]))
            facts = {"changes": [_told(one) for one in found]}
            self.say_found(options, facts, list(map(_written, found)), nothing="There is no such change.")
            return
        by, at = _by(does, options), clock.firm_now()
        if does == "propose":
            customer, becomes = selectors.customer_named(options["customer"]), options["client_class"]
            done = client_classes.propose(customer.pk, becomes, reason=options["reason"], by=by, at=at)
        else:
            decides = client_classes.apply if does == "apply" else client_classes.refuse
            done = decides(guid_of(options["guid"]), by=by, at=at)
        one = client_classes.changes().get(pk=done.pk)
        self.say(options, _told(one), _written(one))

    def _is_by(self, parser: ArgumentParser) -> None:
        who.add_by(parser)
        super().add_arguments(parser)


def _by(does: str, options: dict[str, Any]) -> UUID:
    """Who does it, if their roles let them. Raises what `who.somebody` raises."""
    if does == "propose":
        return who.somebody(options, "propose_client_class").pk
    maker = who.maker_of(ClientClassChange, guid_of(options["guid"])) if does == "refuse" else None
    return who.somebody(options, "decide_client_class", maker).pk


def _told(one: ClientClassChange) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "customer_guid": one.customer_id,
        "state": one.state,
        "was": one.was,
        "becomes": one.becomes,
        "reason": one.reason,
        "made_by": one.made_by.email,
        "made_at": one.made_at,
        "checked_by": one.checked_by.email if one.checked_by else None,
        "decided_at": one.decided_at,
    }


def _written(one: ClientClassChange) -> str:
    checked = f", decided by {one.checked_by.email}" if one.checked_by else ""
    return (
        f"{one.pk.hex} customer {one.customer_id.hex} {one.was} to {one.becomes}: {one.state},"
        f" made by {one.made_by.email}{checked}"
    )
