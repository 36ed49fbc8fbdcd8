"""How the admin says why a price is none."""

from __future__ import annotations

from quotes.judging import Fault

WHY_NONE = {
    Fault.UNSOUND: "not a price",
    Fault.SPREAD: "its spread is too wide",
    Fault.JUMP: "too far from the one before",
    Fault.FUTURE: "from the future",
    Fault.HOLD: "held by nobody",
    Fault.CLOSED: "closed, and its last price is not known",
}
