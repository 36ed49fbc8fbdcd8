"""`manage.py erase_customer`: personal data is erased on request; one person proposes it, another one does it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from accounts import clock, selectors
from accounts.management import who
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand
from trades import erasure
from trades.models import Erasure


class Command(JSONCommand):
    help = "Erase a customer's personal data, for good: propose, carry-out, refuse and list."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        proposes = does.add_parser("propose", help="as the maker; nothing is erased yet")
        proposes.add_argument("customer", help="guid or e-mail address")
        proposes.add_argument("--reason", required=True, help="why; it stays, so it names nobody")
        self._is_by(proposes)
        for name, whose in (("carry-out", "as the checker"), ("refuse", "as the checker, or as the maker")):
            one = does.add_parser(name, help=whose)
            one.add_argument("guid", help="the erasure")
            self._is_by(one)
        super().add_arguments(does.add_parser("list", help="newest first"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["does"] == "list":
            found = list(Erasure.objects.select_related("made_by", "checked_by").order_by("-pk"))
            facts = {"erasures": [_told(one) for one in found]}
            self.say_found(options, facts, list(map(_written, found)), nothing="There is no such erasure.")
            return
        by, at = _by(options), clock.firm_now()
        if options["does"] == "propose":
            customer = selectors.customer_named(options["customer"])
            done = erasure.propose(customer.pk, reason=options["reason"], by=by, at=at)
        else:
            decides = erasure.carry_out if options["does"] == "carry-out" else erasure.refuse
            done = decides(guid_of(options["guid"]), by=by, at=at)
        one = Erasure.objects.select_related("made_by", "checked_by").get(pk=done.pk)
        self.say(options, _told(one), _written(one))

    def _is_by(self, parser: ArgumentParser) -> None:
        who.add_by(parser)
        super().add_arguments(parser)


def _told(one: Erasure) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "customer_guid": one.customer_id,
        "state": one.state,
        "reason": one.reason,
        "made_by": one.made_by.email,
        "made_at": one.made_at,
        "checked_by": one.checked_by.email if one.checked_by else None,
        "decided_at": one.decided_at,
    }


def _written(one: Erasure) -> str:
    checked = f", decided by {one.checked_by.email}" if one.checked_by else ""
    return f"{one.pk.hex} of customer {one.customer_id.hex}: {one.state}, made by {one.made_by.email}{checked}"


def _by(options: dict[str, Any]) -> UUID:
    """Who does it, if their roles let them. Raises what `who.somebody` raises."""
    if options["does"] == "propose":
        return who.somebody(options, "propose_erasure").pk
    maker = who.maker_of(Erasure, guid_of(options["guid"])) if options["does"] == "refuse" else None
    return who.somebody(options, "decide_erasure", maker).pk
