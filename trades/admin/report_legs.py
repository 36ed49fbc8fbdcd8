"""The page on which all legs of a batch are reported at once, one row a leg."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts import clock
from accounts.admin import noting, shown
from accounts.admin.dialogs import actor, base_units
from accounts.admin.numbers import amount_field, as_printed
from accounts.admin.once import OnceField
from accounts.errors import Refusal
from trades.admin.legs import BEGUN
from trades.admin.odd_amounts import confirmation_of, is_confirmed, warning_of
from trades.models import SettlementBatch, SettlementLeg
from trades.settlement.legs import LONGEST_REFERENCE
from trades.settlement.legs_together import Report, left_of, settle_legs, steps_of
from trades.states import LegStatus

MOST: Final = 100  # rows of the form; a batch has a leg an asset
BATCH: Final = "admin:trades_settlementbatch_change"
AMOUNT: Final = "-actual"  # ends the name of each row's amount


class KeyForm(forms.Form):
    """The page's one-time key: the same form sent twice is carried out once."""

    once_only = OnceField()


class LegForm(forms.Form):
    """A leg's row; one without an amount isn't reported."""

    actual = amount_field(widget=UnfoldAdminTextInputWidget, required=False, label="Moved")
    reference = forms.CharField(max_length=LONGEST_REFERENCE, required=False, widget=UnfoldAdminTextInputWidget)
    final = forms.BooleanField(required=False, label="Nothing more comes", widget=UnfoldBooleanWidget)
    seen = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, leg: SettlementLeg, data: Any) -> None:
        super().__init__(data, prefix=leg.asset_id, initial={"seen": steps_of(leg)})
        self.leg, self.left = leg, left_of(leg)

    @property
    def told(self) -> str:
        """What is known of the leg, as the other pages print it."""
        leg = self.leg
        come = f", {shown.amount_text(leg.actual, leg.asset)} came" if leg.actual is not None else ""
        return f"{shown.amount_text(leg.expected, leg.asset)} expected{come}"

    @property
    def left_shown(self) -> str:
        return shown.amount_text(self.left, self.leg.asset)

    def clean_actual(self) -> int | None:
        given, code = self.cleaned_data["actual"], self.leg.asset_id
        return base_units(code, as_printed(given, code), may_be_zero=True) if given else None

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if "actual" in given and given["actual"] is None and (given.get("reference") or given["final"]):
            self.add_error("actual", "How much moved? Zero: nothing.")
        return given

    @property
    def is_reported(self) -> bool:
        return self.is_valid() and self.cleaned_data["actual"] is not None

    @property
    def warning(self) -> str:
        """Why somebody should look at this row twice; empty: they needn't."""
        return warning_of(self.cleaned_data["actual"], self.left, self.leg.asset) if self.is_reported else ""

    @property
    def report(self) -> Report:
        given = self.cleaned_data
        return Report(self.leg.pk, given["actual"], given["reference"], given["final"], given["seen"])


def report_legs_page(page: Any, request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """The form; sent, it reports every row with an amount, or says what is wrong and reports nothing.

    Where a row differs much from what is expected it is shown again, with a box to tick for just these amounts.
    """
    if not page.has_report_permission(request):
        raise PermissionDenied
    batch = SettlementBatch.objects.filter(pk=batch_id).first()
    if batch is None:
        raise Http404
    data = request.POST if request.method == "POST" else None
    legs = list(_open_legs(batch))
    rows = [LegForm(leg, data) for leg in legs[:MOST]]
    key = KeyForm(data)
    if data is not None and _is_right(request, key, rows) and _is_confirmed(data, rows):
        done = _reported(request, batch_id, rows)
        if done:
            return done
    warned = [row for row in rows if data is not None and row.warning]
    context = {
        **page.admin_site.each_context(request),
        "title": "Report the legs of a batch",
        "opts": page.model._meta,
        "batch": batch,
        "batch_page": reverse(BATCH, args=[batch_id]),
        "key": key,
        "rows": rows,
        "most": MOST if len(legs) > MOST else 0,
        "confirmation": _confirmation(warned) if warned else "",
    }
    return TemplateResponse(request, "admin/report_legs.html", context)


def _open_legs(batch: SettlementBatch) -> Iterable[SettlementLeg]:
    """Those that may be reported; none before the batch has begun to settle. One more than the form has rows."""
    if batch.state not in BEGUN:
        return []
    legs = SettlementLeg.objects.filter(batch=batch).exclude(status=LegStatus.SETTLED)
    return legs.select_related("asset").order_by("asset_id")[: MOST + 1]


def _is_right(request: HttpRequest, key: KeyForm, rows: list[LegForm]) -> bool:
    """Whether all that was filled in can be read, and something was. The forms and a message say what is wrong."""
    wrong = [row.leg.asset_id for row in rows if not row.is_valid()]
    amounts = {name.removesuffix(AMOUNT) for name, given in request.POST.items() if name.endswith(AMOUNT) and given}
    gone = amounts - {row.leg.asset_id for row in rows}
    text = ""
    if not key.is_valid():
        text = "This form has no one-time key: open it anew."
    elif wrong:
        text = f"Nothing was reported: see {', '.join(wrong)}."
    elif gone:
        text = f"Nothing was reported: {', '.join(sorted(gone))} can't be reported any more; look again."
    elif not any(row.is_reported for row in rows):
        text = "Nothing was reported: no open leg has an amount."
    if text:
        noting.refused(request, text)
        messages.error(request, text)
    return not text


def _is_confirmed(data: Any, rows: list[LegForm]) -> bool:
    """Whether whoever sent it has seen the warnings of just these amounts."""
    warned = [row for row in rows if row.warning]
    return not warned or is_confirmed(data, _confirmation(warned))


def _confirmation(warned: list[LegForm]) -> str:
    return confirmation_of((row.leg.pk, row.cleaned_data["actual"], row.left) for row in warned)


def _reported(request: HttpRequest, batch_id: UUID, rows: list[LegForm]) -> HttpResponse | None:
    """All rows with an amount; None where one was refused, and so none was reported."""
    reports = [row.report for row in rows if row.is_reported]
    try:
        legs = settle_legs(batch_id, reports, by=actor(request), at=clock.firm_now())
    except Refusal as refusal:
        text = f"Nothing was reported. {refusal.text}"
        noting.refused(request, text)
        messages.error(request, text)
        return None
    for leg in legs:
        noting.made(request, leg)
    messages.success(request, _told(legs))
    return HttpResponseRedirect(reverse(BATCH, args=[batch_id]))


def _told(legs: list[SettlementLeg]) -> str:
    settled = [leg for leg in legs if leg.status == LegStatus.SETTLED]
    breaks = [leg.asset_id for leg in settled if int(leg.actual or 0) != int(leg.expected)]
    parts = [leg.asset_id for leg in legs if leg.status == LegStatus.PARTIALLY_SETTLED]
    said = [f"{len(legs)} reported, {len(settled)} of them settled."]
    said += [f"The rest is still expected of {', '.join(parts)}."] if parts else []
    said += [f"There is a break of {', '.join(breaks)}."] if breaks else []
    return " ".join(said)
