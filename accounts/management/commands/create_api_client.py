"""`manage.py create_api_client NAME`: a program that may act for the firm."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from accounts import clock, services
from accounts.identity import FIRM_SCOPES
from accounts.management.output import JSONCommand


class Command(JSONCommand):
    help = "Create an API client; its secret is printed once and can't be shown again."
    is_deed = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name")
        parser.add_argument("--scopes", nargs="+", default=sorted(FIRM_SCOPES), help="default: all of the firm's")

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = [scope for given in options["scopes"] for scope in given.replace(",", " ").split()]
        client, secret = services.create_api_client(options["name"], scopes, clock.now())
        self.say(
            options,
            {"name": client.name, "client_id": client.client_id, "client_secret": secret, "scopes": client.scopes},
            f"client_id     {client.client_id}",
            f"client_secret {secret}   (shown this once)",
            f"scopes        {' '.join(client.scopes)}",
        )
