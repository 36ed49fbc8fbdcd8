"""What `deposit` and `withdraw` have in common: who, why and by which reference, and the balance afterwards."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.core.management.base import CommandError

from accounts import clock, conflicts, selectors, services
from accounts.identity import Actor
from accounts.ids import uuid7
from accounts.management import who
from accounts.management.exits import WaitsForPerson
from accounts.management.output import JSONCommand, amount
from accounts.models import Asset, Customer
from accounts.money import from_base_units
from trades.corrections.funding import is_done, propose_funding
from trades.models import Payment
from trades.payments import by_command
from trades.states import CorrectionState


class FundingCommand(JSONCommand):
    """Books a payment at once in a sandbox, and elsewhere within the asset's limit; what is above it is proposed as a
    correction, which a second person applies."""

    side: ClassVar[Payment.Side]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("customer", help="guid or e-mail address")
        parser.add_argument("asset", help="e.g. USD")
        parser.add_argument("amount", help="in units of the asset, e.g. 10000.00")
        parser.add_argument(
            "--reference",
            "--key",
            dest="reference",
            help="the bank's own name of this movement: the same one twice, for whomever, moves money once",
        )
        parser.add_argument("--reason", help="why it moves")
        who.add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        by = who.named(options, "book_funding")
        customer = selectors.customer_named(options["customer"])
        code = options["asset"].upper()
        units = services.base_units(code, options["amount"])
        reference, reason = _reference(options["reference"]), _reason(options["reason"])
        actor, at = Actor(user_id=by.pk) if by else None, clock.firm_now()
        if settings.SANDBOX or actor is None:
            says: dict[str, Any] = {"reference": reference, "reason": reason, "at": at}
            is_new = by_command.book(self.side, customer.pk, code, units, by=actor or who.COMMAND_LINE, **says)
            waits = None
        else:
            is_new, waits = self._by_two(customer, code, units, reference, reason, actor, at)
        decimals = Asset.objects.get(pk=code).decimals
        available = selectors.available(customer.pk, code)
        facts = {
            "customer_guid": customer.pk,
            "asset": code,
            "amount": amount(units, code, decimals),
            "reference": reference,
            "by": by.email if by else who.COMMAND_LINE,
            "reason": reason or None,
            "moved": is_new,
            "waits_for_a_second_person": waits,
            "available": amount(available, code, decimals),
            **({} if is_new or waits else {"nothing": True}),
        }
        done, left = _done(is_new, waits), from_base_units(available, decimals)
        self.say(options, facts, f"{done}, reference {reference}. Available now: {left:f} {code}", *_alone())
        if waits is not None:
            raise WaitsForPerson(f"A second person applies it: manage.py correct apply {waits.hex}")

    @conflicts.atomic
    def _by_two(
        self, customer: Customer, asset: str, amount: int, reference: str, reason: str, by: Actor, at: datetime
    ) -> tuple[bool, UUID | None]:
        """Whether money moved, and the correction that waits for a second person, if one does."""
        if is_done(self.side, customer.pk, asset, amount, reference):
            return False, None
        says: dict[str, Any] = {"reference": reference, "reason": reason, "by": by, "at": at}
        if by_command.may_alone(self.side, customer.pk, asset, amount, reference, by=by, at=at):
            return by_command.book(self.side, customer.pk, asset, amount, **says), None
        mine = uuid7()
        made = propose_funding(self.side, customer.pk, asset, amount, once=mine, **says)
        is_new = made.state == CorrectionState.APPLIED and made.once == mine
        return is_new, made.pk if made.state == CorrectionState.PROPOSED else None


def _reference(given: str | None) -> str:
    """As given, an empty one too: the service refuses it. A sandbox's command may leave it out."""
    if given is not None:
        return given
    if settings.SANDBOX:
        return secrets.token_hex(8)
    raise CommandError("Name the bank's own reference: --reference TEXT. By it the same movement is made once.")


def _reason(given: str | None) -> str:
    if given is None and settings.SANDBOX:
        return ""
    if given is None or not given.strip():
        raise CommandError("Say why: --reason TEXT.")
    return given.strip()


def _done(is_new: bool, waits: UUID | None) -> str:
    if waits is not None:
        return f"Proposed, nothing moved yet: a second person applies it, manage.py correct apply {waits.hex}"
    return "Done" if is_new else "Done before: nothing moved"


def _alone() -> tuple[str, ...]:
    return ("A sandbox asks for no second person, whatever the amount.",) if settings.SANDBOX else ()
