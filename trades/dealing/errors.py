"""Refusals of dealers' actions, one class each."""

from __future__ import annotations

from accounts.errors import Conflict, NotFound, Refusal


class ActionNotFound(NotFound):
    sentence = "There is no such action."


class ActionDecided(Conflict):
    code = "already_decided"
    sentence = "The action is decided already."


class ProposalTooOld(Refusal):
    code = "proposal_too_old"
    sentence = "This was proposed more than a day ago, and prices have moved: propose it anew."


class NothingToDo(Refusal):
    """What it is about isn't open, or doesn't wait, any more."""

    code = "nothing_to_do"
    sentence = "Nothing of that is open any more."


class ActionTooOld(Refusal):
    code = "action_too_old"
    sentence = "This was ordered too long ago, and no engine does it any more: propose it anew."
