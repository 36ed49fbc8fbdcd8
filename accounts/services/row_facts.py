"""What a row says, as the journal and an edited form's version may know it: column by column, and nothing personal.

A column is told only where that is known to be safe: of a table with versions what its versions tell, of the few
others that operators edit, all. Of whatever else, the new table of tomorrow too, a digest is taken and no value told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Model
from django.utils.module_loading import import_string

LONGEST: Final = 500  # characters of one value
HIDDEN: Final = "changed"
"""What is said of a value that the journal mustn't hold."""

# Operators write them, and no customer is named in them.
_PLAIN: Final = frozenset(
    {
        "auth_group",
        "django_celery_beat_crontabschedule",
        "django_celery_beat_intervalschedule",
        "django_celery_beat_periodictask",
        "quotes_marketswitch",
        "quotes_pricehold",
    }
)
# They move by themselves all day, and an edit decides nothing about them.
_MOVES: Final = {
    "django_celery_beat_periodictask": frozenset({"last_run_at", "total_run_count", "date_changed"}),
    "trades_settlementbatch": frozenset({"slice_ends"}),
}
_ALWAYS_LEFT_OUT: Final = frozenset({"salt"})

Facts = dict[str, Any]


def facts_of(model: type[Model], pk: object, *, lock: bool = False) -> Facts | None:
    """The columns of one row, and the keys of what it is tied to many-to-many; None where there is none.

    `lock`: nobody else changes it until the transaction ends. What is no key of this model names no row.
    """
    names = [field.attname for field in model._meta.concrete_fields if field.name not in _left_out(model)]
    rows = model._base_manager.filter(pk=pk)
    found = (rows.select_for_update(no_key=True) if lock else rows).values(*names).first()
    if found is None:
        return None
    ties = {field.name: sorted(_keys_of(model, field, pk)) for field in model._meta.many_to_many}
    return {**found, **ties}


def told(model: type[Model], facts: Mapping[str, Any]) -> Facts:
    """The same as JSON takes it, with every value that is personal or secret said to have changed, and no more."""
    hidden = _hidden(model)
    return {
        name: HIDDEN if hidden is None or name in hidden else plain(value)
        for name, value in facts.items()
        if value not in (None, "", [], {}) and name not in _no_news(model)
    }


def difference(model: type[Model], before: Facts | None, after: Facts | None) -> tuple[Facts, Facts]:
    """The columns in which two readings of a row differ, as they were and as they are. Of a new row all it says."""
    if before is None:
        return {}, told(model, after or {})
    if after is None:
        return told(model, before), {}
    names = [name for name in after if before.get(name) != after[name] and name not in _no_news(model)]
    hidden = _hidden(model)
    was, is_ = ({name: _one(hidden, name, facts.get(name)) for name in names} for facts in (before, after))
    return was, is_


def digests(facts: Mapping[str, Any]) -> dict[str, str]:
    """By column a digest of what it says: enough to see later that it says something else."""
    return {name: hashlib.sha256(repr(plain(value)).encode()).hexdigest()[:16] for name, value in facts.items()}


def plain(value: Any) -> Any:
    """A value as JSON takes it: exact, bounded, and without what PostgreSQL's text can't hold."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in list(value)[:100]]
    if isinstance(value, dict):
        return {writable(str(key)): plain(one) for key, one in list(value.items())[:100]}
    if isinstance(value, Decimal | timedelta | float):
        return str(value)
    return writable(str(value))[:LONGEST]


def writable(text: str) -> str:
    """A text as PostgreSQL takes it: without zero bytes and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _one(hidden: frozenset[str] | None, name: str, value: Any) -> Any:
    return HIDDEN if hidden is None or name in hidden else plain(value)


def _no_news(model: type[Model]) -> tuple[str, ...]:
    """What the journal's entry says anyhow: which row, and when."""
    return (model._meta.pk.attname, "updated_at", "once")


def _keys_of(model: type[Model], field: Any, pk: object) -> list[str]:
    through, own = field.remote_field.through, field.m2m_column_name()
    keys = through._base_manager.filter(**{own: pk}).values_list(field.m2m_reverse_name(), flat=True)
    return [str(key) for key in keys]


def _versioned(table: str) -> Any:
    for one in import_string(settings.VERSIONED_TABLES):
        if one.table == table:
            return one
    return None


def _left_out(model: type[Model]) -> frozenset[str]:
    table = model._meta.db_table
    versioned = _versioned(table)
    without = frozenset(versioned.without) if versioned else frozenset()
    return without | _MOVES.get(table, frozenset()) | _ALWAYS_LEFT_OUT


def _hidden(model: type[Model]) -> frozenset[str] | None:
    """The columns whose values are told nobody; None for all."""
    table = model._meta.db_table
    versioned = _versioned(table)
    if versioned is not None:
        return frozenset((*versioned.hashed, *versioned.salted))
    return frozenset() if table in _PLAIN else None
