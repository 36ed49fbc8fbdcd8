"""The books beside statements from outside: every run with its lines; a new one is made by uploading a statement."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSplitDateTimeWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import BoundedAdmin, ReadOnlyInline
from accounts.admin.dialogs import actor
from accounts.errors import Refusal
from accounts.models import ReconciliationLine, ReconciliationRun
from accounts.services.reconciliation import LONGEST_STATEMENT, reconcile

ONE_WAY_ON = {"title": "Reconcile a statement", "show_save_and_continue": False, "show_save_and_add_another": False}
RESULTS = {"OK": "success", "drift": "danger"}


class StatementForm(forms.ModelForm):
    statement = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text=(
            "CSV, first line asset,balance; balances in units of the asset. What the banks and providers hold for the"
            " firm, all of them together; an asset that is left out counts as zero there."
        ),
    )
    as_of = forms.SplitDateTimeField(
        widget=UnfoldAdminSplitDateTimeWidget, help_text="The time that the statement is about, UTC."
    )

    class Meta:
        model = ReconciliationRun
        fields = ("as_of",)

    def clean_statement(self) -> UploadedFile:
        given: UploadedFile = self.cleaned_data["statement"]
        if given.size is None or given.size > LONGEST_STATEMENT:
            raise ValidationError(f"A statement has at most {LONGEST_STATEMENT:,} bytes.")
        return given


class LineInline(ReadOnlyInline):
    model = ReconciliationLine
    fields = readonly_fields = ("asset", "ledger_shown", "statement_shown", "drift_shown", "result")
    related = ("asset",)
    ordering = ("asset_id",)

    @admin.display(description="Ledger")
    def ledger_shown(self, line: ReconciliationLine) -> str:
        return shown.amount(line.ledger, line.asset)

    @admin.display(description="Statement")
    def statement_shown(self, line: ReconciliationLine) -> str:
        return shown.amount(line.statement, line.asset)

    @admin.display(description="Drift")
    def drift_shown(self, line: ReconciliationLine) -> str:
        return shown.gain(line.drift, line.asset)

    @admin.display(description="Result")
    def result(self, line: ReconciliationLine) -> str:
        return shown.chip("OK" if line.ok else "drift", RESULTS)


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(BoundedAdmin):
    """Never changed, never removed. Adding one is reconciling a statement."""

    deed = "reconcile"
    form = StatementForm
    list_display = ("short_guid", "as_of_moment", "result", "source", "made", "when")
    list_filter = ("ok",)
    related = ("made_by",)
    search_guids = ("pk",)
    inlines = (LineInline,)
    fieldsets = (
        (None, {"fields": (("guid", "result"), ("as_of_moment", "when"), ("source", "made"), ("fingerprint",))}),
    )
    add_fieldsets = ((None, {"fields": ("statement", "as_of")}),)
    readonly_fields = ("guid", "result", "as_of_moment", "when", "made", "source", "fingerprint")
    actions_list = ("reconcile_statement",)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_inlines(self, request: HttpRequest, obj: object) -> Any:
        return self.inlines if obj else ()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            answer: HttpResponse = super().add_view(request, form_url, {**(extra_context or {}), **ONE_WAY_ON})
        except Refusal as refusal:  # the file's line that can't be read, or a moment that is still to come
            messages.error(request, refusal.text)
            return HttpResponseRedirect(request.path)
        return answer

    def save_model(self, request: HttpRequest, run: ReconciliationRun, form: Any, change: bool) -> None:
        statement: UploadedFile = form.cleaned_data["statement"]
        made = reconcile(
            statement.read(),
            source=str(statement.name),
            as_of=form.cleaned_data["as_of"],
            at=clock.firm_now(),
            by=actor(request),
        )
        run.pk, run.ok, run.source = made.pk, made.ok, made.source
        run._state.adding = False

    def response_add(self, request: HttpRequest, run: ReconciliationRun, post_url_continue: Any = None) -> HttpResponse:
        if run.ok:
            messages.success(request, "The books agree with this statement.")
        else:
            messages.warning(request, "The books and this statement differ: each asset that drifts has an open break.")
        return HttpResponseRedirect(shown.path_of("accounts_reconciliationrun", run.pk))

    @action(description="Reconcile a statement", icon="rule", variant=ActionVariant.PRIMARY, permissions=["add"])
    def reconcile_statement(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:accounts_reconciliationrun_add"))

    @admin.display(description="Fingerprint of the statement (SHA-256)")
    def fingerprint(self, run: ReconciliationRun) -> str:
        return format_html('<span class="admin-id">{}</span>', run.source_sha256)

    @admin.display(description="Run")
    def short_guid(self, run: ReconciliationRun) -> str:
        return shown.short_guid(run.pk)

    @admin.display(description="Guid")
    def guid(self, run: ReconciliationRun) -> str:
        return shown.guid(run.pk)

    @admin.display(description="As of")
    def as_of_moment(self, run: ReconciliationRun) -> str:
        return shown.timestamp(run.as_of)

    @admin.display(description="Compared at")
    def when(self, run: ReconciliationRun) -> str:
        return shown.timestamp(run.at)

    @admin.display(description="By")
    def made(self, run: ReconciliationRun) -> str:
        return shown.who(run.made_by)

    @admin.display(description="Result")
    def result(self, run: ReconciliationRun) -> str:
        return shown.chip("OK" if run.ok else "drift", RESULTS)
