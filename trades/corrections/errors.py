"""Refusals of corrections, one class each."""

from __future__ import annotations

from accounts.errors import Conflict, InsufficientFunds, NotFound, Refusal


class CorrectionNotFound(NotFound):
    sentence = "There is no such correction."


class AlreadyProposed(Conflict):
    code = "already_proposed"
    sentence = "This correction has been proposed already and waits to be decided."


class AlreadyDecided(Refusal):
    code = "already_decided"
    sentence = "This correction has been decided already."


class NotCompleted(Refusal):
    """What has not completed is not reversed: it is flagged, left out or cancelled."""

    code = "not_completed"
    sentence = "Only what is completed can be reversed."


class AlreadyReturned(Conflict):
    code = "already_returned"
    sentence = "This payment has come back already, or somebody has proposed that it has."


class AlreadyReversed(Refusal):
    code = "already_reversed"
    sentence = "This has been reversed already."


class NothingToReverse(Refusal):
    code = "nothing_to_reverse"
    sentence = "Nothing was moved that could be reversed."


class CannotPayBack(InsufficientFunds):
    """Some customers of a batch have spent what its reversal would take back."""

    sentence = "The customers' available balances do not cover this reversal."
