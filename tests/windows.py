"""Settlement windows whose schedule has stood for some time, as only the tables' owner can make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from trades.models import SettlementWindow

_GUARD = "schedule_counts_from_its_change"
_KEPT = [field.attname for field in SettlementWindow._meta.concrete_fields if field.editable and not field.primary_key]


def scheduled(windows: QuerySet[SettlementWindow] | None = None, *, since: datetime, **changed: object) -> None:
    """Change these windows, or all, as if they had been so since a moment. Their versions say so too."""
    rows = SettlementWindow.objects.all() if windows is None else windows
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE trades_settlementwindow DISABLE TRIGGER {_GUARD}")
        rows.update(**changed, schedule_since=since)
        cursor.execute(f"ALTER TABLE trades_settlementwindow ENABLE TRIGGER {_GUARD}")


@contextmanager
def windows_kept() -> Iterator[None]:
    """Whatever a test does to windows, they come back as they were."""
    before = list(SettlementWindow.objects.values("pk", *_KEPT))
    try:
        yield
    finally:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE trades_settlementwindow DISABLE TRIGGER loosened_by_two")
            for one in before:
                SettlementWindow.objects.filter(pk=one.pop("pk")).update(**one, last_cut_at=None)
            cursor.execute("ALTER TABLE trades_settlementwindow ENABLE TRIGGER loosened_by_two")
