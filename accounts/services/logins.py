"""Logins to the admin: what became of each, and how an owner whom failures keep out is let in again."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Final

from django.dispatch import Signal

log = logging.getLogger(__name__)

# Sent with `email` and `addresses` (those it has been used from): whoever counts failures forgets this account's.
let_in: Final = Signal()


class Outcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"  # too many failures before it: the password wasn't looked at


def record(outcome: Outcome, email: str, address: str) -> None:
    """A login was tried with this e-mail address from this network address. The one place that hears of all of them.

    The log names nobody.
    """
    level = logging.INFO if outcome is Outcome.DONE else logging.WARNING
    log.log(level, "a login to the admin: %s", outcome.value)


def let_in_again(email: str, addresses: list[str]) -> None:
    """Forget the failed logins of an account, so that its owner may try at once."""
    let_in.send(sender=None, email=email, addresses=addresses)
