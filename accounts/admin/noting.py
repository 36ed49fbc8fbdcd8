"""What a page knows of a deed and its answer doesn't show: the row that it made, and why it refused."""

from __future__ import annotations

from typing import Final

from django.db.models import Model
from django.http import HttpRequest

from accounts.services.journal import Deed, Outcome, named

ONCE: Final = "once_only"
"""The name of a dialog's one-time key (accounts/admin/dialogs.py)."""

_KEPT: Final = "_deed"


def put(request: HttpRequest, deed: Deed) -> None:
    """The deed that this request is, from here on."""
    setattr(request, _KEPT, deed)


def deed_of(request: HttpRequest) -> Deed | None:
    """What was begun for this request; None where it only looks."""
    found: Deed | None = getattr(request, _KEPT, None)
    return found


def made(request: HttpRequest, row: object) -> None:
    """It made this row, or changed it: whatever a service gave back, of which only rows count."""
    deed = deed_of(request)
    if deed is not None and isinstance(row, Model) and row.pk is not None:
        deed.made.append(row)


def about(request: HttpRequest, row: Model) -> None:
    """Whom or what it is about, where the page's address doesn't say so in the way of the other pages."""
    deed = deed_of(request)
    if deed is not None:
        deed.named.append(named(row))


def told(request: HttpRequest, **facts: str) -> None:
    """What became so that is no column of the row, e.g. a price in Redis. Nothing personal."""
    deed = deed_of(request)
    if deed is not None:
        deed.facts.update(facts)


def done(request: HttpRequest) -> None:
    """It was done, though the answer is no way to another page."""
    deed = deed_of(request)
    if deed is not None:
        deed.outcome = Outcome.DONE


def refused(request: HttpRequest, said: str) -> None:
    """It was refused, in these words."""
    deed = deed_of(request)
    if deed is not None:
        deed.refuse(said)
