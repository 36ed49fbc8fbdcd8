"""`manage.py audit_ledger`: do the books balance? Exit code 1 where they don't."""

from __future__ import annotations

import sys
from typing import Any

from django.utils import timezone

from accounts import audit
from accounts.management.output import JSONCommand


class Command(JSONCommand):
    help = "Recount every balance from its transfers, and every order's and trade's money from its events."

    def handle(self, *args: Any, **options: Any) -> None:
        result = audit.run(timezone.now())
        facts = {"ok": result.ok, "at": result.at, "counted": result.counted, "findings": result.findings}
        self.say(
            options,
            facts,
            *(f"BREAK {finding['check']}: {finding['sentence']}" for finding in result.findings),
            *(f"{name}: looked at {count}" for name, count in result.counted.items()),
            "The books balance." if result.ok else f"{len(result.findings)} breaks.",
        )
        if not result.ok:
            sys.exit(1)
