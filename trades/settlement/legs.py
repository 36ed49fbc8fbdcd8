"""What each asset of a batch comes to between the firm and its liquidity providers.

A leg is the net of what the batch's trades moved through the house's `liquidity` accounts: what customers
received came out of it (the firm must get it: incoming), what they delivered went into it (the firm owes it:
outgoing). Fees stay with the firm: a buy's fee is no part of what goes out, a sell's fee came in and stayed.
Original and exit are netted like any two trades. An asset that nets to nothing has a leg of zero, incoming.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import F

from trades.models import SettlementBatch, SettlementLeg
from trades.states import LegStatus

_NET = """
INSERT INTO trades_settlementleg (id, batch_id, asset_id, direction, expected, actual, status, attempts, received, delivered,
    fees, reference, failure, updated_at)
SELECT new_uuid7(), %(batch)s, asset, CASE WHEN net >= 0 THEN 'incoming' ELSE 'outgoing' END, abs(net), NULL,
       'pending', 0, 0, 0, 0, '', '', %(at)s
FROM (
    SELECT asset, sum(amount) AS net
    FROM (
        SELECT receive_asset_id AS asset, receive_amount + CASE WHEN side = 'sell' THEN fee ELSE 0 END AS amount
        FROM trades_trade WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s
        UNION ALL
        SELECT deliver_asset_id, CASE WHEN side = 'buy' THEN fee ELSE 0 END - deliver_amount
        FROM trades_trade WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s
    ) moved GROUP BY asset
) netted
"""


def write_legs(batch_id: UUID, first: UUID, last: UUID, at: datetime) -> None:
    """Write down one leg per asset for the members of a batch that is being cut."""
    with connection.cursor() as cursor:
        cursor.execute(_NET, {"batch": batch_id, "first": first, "last": last, "at": at})


def settle_legs(batch: SettlementBatch, at: datetime) -> None:
    """Mark every leg as come in as expected: providers are always good for it until they are modelled."""
    SettlementLeg.objects.filter(batch=batch).exclude(status=LegStatus.SETTLED).update(
        status=LegStatus.SETTLED, actual=F("expected"), attempts=F("attempts") + 1, updated_at=at
    )
