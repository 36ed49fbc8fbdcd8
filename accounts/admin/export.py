"""A list as a file: what its filters leave, newest first.

Rows are read by ranges of their key, some hundred at a time, so a long list needs no more memory than a short one, and
between two ranges no connection is held. The first column is the whole id; the others are what the list shows, without
what makes it look nice. Nothing in it is taken for a formula.

CSV is all of it, written while it is read. A workbook can be sent only once it is whole: it is written row by row to a
file on the disk, has MOST_ROWS at the most, and says so where there would be more. Where a filter has no index, it is
made of the newest MOST_LOOKED rows, and says that, too.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.contrib.admin.utils import label_for_field, lookup_field
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.html import strip_tags
from openpyxl import Workbook

from accounts.csv_cells import cell, without_controls, written

if TYPE_CHECKING:
    from accounts.admin.base import BoundedAdmin

CSV: Final = "csv"  # in a list's address
XLSX: Final = "xlsx"
CHUNK: Final = 500
LOOK: Final = 50_000  # rows that one query passes over at the most where no index helps
MOST_ROWS: Final = 20_000  # of a workbook: what is made before the first byte is sent takes seconds, not minutes
MOST_LOOKED: Final = 200_000  # rows that are looked at for a workbook where no index helps
LONGEST_CELL: Final = 32_767  # characters, in a workbook
_KINDS: Final = {
    CSV: "text/csv; charset=utf-8",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def asked_for(request: HttpRequest) -> str:
    """Which file a list's address asks for; empty: none."""
    return next((kind for kind in _KINDS if kind in request.GET), "")


def as_file(
    kind: str, model_admin: BoundedAdmin, rows: QuerySet[Any], columns: Sequence[str], unindexed: Mapping[str, str]
) -> HttpResponseBase:
    """What a list's queryset has and `unindexed`, a further filter by columns without an index, leaves of it."""
    answer: HttpResponseBase
    if kind == XLSX:
        looked_at, told = _newest(rows, unindexed)
        book = _workbook(_cells(model_admin, looked_at, columns, unindexed), len(columns), told)
        answer = FileResponse(book, content_type=_KINDS[XLSX])
    else:
        found = _cells(model_admin, rows, columns, unindexed)
        answer = StreamingHttpResponse((written(lines) for lines in found), content_type=_KINDS[CSV])
    answer["Content-Disposition"] = f'attachment; filename="{model_admin.model._meta.model_name}.{kind}"'
    answer["Cache-Control"] = "no-store"
    return answer


def _newest(rows: QuerySet[Any], unindexed: Mapping[str, str]) -> tuple[QuerySet[Any], str]:
    """What is looked at for a workbook, and what its last line says of the rest."""
    ids = rows.order_by("-pk").values_list("pk", flat=True)
    next_ = ids[MOST_LOOKED : MOST_LOOKED + 1].first() if unindexed else None
    if next_ is None:
        return rows, ""
    told = f"Looked at the newest {MOST_LOOKED:,} rows; older ones may fit, too. Filter by day, or take CSV."
    return rows.filter(pk__gt=next_), told


def _workbook(found: Iterator[list[list[str]]], width: int, told: str) -> Any:
    """An open file that begins at its beginning; it is gone from the disk once it is closed. `told` is its last line,
    where it has fewer rows than it may have."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("List")
    left = MOST_ROWS + 1  # with the titles
    for lines in found:
        for line in lines[:left]:
            sheet.append([text[:LONGEST_CELL] for text in line])
        if len(lines) > left:
            told = f"The newest {MOST_ROWS:,} rows; there are more. Filter by day, or take CSV."
            break
        left -= len(lines)
    if told:
        sheet.append([told, *[""] * width])
    file = TemporaryFile()  # noqa: SIM115 - the answer closes it
    book.save(file)
    file.seek(0)
    return file


def _cells(
    model_admin: BoundedAdmin, rows: QuerySet[Any], columns: Sequence[str], unindexed: Mapping[str, str]
) -> Iterator[list[list[str]]]:
    titles = [str(label_for_field(column, model_admin.model, model_admin)) for column in columns]
    yield [["id", *(cell(title) for title in titles)]]
    ordered = rows.order_by("-pk")
    for chunk in _looked_through(ordered, unindexed) if unindexed else _chunks(ordered):
        model_admin.before_export(chunk)
        yield [[_id(row), *(cell(_text(model_admin, row, column)) for column in columns)] for row in chunk]


def _chunks(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """By keyset. Between two of them the connection is back in the pool, unless a transaction of the caller's holds
    it: a reader may be slow."""
    chunk = list(rows[:CHUNK])
    while chunk:
        yield chunk
        if not connection.in_atomic_block:
            connection.close()
        chunk = list(rows.filter(pk__lt=chunk[-1].pk)[:CHUNK]) if len(chunk) == CHUNK else []


def _looked_through(rows: QuerySet[Any], unindexed: Mapping[str, str]) -> Iterator[list[Any]]:
    """The same where row after row is looked at: no query passes over more than LOOK of them."""
    rest = rows
    while True:
        end = rest.values_list("pk", flat=True)[LOOK - 1 : LOOK].first()
        yield from _chunks((rest if end is None else rest.filter(pk__gte=end)).filter(**unindexed))
        if end is None:
            return
        rest = rows.filter(pk__lt=end)


def _id(row: Model) -> str:
    return row.pk.hex if isinstance(row.pk, UUID) else cell(str(row.pk))


def _text(model_admin: BoundedAdmin, row: Model, column: str) -> str:
    """As the list shows it, as plain text; what is none there, and a dash, is empty."""
    try:
        _, _, value = lookup_field(column, row, model_admin)
    except ObjectDoesNotExist:
        return ""
    text = " ".join(without_controls(html.unescape(strip_tags(str(value)))).split()) if value is not None else ""
    return "" if text == "–" else text
