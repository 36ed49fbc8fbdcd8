"""Trades as they stand after some time: made now, and made older behind the guards, as only the tables' owner can."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction

from trades.models import Trade

_TABLES = ("trades_trade", "trades_tradeevent")


def aged(trade: Trade, by: timedelta) -> Trade:
    """The same trade, still in storing, as if it had been stored so long ago: its id says so too."""
    assert trade.state == "storing"
    older = UUID(int=trade.pk.int - (int(by.total_seconds() * 1000) << 80))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in _TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE trades_trade SET id = %s, created_at = created_at - %s WHERE id = %s", [older, by, trade.pk]
        )
        cursor.execute(
            "UPDATE trades_tradeevent SET trade_id = %s, at = at - %s WHERE trade_id = %s", [older, by, trade.pk]
        )
        for table in _TABLES:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    return Trade.objects.get(pk=older)
