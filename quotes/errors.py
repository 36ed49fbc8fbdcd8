"""Refusals of markets and quotes, one class each."""

from __future__ import annotations

from accounts.errors import Malformed, Refusal


class StalePrice(Refusal):
    """There is no price that may be used: none, too old, crossed, zero or not a number."""

    code = "stale_price"
    sentence = "There is no fresh price for this symbol."


class UnknownSymbol(Malformed):
    code = "unknown_symbol"
    sentence = "There is no such symbol."
