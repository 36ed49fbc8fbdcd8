"""The money that one order, trade or batch moved, as the ledger has it."""

from __future__ import annotations

from uuid import UUID

from accounts.admin import shown
from accounts.models import Transfer

MOST_SHOWN = 50


def movements_of(customer_id: UUID, subject: UUID) -> str:
    """A table of the transfers about one row of a customer; an id is older than whatever moves its money."""
    transfers = (
        Transfer.objects.filter(customer_id=customer_id, pk__gte=subject, subject=subject)
        .select_related("asset", "debit_account", "credit_account")
        .order_by("pk")[:MOST_SHOWN]
    )
    rows = [
        (
            shown.moment(transfer.at),
            shown.link("accounts_transfer", transfer.pk, transfer.kind),
            transfer.debit_account.type,
            transfer.credit_account.type,
            shown.amount(transfer.amount, transfer.asset),
        )
        for transfer in transfers
    ]
    return shown.table(("At", "What", "Debited", "Credited", "Amount"), rows, "No money moved.")
