"""How the sources of prices are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import redis

from accounts.errors import Unavailable
from accounts.management.output import JSONCommand
from quotes import source_health
from quotes.source_health import SourceHealth


class Command(JSONCommand):
    help = "Show how each source of prices is, as the feed that publishes says: connected, its last message, gaps."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            now, sources = source_health.read()
        except redis.RedisError:
            raise Unavailable("Redis can't be reached.") from None
        facts = {"sources": {name: _facts(source, now) for name, source in sorted(sources.items())}}
        lines = [_line(name, source, now) for name, source in sorted(sources.items())]
        self.say_found(options, facts, lines, nothing="No feed has said anything.")


def _facts(source: SourceHealth, now: datetime) -> dict[str, Any]:
    return {
        "connected": source.is_connected,
        "last_message": source.last_message,
        "told_seconds_ago": _seconds(source.at, now),
        **source.counts,
        "trouble": source.trouble or None,
    }


def _line(name: str, source: SourceHealth, now: datetime) -> str:
    state = "connected" if source.is_connected else "away"
    last = f"{_seconds(source.last_message, now)} s ago" if source.last_message else "never"
    counts = ", ".join(f"{count} {what}" for what, count in source.counts.items())
    told = f"; told {_seconds(source.at, now)} s ago"
    return f"{name}: {state}, last message {last}; {counts}{told}" + (f"; {source.trouble}" if source.trouble else "")


def _seconds(then: datetime, now: datetime) -> int:
    return max(int((now - then).total_seconds()), 0)
