"""Which trades complete when a part of a leg has come: those up to what has come, in order of time.

The rule, for whoever works it out on the other side as well:

1. A trade and its exit are one unit, which stands where the trade stands. Units are in the order of the trades' guids,
   which is the order of time.
2. Of an asset, a unit needs what its trades took out of the firm's liquidity less what they brought: what is received,
   with a sell's fee; less what is delivered, without a buy's. Where the leg is outgoing, the other way round. A unit
   that brings some needs less than nothing.
3. Of a leg that isn't settled, the units are walked through in their order and their needs summed up. The first unit
   at which the sum is above what has come has to wait, and so has each unit after it, of whatever instrument.
   Where nothing has come, all have to wait.
4. A unit completes when neither of its two assets makes it wait. A leg that is settled makes nobody wait.

All units of the batch count, also those that have completed or that another leg holds back: so what has come decides,
and not when a settler looked. As more comes, fewer wait. A reversal of a leg takes no completion back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection

from trades.models import SettlementBatch, SettlementLeg
from trades.states import LegStatus

NOBODY_WAITS: Final = UUID(int=2**128 - 1)

# Of a round's trades: those of units before the first one that has to wait, by the instrument's place in the arrays.
BEFORE_ITS_STOP: Final = """
      AND coalesce(exiting_trade_id, id) < (%(stops)s::uuid[])[array_position(%(symbols)s::text[], instrument_id::text)]
"""

_STOP = """
SELECT unit FROM (
    SELECT unit, sum(need) OVER (ORDER BY unit) AS needed FROM (
        SELECT coalesce(exiting_trade_id, id) AS unit,
               %(sign)s * sum(CASE WHEN receive_asset_id = %(asset)s
                              THEN receive_amount + CASE side WHEN 'sell' THEN fee ELSE 0 END
                              ELSE CASE side WHEN 'buy' THEN fee ELSE 0 END - deliver_amount END) AS need
        FROM trades_trade
        WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s
          AND %(asset)s IN (receive_asset_id, deliver_asset_id)
        GROUP BY 1
    ) units
) walked WHERE needed > %(come)s ORDER BY unit LIMIT 1
"""


def stops_in_order(batch: SettlementBatch, waiting: Mapping[str, Sequence[str]]) -> dict[str, UUID]:
    """By instrument, the first unit that has to wait, where more has come of its legs since the batch looked last.

    `waiting`: for each instrument its assets whose legs are not settled. The batch notes what it has looked at; the
    caller saves it.
    """
    legs = {leg.asset_id: leg for leg in _come_in_part(batch)}
    in_part = {symbol: assets for symbol, assets in waiting.items() if assets and legs.keys() >= set(assets)}
    told = {symbol: {asset: str(legs[asset].actual) for asset in assets} for symbol, assets in in_part.items()}
    new = {symbol: said for symbol, said in told.items() if batch.parts_seen.get(symbol) != said}
    stops = {asset: _stop(batch, legs[asset]) for asset in sorted({asset for said in new.values() for asset in said})}
    batch.parts_seen = batch.parts_seen | new
    return {symbol: min(stops[asset] for asset in said) for symbol, said in new.items()}


def _come_in_part(batch: SettlementBatch) -> list[SettlementLeg]:
    return list(SettlementLeg.objects.filter(batch=batch, actual__gt=0).exclude(status=LegStatus.SETTLED))


def _stop(batch: SettlementBatch, leg: SettlementLeg) -> UUID:
    """The first unit that has to wait for this leg."""
    given: dict[str, Any] = {
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
        "asset": leg.asset_id,
        "sign": 1 if leg.direction == SettlementLeg.Direction.INCOMING else -1,
        "come": leg.actual,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # it walks through the whole batch
        cursor.execute(_STOP, given)
        found = cursor.fetchone()
    return found[0] if found else NOBODY_WAITS
