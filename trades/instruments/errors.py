"""Refusals of changes of instruments, one class each."""

from __future__ import annotations

from accounts.errors import Conflict, Malformed, NotFound, Refusal


class ChangeNotFound(NotFound):
    sentence = "There is no such change of an instrument."


class NothingChanges(Malformed):
    sentence = "The instrument is like that already."


class ChangeWaits(Conflict):
    code = "already_proposed"
    sentence = "Another change of this instrument waits to be decided: apply or refuse it first."


class ChangeDecided(Refusal):
    code = "already_decided"
    sentence = "This change has been decided already."


class InstrumentMoved(Refusal):
    """Its terms are not any more what they were when the change was proposed."""

    code = "instrument_moved"
    sentence = "The instrument was changed since this was proposed: refuse it, and propose it anew."


class InstrumentInUse(Refusal):
    """How fine prices and quantities are can't change under what is open."""

    code = "instrument_in_use"
    sentence = "Decimals can't be changed while anything is open."


class FiresMore(Refusal):
    """What the checker would set off is more than what was stated to them."""

    code = "fires_more"
    sentence = "The change would now fire more than was stated: refuse it, and propose it anew."


class NoPriceToStateBy(Refusal):
    code = "stale_price"
    sentence = "Without any price of this symbol nobody can say what the change would fire."
