"""Confirming and cancelling a batch that was cut.

Membership and the money are two steps with a person between them, unless the window confirms by itself.
The batch row's lock decides confirm against cancel; the database refuses a maker who confirms.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import connection

from accounts import conflicts
from accounts.identity import Actor
from trades.errors import BatchNotFound, BatchStateForbids, MakerIsChecker
from trades.low_water import lower_water
from trades.models import SettlementBatch
from trades.settlement.cut import hold_membership
from trades.states import BATCH_MOVES, BatchState

_UNBATCH = """
UPDATE trades_trade SET batch_id = NULL
WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s AND state = 'settling'
"""


@conflicts.atomic
def confirm(batch_id: UUID, *, by: Actor, at: datetime) -> SettlementBatch:
    """Let a batch be settled. What a person or a program cut, another one confirms; what the system cut, anybody.

    Raises BatchNotFound, BatchStateForbids, MakerIsChecker.
    """
    batch = _locked(batch_id, BatchState.CONFIRMED)
    _must_be_a_second(batch, by)
    batch.state, batch.confirmed_at, batch.updated_at = BatchState.CONFIRMED, at, at
    batch.confirmed_by_id, batch.confirmed_by_client_id = by.user_id, by.client_id
    batch.save(update_fields=["state", "confirmed_by", "confirmed_by_client", "confirmed_at", "updated_at"])
    return batch


@conflicts.atomic
def cancel(batch_id: UUID, *, by: Actor, at: datetime) -> SettlementBatch:
    """Give a batch up before any money moved: its trades wait for the next cut and can be exited again.

    Who may confirm a batch may give it up. It keeps its count and legs as a record of what it was. Raises
    BatchNotFound, BatchStateForbids, MakerIsChecker.
    """
    hold_membership()
    batch = _locked(batch_id, BatchState.CANCELLED)
    _must_be_a_second(batch, by)
    given = {
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_UNBATCH, given)
    lower_water(batch)
    batch.state, batch.updated_at = BatchState.CANCELLED, at
    batch.cancelled_by_id, batch.cancelled_by_client_id = by.user_id, by.client_id
    batch.save(update_fields=["state", "cancelled_by", "cancelled_by_client", "updated_at"])
    return batch


def _must_be_a_second(batch: SettlementBatch, by: Actor) -> None:
    """What a person or a program made, another one decides on; what the system made, anybody."""
    maker = Actor(batch.made_by_id, batch.made_by_client_id)
    if not maker.is_system and (by.is_system or by == maker):
        raise MakerIsChecker


def locked_batch(batch_id: UUID) -> SettlementBatch:
    """The batch, its row locked until the transaction ends. Raises BatchNotFound."""
    batch = SettlementBatch.objects.select_for_update(no_key=True).filter(pk=batch_id).first()
    if batch is None:
        raise BatchNotFound
    return batch


def _locked(batch_id: UUID, wanted: BatchState) -> SettlementBatch:
    """The batch, locked, if the wanted state may follow its own."""
    batch = locked_batch(batch_id)
    if wanted not in BATCH_MOVES[batch.state]:
        raise BatchStateForbids(f"The batch is {batch.state}.")
    return batch
