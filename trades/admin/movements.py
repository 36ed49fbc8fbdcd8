"""The money that one order, trade, batch, leg or correction moved, as the ledger has it."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from accounts import clock
from accounts.admin import shown
from accounts.ids import ID_LAG, floor_of
from accounts.models import Transfer
from trades.models import Correction

MOST_SHOWN = 50


def movements_of(customer_id: UUID, subject: UUID, other: UUID | None = None) -> str:
    """A table of the transfers about one row of a customer, or of two; an id is older than whatever moves its money."""
    whose = [customer_id] if other is None else [customer_id, other]
    return _table(Transfer.objects.filter(customer_id__in=whose, pk__gte=subject, subject=subject))


def firms_movements_of(subject: UUID) -> str:
    """Of those that belong to no customer."""
    return _table(Transfer.objects.filter(customer__isnull=True, pk__gte=subject, subject=subject))


def movements_of_correction(correction: Correction) -> str:
    """Those made when it was applied, whoever's they are.

    No index names a transfer's subject: they are looked for from that moment on, and no further than the last one.
    """
    if correction.decided_at is None or not correction.movements_count:
        return "No money moved."
    since = floor_of(clock.real_of(correction.decided_at) - ID_LAG)
    count = min(MOST_SHOWN, correction.movements_count)
    table = _table(Transfer.objects.filter(pk__gte=since, subject=correction.pk), count)
    return table if count == correction.movements_count else shown.more(table, count, correction.movements_count)


def _table(transfers: QuerySet[Transfer], most: int = MOST_SHOWN) -> str:
    found = transfers.select_related("asset", "debit_account", "credit_account").order_by("pk")[:most]
    rows = [
        (
            shown.timestamp(transfer.at),
            shown.link("accounts_transfer", transfer.pk, transfer.kind),
            transfer.debit_account.type,
            transfer.credit_account.type,
            shown.amount(transfer.amount, transfer.asset),
        )
        for transfer in found
    ]
    return shown.table(("At", "What", "Debited", "Credited", "Amount"), rows, "No money moved.")
