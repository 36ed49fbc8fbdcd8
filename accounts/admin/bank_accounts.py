"""Customers' bank accounts outside: looked at here, written down and deleted by API alone."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, names_in
from accounts.models import ExternalBankAccount

STATES = {"completed": "success", "deleted": ""}


@admin.register(ExternalBankAccount)
class ExternalBankAccountAdmin(ReadOnlyAdmin):
    """Compare the holder with the customer before somebody is paid there."""

    list_display = ("name", "customer_link", "asset", "holder", "masked", "state_label", "created")
    list_filter = ("state", "asset", "routing_type")
    related = ("customer", "asset", "made_by", "made_by_client")
    search_guids = ("pk", "customer")
    search_texts = ("account_number",)
    fieldsets = (
        (None, {"fields": (("name", "asset"), ("customer_link", "state_label"), ("created", "updated"), ("maker",))}),
        (
            "At the bank",
            {"fields": (("holder", "email_address"), ("routing_type", "routing_number", "account_number"))},
        ),
    )
    readonly_fields = names_in(fieldsets)

    @admin.display(description="Customer")
    def customer_link(self, account: ExternalBankAccount) -> str:
        return shown.link("accounts_customer", account.customer_id, account.customer)

    @admin.display(description="Account")
    def masked(self, account: ExternalBankAccount) -> str:
        return account.masked or shown.NOTHING

    @admin.display(description="State")
    def state_label(self, account: ExternalBankAccount) -> str:
        return shown.chip(account.state, STATES)

    @admin.display(description="Created")
    def created(self, account: ExternalBankAccount) -> str:
        return shown.timestamp(account.created_at)

    @admin.display(description="Changed")
    def updated(self, account: ExternalBankAccount) -> str:
        return shown.timestamp(account.updated_at)

    @admin.display(description="By")
    def maker(self, account: ExternalBankAccount) -> str:
        return shown.who(account.made_by, account.made_by_client, otherwise=shown.NOTHING)
