"""API clients: made here with a secret that is shown once, switched off here."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import clock, services
from accounts.admin import shown
from accounts.admin.base import BoundedAdmin, NeverDeleted
from accounts.errors import Refusal
from accounts.identity import FIRM_SCOPES
from accounts.models import ApiClient


class ApiClientForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in sorted(FIRM_SCOPES)],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What its tokens may do at the most. Tokens issued before lose at once what is taken away here.",
    )

    def clean_scopes(self) -> list[str]:
        """What lets a program do something is added by two persons, on its page."""
        given: list[str] = self.cleaned_data["scopes"]
        before = [] if self.instance._state.adding else self.initial.get("scopes", [])
        added = [scope for scope in given if scope not in before and scope.endswith((":execute", ":write"))]
        if added:
            raise forms.ValidationError(
                f"That takes two persons: save it without {', '.join(added)}, then propose them on its page."
            )
        return given

    def clean_is_active(self) -> bool:
        """One that does something is switched on again by two persons, too."""
        is_active: bool = self.cleaned_data["is_active"]
        is_again = is_active and not self.initial.get("is_active") and not self.instance._state.adding
        if is_again and any(scope.endswith((":execute", ":write")) for scope in self.instance.scopes):
            raise forms.ValidationError("That takes two persons: propose it on its page.")
        return is_active

    class Meta:
        model = ApiClient
        fields = ("name", "scopes", "is_active")


@admin.register(ApiClient)
class ApiClientAdmin(NeverDeleted, BoundedAdmin):
    deed = "manage_clients"
    actions = ("end_tokens",)
    form = ApiClientForm
    list_display = ("name", "client_id", "is_active", "scope_count", "created")
    list_filter = ("is_active",)
    search_texts = ("client_id", "name")
    readonly_fields = ("client_id", "created")
    fieldsets = ((None, {"fields": ("name", "is_active", "client_id", "created")}), ("Scopes", {"fields": ("scopes",)}))
    add_fieldsets = ((None, {"fields": ("name", "scopes")}),)

    @admin.action(description="End every token", permissions=("change",))
    def end_tokens(self, request: HttpRequest, clients: QuerySet[ApiClient]) -> None:
        chosen = list(clients)
        services.end_tokens([client.pk for client in chosen])
        for client in chosen:
            self.log_change(request, client, "Ended every token.")
        messages.success(request, f"Ended every token of: {len(chosen)}.")

    @admin.display(description="Scopes")
    def scope_count(self, client: ApiClient) -> str:
        return f"{len(client.scopes)} of {len(FIRM_SCOPES)}"

    @admin.display(description="Created")
    def created(self, client: ApiClient) -> str:
        return shown.timestamp(client.created_at)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with services.keeping_an_administrator():
                answer: HttpResponse = super().changeform_view(request, *args, **kwargs)
        except Refusal as refusal:  # it was switched off since the form was looked at
            messages.error(request, refusal.text)
            return HttpResponseRedirect(request.path)
        return answer

    def save_model(self, request: HttpRequest, client: ApiClient, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, client, form, change)
            return
        made, secret = services.create_api_client(client.name, client.scopes, clock.now())
        for name in ("pk", "client_id", "secret_sha256", "scopes", "created_at"):
            setattr(client, name, getattr(made, name))
        client._state.adding = False
        text = "Client id {} and secret {} - copy the secret now, it is not kept and can't be shown again."
        identity, word = (format_html('<code class="admin-id">{}</code>', part) for part in (client.client_id, secret))
        messages.warning(request, format_html(text, identity, word))
