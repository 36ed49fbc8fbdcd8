"""A statement as one CSV, written while it is read: a long one needs no more memory than a short one."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import StreamingHttpResponse

from accounts.csv_cells import cell, written
from trades.currency import in_asset
from trades.reads.statement import Place, Statement

COLUMNS = ("time", "kind", "text", "orderId", "reference", "amount", "reserved", "balance", "free")


def as_csv(statement: Statement, opening: Place) -> StreamingHttpResponse:
    """The whole period from its opening balance on."""
    response = StreamingHttpResponse(_lines(statement, opening), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="statement.csv"'
    return response


def _lines(statement: Statement, opening: Place) -> Iterator[str]:
    """A header, the opening balance, the movements, the closing balance: without the last line it isn't whole."""
    yield written([COLUMNS, _balance_line("opening_balance", "Opening balance", opening, statement.asset)])
    end = opening
    for entries in statement.chunks(opening):
        yield written([cell(value) for value in statement.shown(entry).values()] for entry in entries)
        end = entries[-1].place
    yield written([_balance_line("closing_balance", "Closing balance", end, statement.asset)])


def _balance_line(kind: str, text: str, place: Place, asset: str) -> list[str]:
    return ["", kind, text, "", "", "", "", f"{in_asset(place.balance, asset):f}", f"{in_asset(place.free, asset):f}"]
