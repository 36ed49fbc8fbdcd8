"""A list as CSV: what its filters leave, all of it, written while it is read.

Rows are read by ranges of their key, some hundred at a time, so a long list needs no more memory than a short one, and
between two ranges no connection is held. The first column is the whole id; the others are what the list shows, without
what makes it look nice. Nothing in it is taken for a formula.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.contrib.admin.utils import label_for_field, lookup_field
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse
from django.utils.html import strip_tags

from accounts.csv_cells import cell, written

if TYPE_CHECKING:
    from accounts.admin.base import BoundedAdmin

ASKED: Final = "csv"  # in a list's address
CHUNK: Final = 500


def as_csv(model_admin: BoundedAdmin, rows: QuerySet[Any], columns: Sequence[str]) -> StreamingHttpResponse:
    """What a list's queryset has, newest first."""
    name = model_admin.model._meta.model_name
    answer = StreamingHttpResponse(_lines(model_admin, rows, columns), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    answer["Cache-Control"] = "no-store"
    return answer


def _lines(model_admin: BoundedAdmin, rows: QuerySet[Any], columns: Sequence[str]) -> Iterator[str]:
    titles = [str(label_for_field(column, model_admin.model, model_admin)) for column in columns]
    yield written([["id", *(cell(title) for title in titles)]])
    for chunk in _chunks(rows.order_by("-pk")):
        model_admin.before_export(chunk)
        yield written([_id(row), *(cell(_text(model_admin, row, column)) for column in columns)] for row in chunk)


def _chunks(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """By keyset. Between two of them the connection is back in the pool, unless a transaction of the caller's holds
    it: a reader may be slow."""
    chunk = list(rows[:CHUNK])
    while chunk:
        yield chunk
        if not connection.in_atomic_block:
            connection.close()
        chunk = list(rows.filter(pk__lt=chunk[-1].pk)[:CHUNK]) if len(chunk) == CHUNK else []


def _id(row: Model) -> str:
    return row.pk.hex if isinstance(row.pk, UUID) else cell(str(row.pk))


def _text(model_admin: BoundedAdmin, row: Model, column: str) -> str:
    """As the list shows it, as plain text; what is none there, and a dash, is empty."""
    try:
        _, _, value = lookup_field(column, row, model_admin)
    except ObjectDoesNotExist:
        return ""
    text = " ".join(html.unescape(strip_tags(str(value))).split()) if value is not None else ""
    return "" if text == "–" else text
