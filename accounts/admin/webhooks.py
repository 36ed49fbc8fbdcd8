"""Who is told of events by webhooks, what is on its way, and every call that was made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from accounts import clock, events
from accounts.admin import shown
from accounts.admin.base import BoundedAdmin, NeverDeleted, ReadOnlyAdmin, may
from accounts.errors import Refusal
from accounts.events import guid_of
from accounts.ids import pasted_guid
from accounts.models import ApiClient, Customer, Event, WebhookAttempt, WebhookDelivery, WebhookSubscription
from accounts.services import subscriptions
from accounts.webhooks.messages import body_of

ONE_WAY_ON = {"title": "Subscribe an API client", "show_save_and_continue": False, "show_save_and_add_another": False}


class SubscriptionForm(forms.ModelForm):
    kinds = forms.MultipleChoiceField(
        choices=[(kind, kind) for kind in events.EVERY_KIND],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label="Events",
        help_text="None ticked: all that the client's scopes let it read.",
    )
    customer_guid = forms.CharField(
        required=False,
        max_length=36,
        widget=UnfoldAdminTextInputWidget,
        label="Customer",
        help_text="A guid: only this customer's events, and the prices'. Empty: the whole firm's.",
    )

    class Meta:
        model = WebhookSubscription
        fields = ("client", "name", "url")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clients = self.fields.get("client")  # a page that only shows has no fields
        if isinstance(clients, forms.ModelChoiceField):
            clients.queryset = ApiClient.objects.filter(is_active=True).order_by("name")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            subscriptions.check_endpoint(url)
        except Refusal as refusal:
            raise ValidationError(refusal.text) from None
        return url

    def clean_customer_guid(self) -> Customer | None:
        text = self.cleaned_data["customer_guid"].strip()
        guid = pasted_guid(text)
        found = None if guid is None else Customer.objects.filter(pk=guid).first()
        if text and found is None:
            raise ValidationError("There is no such customer.")
        return found


@admin.register(WebhookSubscription)
class WebhookSubscriptionAdmin(NeverDeleted, BoundedAdmin):
    """Made here for an API client, or by it. A key is shown to the client alone, when it asks for a new one."""

    deed = "manage_webhooks"
    form = SubscriptionForm
    actions = ("send_again", "end_now")
    list_display = ("name", "client", "url", "state", "failing", "until")
    list_filter = ("state",)
    list_select_related = ("client",)
    search_guids = ("pk", "client_id", "customer_id")
    search_texts = ("name", "url")
    fields = readonly_fields = (
        *("name", "url", "client", "customer", "kinds", "state", "failure_code"),
        *("failing", "failures", "until", "created", "id"),
    )
    add_fieldsets = ((None, {"fields": ("client", "name", "url", "customer_guid", "kinds")}),)
    has_send_again_permission = may("resend_webhooks")
    has_end_permission = may("manage_webhooks")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Any:
        return self.readonly_fields if obj else ()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            answer: HttpResponse = super().add_view(request, form_url, {**(extra_context or {}), **ONE_WAY_ON})
        except Refusal as refusal:  # the client has as many as it may
            messages.error(request, refusal.text)
            return HttpResponseRedirect(request.path)
        return answer

    def save_model(self, request: HttpRequest, subscription: WebhookSubscription, form: Any, change: bool) -> None:
        given = form.cleaned_data
        wanted = subscriptions.NewSubscription(
            given["client"].pk, given["name"], given["url"], given["kinds"] or None, given["customer_guid"]
        )
        subscription.pk = subscriptions.subscribe(wanted, clock.now()).pk
        subscription._state.adding = False

    def response_add(
        self, request: HttpRequest, subscription: WebhookSubscription, post_url_continue: Any = None
    ) -> HttpResponse:
        text = "The client is told from now on. It gets its signing key by POST /api/subscriptions/{}/signing_key."
        messages.success(request, text.format(subscription.pk.hex))
        return HttpResponseRedirect(shown.path_of("accounts_webhooksubscription", subscription.pk))

    @admin.action(description="Send again what failed", permissions=("send_again",))
    def send_again(self, request: HttpRequest, chosen: QuerySet[WebhookSubscription]) -> None:
        count = 0
        for subscription in chosen.filter(deleted_at=None, state=WebhookSubscription.State.COMPLETED):
            count += subscriptions.replay(subscription.pk, clock.now()).count
            self.log_change(request, subscription, "Sent again what failed.")
        messages.success(request, f"Deliveries that are sent again: {count}.")

    @admin.action(description="End now", permissions=("end",))
    def end_now(self, request: HttpRequest, chosen: QuerySet[WebhookSubscription]) -> None:
        ended = list(chosen)
        for subscription in ended:
            subscriptions.end(subscription.pk, clock.now(), after=timedelta(0))
            self.log_change(request, subscription, "Ended.")
        messages.success(request, f"Subscriptions that are told nothing more: {len(ended)}.")

    @admin.display(description="Failing since")
    def failing(self, subscription: WebhookSubscription) -> str:
        return shown.timestamp(subscription.failing_since)

    @admin.display(description="Ends at")
    def until(self, subscription: WebhookSubscription) -> str:
        return shown.timestamp(subscription.deleted_at)

    @admin.display(description="Created")
    def created(self, subscription: WebhookSubscription) -> str:
        return shown.timestamp(subscription.created_at)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("event", "kind", "subscription", "state", "attempts", "next_attempt", "changed")
    list_filter = ("state",)
    list_select_related = ("subscription",)
    ordering = ("-transaction", "-number")
    search_guids = ("pk", "subscription_id")
    fields = readonly_fields = (
        *("event", "kind", "subscription", "object_id", "state", "attempts", "response"),
        *("next_attempt", "changed", "id"),
    )

    @admin.display(description="Event")
    def event(self, delivery: WebhookDelivery) -> str:
        return guid_of((delivery.transaction, delivery.number)).hex

    @admin.display(description="Next attempt")
    def next_attempt(self, delivery: WebhookDelivery) -> str:
        return shown.timestamp(delivery.next_attempt_at)

    @admin.display(description="Changed")
    def changed(self, delivery: WebhookDelivery) -> str:
        return shown.timestamp(delivery.updated_at)


@admin.register(WebhookAttempt)
class WebhookAttemptAdmin(ReadOnlyAdmin):
    """What was sent, without the signatures, and what came back."""

    list_display = ("when", "delivery", "address", "status", "error", "milliseconds")
    search_guids = ("pk", "delivery_id")
    related = ("delivery",)
    fields = readonly_fields = (
        *("when", "delivery", "headers", "body", "address", "status", "response", "error", "milliseconds", "id"),
    )

    @admin.display(description="At")
    def when(self, attempt: WebhookAttempt) -> str:
        return shown.timestamp(attempt.at)

    @admin.display(description="Body")
    def body(self, attempt: WebhookAttempt) -> str:
        delivery = attempt.delivery
        event = Event.objects.get(pk=(delivery.transaction, delivery.number))
        return body_of(event, delivery.subscription_id).decode()
