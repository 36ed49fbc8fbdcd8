"""How the admin says that a price is held: by whom, and since when."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin import shown
from quotes.models import PriceHold
from quotes.prices import Price
from quotes.selectors import who


def held_shown(price: Price | None, holds: Mapping[str, PriceHold]) -> SafeString | str:
    """A mark with the person and the time; nothing where the price is the feed's own."""
    if price is None or not price.is_held:
        return ""
    chip = shown.chip("held", {"held": "warning"})
    hold = holds.get(price.symbol)
    if hold is None:
        return chip
    return format_html("{} by {} since {} UTC", chip, who(hold), shown.timestamp(hold.at))
