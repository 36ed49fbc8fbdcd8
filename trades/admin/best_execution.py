"""The best execution of a day, to look at or to take away as CSV."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminTextInputWidget

from accounts.admin import shown
from accounts.admin.base import does
from accounts.errors import Refusal
from trades.reads import best_execution
from trades.reads.best_execution import Line

HEADERS = (
    *("Symbol", "Side", "Beside", "Deals", "Held", "Not kept", "Quantity", "Value", "Cost"),
    *("Mean", "Median", "Worst", "Mean bps", "Median bps", "Worst bps"),
)


class DayForm(forms.Form):
    day = forms.CharField(max_length=10, widget=UnfoldAdminDateWidget, help_text="A day of UTC, 2026-01-31.")
    symbol = forms.CharField(max_length=32, required=False, widget=UnfoldAdminTextInputWidget)

    def clean_day(self) -> date:
        try:
            return best_execution.day_of(self.cleaned_data["day"])
        except ValueError:
            raise forms.ValidationError(
                f"A day from {best_execution.FIRST} to {best_execution.LAST}, as 2026-01-31."
            ) from None


def best_execution_page(request: HttpRequest, context: dict[str, Any], opts: Any) -> HttpResponse:
    """A form and what it asks for; with `csv` the file. Raises PermissionDenied for that where one may not export."""
    is_file_offered = does(request, "export")
    if "csv" in request.GET and not is_file_offered:
        raise PermissionDenied
    form = DayForm(request.GET if "day" in request.GET else {"day": best_execution.yesterday().isoformat()})
    lines: list[Line] | None = None
    if form.is_valid():
        try:
            lines = best_execution.report(form.cleaned_data["day"], form.cleaned_data["symbol"])
        except Refusal as refusal:
            form.add_error("symbol", refusal.text)
    if lines is not None and "csv" in request.GET:
        return _file(form.cleaned_data["day"], lines)
    found = {"title": "Best execution", "opts": opts, "form": form, "table": "" if lines is None else _table(lines)}
    found["is_file_offered"] = is_file_offered
    return TemplateResponse(request, "admin/best_execution.html", {**context, **found})


def _file(day: date, lines: list[Line]) -> HttpResponse:
    answer = HttpResponse(best_execution.as_csv(lines), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="best-execution-{day}.csv"'
    return answer


def _table(lines: list[Line]) -> str:
    rows = [(*line[1:4], *(shown.number(value) for value in line[4:])) for line in lines]
    return shown.table(HEADERS, rows, "No deal.")
