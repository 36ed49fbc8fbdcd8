"""The page of the firm's result of a day, a week or a month, from the ledger's own accounts."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget

from accounts import clock
from accounts.admin import shown
from accounts.models import Asset
from trades.admin.order_events import account_currency
from trades.admin.wellness import prices_or_none
from trades.reads import best_execution, exposure
from trades.reads.result import PARTS, Result, Span, period, result


class PeriodForm(forms.Form):
    span = forms.ChoiceField(choices=[(span, span.capitalize()) for span in Span], widget=UnfoldAdminSelectWidget)
    day = forms.CharField(max_length=10, widget=UnfoldAdminDateWidget, help_text="A day of UTC in it, 2026-01-31.")

    def clean_day(self) -> date:
        try:
            return best_execution.day_of(self.cleaned_data["day"])
        except ValueError:
            first, last = best_execution.FIRST, best_execution.LAST
            raise forms.ValidationError(f"A day from {first} to {last}, as 2026-01-31.") from None


def result_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    now = clock.firm_now()
    form = PeriodForm(request.GET if "day" in request.GET else {"day": now.date().isoformat(), "span": Span.DAY.value})
    # no `opts`: it is no page of open positions
    found: dict[str, Any] = {"title": "The firm's result", "form": form}
    if form.is_valid():
        since, until = period(form.cleaned_data["day"], Span(form.cleaned_data["span"]))
        found |= {"since": since, "until": until, "table": _table(result(since, until)), "floating": ""}
        if since <= now < until:
            found["floating"] = _floating()
    return TemplateResponse(request, "admin/result.html", {**context, **found})


def _table(results: list[Result]) -> str:
    assets = Asset.objects.in_bulk([one.asset for one in results])
    rows = [
        (
            one.asset,
            *(shown.gain(one.parts[part], assets[one.asset]) for part in PARTS),
            shown.gain(one.total, assets[one.asset]),
            shown.gain(one.owners, assets[one.asset]),
        )
        for one in results
    ]
    headers = ("Asset", *PARTS.values(), "Result", "Owners put in, or took out")
    return shown.table(headers, rows, "Nothing moved.")


def _floating() -> str:
    """What the firm would have if all open positions were closed now: the other side of what customers would."""
    rows = exposure.by_symbol(prices_or_none())
    return shown.gain(-sum(row.floating for row in rows), account_currency())
