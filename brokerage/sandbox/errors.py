"""What a sandbox's own paths refuse."""

from __future__ import annotations

from accounts.errors import NotFound, Refusal
from brokerage.sandbox.faults import MOST_FAULTS


class FaultNotFound(NotFound):
    sentence = "There is no such fault."


class TooManyFaults(Refusal):
    code = "too_many_faults"
    sentence = f"This client waits for {MOST_FAULTS} faults already; take some away."


class SymbolNotFound(NotFound):
    sentence = "There is no such symbol."


class NotHeld(Refusal):
    code = "price_not_held"
    sentence = "This symbol isn't held: it follows the feed."


class ClockGoesBack(Refusal):
    code = "clock_goes_back"
    sentence = "The firm's clock is never moved back: that time is past by it."


class ClockTooFar(Refusal):
    code = "clock_too_far"
    sentence = "The firm's clock is moved by 31 days at most, and by ten years in all."


class NothingWaits(Refusal):
    code = "no_leg_waits"
    sentence = "No leg of this batch waits to be reported."
