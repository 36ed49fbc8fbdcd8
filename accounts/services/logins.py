"""Logins to the admin: what became of each, and how an owner whom failures keep out is let in again."""

from __future__ import annotations

import logging
import unicodedata
from enum import StrEnum
from typing import Final

from django.dispatch import Signal

log = logging.getLogger(__name__)

# Sent with `email` and `addresses` (those it has been used from): whoever counts failures forgets this account's.
let_in: Final = Signal()


def account_meant(text: str) -> str:
    """The e-mail address that a login to the admin is for, as Django's login form reads it (NFKC).

    Whoever counts or names logins to the admin takes it from here. The API's are read as they are written: another
    spelling may be another user's there.
    """
    return as_typed(unicodedata.normalize("NFKC", text))


def as_typed(text: str) -> str:
    """An e-mail address as users are found by it, without what PostgreSQL's text can't hold."""
    return text.replace("\0", "").encode(errors="ignore").decode().strip().lower()[:254]


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
