"""What doesn't fit gets an owner and, in the end, an explanation or a correction."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts import conflicts
from accounts.errors import ActorRequired, BreakNeedsMoney, BreakNotFound, BreakResolved, Malformed, UserNotFound
from accounts.identity import Actor
from accounts.models import Break, User

log = logging.getLogger(__name__)

LONGEST_RESOLUTION: Final = 200


@conflicts.atomic
def own(break_id: UUID, owner_id: UUID | None, *, at: datetime) -> Break:
    """Make somebody of the staff look after an open break, or (None) nobody.

    Raises BreakNotFound, BreakResolved, UserNotFound.
    """
    if owner_id is not None and not User.objects.filter(pk=owner_id, is_staff=True, is_active=True).exists():
        raise UserNotFound("There is no such active staff user.")
    found = open_break(break_id, lock=True)
    found.owner_id = owner_id
    found.save(update_fields=["owner"])
    transaction.on_commit(partial(log.info, "break %s is owned by %s since %s", found.pk.hex, owner_id, at))
    return found


@conflicts.atomic
def explain(break_id: UUID, *, reason: str, by: Actor, at: datetime) -> Break:
    """Resolve a reconciliation's break by saying what it was. Whoever explains one that nobody owned owns it.

    Raises Malformed, ActorRequired, BreakNotFound, BreakResolved, and BreakNeedsMoney for a leg's difference.
    """
    if by.is_system:
        raise ActorRequired
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_RESOLUTION or not reason.isprintable():
        raise Malformed(f"An explanation has 1 to {LONGEST_RESOLUTION} characters on one line.")
    found = open_break(break_id, lock=True)
    if found.kind == Break.Kind.LEG_DIFFERENCE:
        raise BreakNeedsMoney
    found.owner_id = found.owner_id or by.user_id
    transaction.on_commit(partial(log.info, "break %s was explained by %s", found.pk.hex, by))
    return resolve(found, reason, at)


def open_break(break_id: UUID, *, lock: bool = False) -> Break:
    """Raises BreakNotFound, BreakResolved."""
    rows = Break.objects.select_for_update(no_key=True) if lock else Break.objects
    found = rows.filter(pk=break_id).first()
    if found is None:
        raise BreakNotFound
    if found.state != Break.State.OPEN:
        raise BreakResolved
    return found


def resolve(found: Break, resolution: str, at: datetime) -> Break:
    """Close a break that the caller has locked; a long resolution is cut."""
    found.state, found.resolved_at = Break.State.RESOLVED, at
    found.resolution = (
        resolution if len(resolution) <= LONGEST_RESOLUTION else resolution[: LONGEST_RESOLUTION - 1] + "…"
    )
    found.save(update_fields=["state", "resolved_at", "resolution", "owner"])
    return found
