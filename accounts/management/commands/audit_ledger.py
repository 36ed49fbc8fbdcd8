"""`manage.py audit_ledger`: do the books balance, and is history what was sealed? Exit code 1 where not."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from accounts import audit, clock
from accounts.management.exits import Found
from accounts.management.output import JSONCommand


class Command(JSONCommand):
    help = "Recount every balance from its transfers, and every order's and trade's money from its events."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--verify", action="store_true", help="also compare history with the sealed blocks")
        parser.add_argument("--head", default="", metavar="HASH", help="verify, and that this head is in the chain")

    def handle(self, *args: Any, **options: Any) -> None:
        noted = options["head"].strip().lower()
        result = audit.run(clock.now(), verify=options["verify"] or bool(noted), noted=noted)
        tampered = [finding for finding in result.findings if finding["tampered"]]
        facts = {
            "ok": result.ok,
            "at": result.at,
            "counted": result.counted,
            "findings": result.findings,
            "tampered": tampered,
        }
        self.say(
            options,
            facts,
            *(f"{_word(finding)} {finding['check']}: {finding['sentence']}" for finding in result.findings),
            *(f"{name}: looked at {count}" for name, count in result.counted.items()),
            *(["The books balance."] if result.ok else []),
        )
        if not result.ok:
            raise Found(_verdict(len(result.findings), len(tampered)))


def _word(finding: dict[str, Any]) -> str:
    return "TAMPERED" if finding["tampered"] else "BREAK"


def _verdict(findings: int, tampered: int) -> str:
    if not tampered:
        return f"{findings} breaks."
    return f"{tampered} tampered with; {findings - tampered} breaks, which may only follow from that."
