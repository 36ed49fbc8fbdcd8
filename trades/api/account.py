"""The margin account: free cash, figures, and the statement as JSON pages or one CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import json_codec
from accounts.api.lists import given, only, whole_number
from accounts.errors import Malformed
from trades.api.trader import TraderView, timestamp_in
from trades.currency import in_currency
from trades.reads.figures import figures, shown_figures
from trades.reads.in_doubt import decided
from trades.reads.statement import Place, Statement, shown

MOST_PER_PAGE = 1000
COLUMNS = ("time", "kind", "text", "orderId", "reference", "amount", "reserved", "balance", "free")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet calculate a cell instead of showing it


class Balance(TraderView):
    def get(self, request: Request) -> Response:
        customer = self.trader(request).customer_id
        free = decided(customer, partial(figures, customer, None)).free_cash
        return Response({"status": "success", "message": in_currency(free)})


class AccountFigures(TraderView):
    def get(self, request: Request) -> Response:
        customer = self.trader(request).customer_id
        return Response(shown_figures(decided(customer, partial(figures, customer, self.prices()))))


class AccountStatement(TraderView):
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        only(query, "from", "to", "format", "limit", "cursor")
        format_ = given(query, "format") or "json"
        if format_ not in ("json", "csv"):
            raise Malformed("format must be json or csv")
        customer = self.trader(request).customer_id
        statement = Statement(customer, timestamp_in(query, "from"), timestamp_in(query, "to"))
        if format_ == "json":
            limit = whole_number(query, "limit", default=100, least=1, most=MOST_PER_PAGE)
            return Response(decided(customer, partial(statement.page, limit, given(query, "cursor"))))
        if given(query, "limit") or given(query, "cursor"):
            raise Malformed("limit and cursor belong to format=json; a CSV is the whole period")
        # A database that is away is told by a status, not by a torn file.
        return _as_csv(statement, decided(customer, statement.opening))


def _as_csv(statement: Statement, opening: Place) -> StreamingHttpResponse:
    """Written while it is read: a long statement needs no more memory than a short one."""
    response = StreamingHttpResponse(_lines(statement, opening), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="statement.csv"'
    return response


def _lines(statement: Statement, opening: Place) -> Iterator[str]:
    """A header, the opening balance, the movements, the closing balance: without the last line it isn't whole."""
    yield _written([COLUMNS, _balance_line("opening_balance", "Opening balance", opening)])
    end = opening
    for entries in statement.chunks(opening):
        yield _written([_cell(value) for value in shown(entry).values()] for entry in entries)
        end = entries[-1].place
    yield _written([_balance_line("closing_balance", "Closing balance", end)])


def _balance_line(kind: str, text: str, place: Place) -> list[str]:
    return ["", kind, text, "", "", "", "", str(in_currency(place.balance)), str(in_currency(place.free))]


def _written(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _cell(value: object) -> str:
    """A value as a spreadsheet may take it: a text that begins like a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return json_codec.timestamp(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
