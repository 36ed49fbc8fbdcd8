"""What a cut would take, shown before anybody cuts: totals, legs, and who would be left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldBooleanWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.dialogs import DialogForm
from accounts.models import Asset
from trades.models import LeftOut
from trades.settlement.cut import EVERY_KIND, preview

SUMS = ("Customers receive", "Customers deliver", "Fees")


def previewed(kinds: Sequence[str], *, in_full: bool = True) -> dict[str, Any]:
    """The context of admin/cut_preview.html."""
    found = preview(kinds, clock.firm_now())
    assets = Asset.objects.in_bulk([net.asset for net in found.nets])
    rows = [
        (
            net.asset,
            net.direction,
            shown.amount(net.expected, assets[net.asset]),
            *(shown.amount(sum_, assets[net.asset]) for sum_ in (net.received, net.delivered, net.fees) if in_full),
        )
        for net in found.nets
    ]
    headers = ("Leg", "Direction", "Expected", *(SUMS if in_full else ()))
    return {
        "preview": found,
        "legs_table": shown.table(headers, rows, "No legs."),
        "left_out": [f"{count:,} left out: {reason_text(reason)}." for reason, count in found.left_out],
    }


def reason_text(reason: str) -> str:
    """customer_frozen -> customer frozen."""
    return LeftOut.Reason(reason).label.lower()


def preview_page(model_admin: ModelAdmin, request: HttpRequest, parts: list[tuple[str, Any]]) -> HttpResponse:
    """The dry run as a page of its own."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "What would be cut?",
        "opts": model_admin.model._meta,
        "parts": [{"title": title, **previewed(kinds)} for title, kinds in parts],
    }
    return TemplateResponse(request, "admin/cut_preview_page.html", context)


class CutForm(DialogForm):
    """Shows what would be cut, and asks how its legs are settled."""

    form_before_template = "admin/cut_preview.html"
    report_legs = forms.BooleanField(
        required=False,
        label="Its legs are reported by hand",
        help_text="Else each leg settles as expected, at once.",
        widget=UnfoldBooleanWidget,
    )
    in_order = forms.BooleanField(
        required=False,
        label="Its trades complete in order of time",
        help_text="When a part of a reported leg has come, those up to it do. Else none does until all has come.",
        widget=UnfoldBooleanWidget,
    )

    def get_before_template_context(self, request: HttpRequest, object_id: Any = None) -> dict[str, Any]:
        return previewed(EVERY_KIND, in_full=False)
