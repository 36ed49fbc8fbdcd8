"""`manage.py create_customer --email …`: a trader who can log in."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from typing import Any

from accounts import clock, services
from accounts.management.output import JSONCommand
from accounts.states import CustomerState


class Command(JSONCommand):
    help = "Create a verified customer with a login; a password that was made here is printed once."
    is_deed = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--email", required=True)
        parser.add_argument("--password", help="made if not given")
        parser.add_argument("--name", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        password = options["password"] or secrets.token_urlsafe(12)
        verified = CustomerState.VERIFIED  # whoever runs commands here answers for the customer
        customer = services.create_customer(options["email"], password, options["name"], clock.now(), state=verified)
        facts = {"customer_guid": customer.pk, "user_id": customer.user_id, "email": options["email"].strip().lower()}
        lines = [f"customer {customer.pk.hex}", f"email    {facts['email']}"]
        if not options["password"]:
            facts["password"] = password
            lines.append(f"password {password}   (shown this once)")
        self.say(options, facts, *lines)
