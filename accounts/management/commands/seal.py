"""`manage.py seal`: seal history now instead of within five minutes, and print the head to keep elsewhere."""

from __future__ import annotations

from typing import Any

from accounts import clock, seals
from accounts.management.output import JSONCommand


class Command(JSONCommand):
    help = "Seal transfers, deals, trade events and audits older than ten minutes in hash-chained blocks."

    def handle(self, *args: Any, **options: Any) -> None:
        done = seals.seal(clock.now())
        facts = {
            "blocks": done.blocks,
            "rows": done.rows,
            "head": {"number": done.head.number, "hash": done.head.hash} if done.head else None,
        }
        self.say(
            options,
            facts if done.rows else {**facts, "nothing": True},
            f"Sealed {done.rows} rows in {done.blocks} blocks.",
            f"Head: block {done.head.number} {done.head.hash}" if done.head else "Nothing is sealed yet.",
        )
