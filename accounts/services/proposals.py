"""What one person proposes and another decides: the two things that are the same whatever is proposed.

A proposal is decided on once, by whoever has its row first. A dialog that is answered twice made one proposal: its
one-time key, `once`, stands in the row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model

from accounts.errors import KeyReused, Refusal

REUSED: Final = "This dialog was answered before, with something else: open it anew."

Row = TypeVar("Row", bound=Model)


def undecided(
    model: type[Row],
    id_: UUID,
    *,
    missing: type[Refusal],
    decided: type[Refusal],
    called: str,
    state: str = "proposed",
) -> Row:
    """The row that waits in `state`, locked until the transaction ends: who decides at the same moment comes second.

    Raises `missing` where there is no such row, and `decided` where it waits no more.
    """
    found: Any = model._default_manager.select_for_update(no_key=True).filter(pk=id_).first()
    if found is None:
        raise missing
    if found.state != state:
        raise decided(f"The {called} is {found.state} already.")
    row: Row = found
    return row


def made_by_dialog(model: type[Row], once: UUID | None, is_this: Callable[[Row], bool]) -> Row | None:
    """What the dialog with this one-time key has made, if anything. Raises KeyReused where it isn't what is asked."""
    made = model._default_manager.filter(once=once).first() if once else None
    if made is not None and not is_this(made):
        raise KeyReused(REUSED)
    return made
