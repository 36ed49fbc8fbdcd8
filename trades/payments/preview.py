"""What importing a statement would do: it is done, looked at, and undone.

Each entry that names a payment is undone before the next one is looked at, so that no customer's accounts stay locked
until the last one's. What the ones before it would have done is reckoned with beside it: a payment completes once, and
what one person moves alone adds up.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.identity import Actor
from trades.corrections.propose import is_within_limit
from trades.models import StatementEntry
from trades.payments import statements
from trades.settlement.instructions import statements as entries
from trades.settlement.instructions.statements import Imported
from trades.states import PaymentState


def preview_statement(content: bytes, *, name: str, by: Actor, at: datetime) -> Imported:
    """What `statements.import_statement` would give. Raises Malformed."""
    with transaction.atomic():
        found = entries.import_statement(content, name=name, by=by, at=at)
        reconsidered = entries.reconsider(by=by, at=at)
        before = Before(by, at)
        would_be = {entry_id: one for entry_id in statements.those_due() if (one := before.would_be(entry_id))}
        standing = statements.as_it_stands(found, {*reconsidered, *would_be})
        transaction.set_rollback(True)
    return standing.with_entries(would_be)


class Before:
    """The entries that were looked at already, and what they would have moved."""

    def __init__(self, by: Actor, at: datetime) -> None:
        self._by, self._at = by, at
        self._ended: set[UUID] = set()
        self._alone: defaultdict[tuple[str, UUID | None], int] = defaultdict(int)

    def would_be(self, entry_id: UUID) -> StatementEntry | None:
        """The entry as comparing it would leave it; None: as it is."""
        with transaction.atomic():
            is_changed = statements.compared(entry_id, by=self._by, at=self._at)
            rows = StatementEntry.objects.select_related("asset", "instruction", "payment", "file")
            entry = rows.get(pk=entry_id)
            transaction.set_rollback(True)
        if is_changed:
            self._beside_the_others(entry)
        return entry if is_changed else None

    def _beside_the_others(self, entry: StatementEntry) -> None:
        payment = entry.payment
        if payment is None or entry.reason:
            return
        if payment.pk in self._ended:
            entry.state, entry.reason, entry.payment = StatementEntry.State.LISTED, "payment_has_ended", None
            return
        self._ended.add(payment.pk)
        if payment.leaves or payment.needs_checker:
            return
        whose = (payment.asset_id, payment.made_by_id)
        together = self._alone[whose] + int(payment.deliver_amount)
        if is_within_limit(payment.asset, together, Actor(user_id=payment.made_by_id), self._at):
            self._alone[whose] = together
        else:
            payment.state, payment.needs_checker = PaymentState.SETTLING, True
