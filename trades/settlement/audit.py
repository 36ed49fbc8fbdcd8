"""Whether anything waits that shouldn't; and, part of `audit_ledger --verify`, whether the batches' members still say
what they said when they were cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from accounts.audit import Check, Finding, Looked
from trades.models import SettlementBatch
from trades.settlement import waiting
from trades.settlement.membership import fingerprint
from trades.states import BatchState

NAME: Final = "batch fingerprints"


def members() -> Looked:
    """Recompute each batch's fingerprint; a cancelled one has given its members back."""
    kept = SettlementBatch.objects.exclude(members_sha256="").exclude(state=BatchState.CANCELLED).order_by("pk")
    return Looked(kept.count(), _changed(kept.iterator(chunk_size=100)))


def _changed(batches: Iterator[SettlementBatch]) -> Iterator[Finding]:
    for batch in batches:
        if fingerprint(batch) != batch.members_sha256:
            sentence = f"The members of batch {batch.pk.hex} are not those that were cut, or say something else."
            yield Finding(NAME, batch.pk.hex, sentence, tampered=True)


CHECKS: Final = (
    Check(waiting.WAITING, waiting.check_trades),
    Check(waiting.WINDOWS, waiting.check_windows),
    Check(NAME, members, only_verifying=True),
)
