"""Changes of instruments that were made, or are proposed."""

from __future__ import annotations

from django.db.models import QuerySet

from quotes import terms
from quotes.models import InstrumentChange


def changes(*, state: str = "") -> QuerySet[InstrumentChange]:
    """Newest first, with everybody they name."""
    found = InstrumentChange.objects.select_related("made_by", "checked_by").order_by("-pk")
    return found.filter(state=state) if state else found


def changes_shown(one: InstrumentChange) -> str:
    """spread_bps 5 to 9, fee_bps 25 to 30."""
    return ", ".join(
        f"{name} {terms.shown(one.old.get(name))} to {terms.shown(value)}" for name, value in sorted(one.new.items())
    )
