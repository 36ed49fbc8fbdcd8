"""What `deposit` and `withdraw` have in common: the command line, and the balance afterwards."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, ClassVar

from accounts import clock, selectors, services
from accounts.management.output import JSONCommand, politely
from accounts.models import Asset
from accounts.money import from_base_units


class FundingCommand(JSONCommand):
    move: ClassVar[Callable[..., bool]]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("customer", help="guid or e-mail address")
        parser.add_argument("asset", help="e.g. USD")
        parser.add_argument("amount", help="in units of the asset, e.g. 10000.00")
        parser.add_argument("--key", help="names this movement: the same key twice moves money once")

    @politely
    def handle(self, *args: Any, **options: Any) -> None:
        customer = selectors.customer_named(options["customer"])
        code = options["asset"].upper()
        amount = services.base_units(code, options["amount"])
        key = options["key"] or secrets.token_hex(8)
        is_new = type(self).move(customer, code, amount, key, clock.now(), "the command line")
        decimals = Asset.objects.get(pk=code).decimals
        available = from_base_units(selectors.available(customer.pk, code), decimals)
        self.say(
            options,
            {
                "customer_guid": customer.pk,
                "asset": code,
                "amount": from_base_units(amount, decimals),
                "key": key,
                "moved": is_new,
                "available": available,
            },
            f"{'Done' if is_new else 'Done before: nothing moved'}, key {key}. Available now: {available:f} {code}",
        )
