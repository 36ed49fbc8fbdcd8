"""Where tests read events from. Databases of one server share its transactions' numbers, and so the horizon."""

from __future__ import annotations

import time

from accounts import events
from accounts.models import Event

SECONDS = 30


def here() -> events.Place:
    """The horizon, once no transaction of another database in this server holds it below what is written."""
    give_up = time.monotonic() + SECONDS
    last = Event.objects.order_by("-transaction", "-number").values_list("transaction", "number").first()
    while last and events.horizon() < last:
        assert time.monotonic() < give_up, "a transaction holds the horizon back"
        time.sleep(0.01)
    return events.horizon()
