"""The books, to read: assets, accounts, transfers and the audits that recounted them."""

from __future__ import annotations

from typing import Any

from celery import current_app
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from kombu.exceptions import OperationalError
from unfold.decorators import action
from unfold.enums import ActionVariant

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, leave_dialog, may
from accounts.admin.by_day import MadeFilter
from accounts.admin.dialogs import DialogForm, dialog
from accounts.models import Asset, Funding, LedgerAccount, LedgerAudit, Transfer


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    list_display = ("code", "name", "type", "symbol", "decimals")
    ordering = ("code",)


class OwnerFilter(admin.SimpleListFilter):
    title, parameter_name = "owner", "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("customers", "Customers"), ("house", "House")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in {"customers", "house"}:
            return queryset
        return queryset.filter(customer__isnull=self.value() == "house")


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    """Balance = credits - debits. A customer's never falls below zero; a house account's may."""

    list_display = ("short_guid", "owner", "type", "asset", "balance_shown", "debits_shown", "credits_shown", "moved")
    list_filter = (OwnerFilter, "type", "asset")
    related = ("asset", "customer")
    search_guids = ("pk", "customer_id")
    search_customer = "customer_id"
    fields = ("guid", "owner", "name", "type", "asset", "balance_shown", "debits_shown", "credits_shown", "moved")
    readonly_fields = ("guid", "owner", "balance_shown", "debits_shown", "credits_shown", "moved")

    @admin.display(description="Account")
    def short_guid(self, account: LedgerAccount) -> str:
        return shown.short_guid(account.pk)

    @admin.display(description="Guid")
    def guid(self, account: LedgerAccount) -> str:
        return shown.guid(account.pk)

    @admin.display(description="Owner")
    def owner(self, account: LedgerAccount) -> str:
        return _owner(account)

    @admin.display(description="Balance")
    def balance_shown(self, account: LedgerAccount) -> str:
        return shown.gain(account.balance, account.asset) if account.bucket is not None else _plain(account)

    @admin.display(description="Debits")
    def debits_shown(self, account: LedgerAccount) -> str:
        return shown.amount(account.debits, account.asset)

    @admin.display(description="Credits")
    def credits_shown(self, account: LedgerAccount) -> str:
        return shown.amount(account.credits, account.asset)

    @admin.display(description="Last moved")
    def moved(self, account: LedgerAccount) -> str:
        return shown.timestamp(account.updated_at)


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    """Every movement of money, once, for ever."""

    list_display = ("when", "kind", "amount_shown", "debited", "credited", "customer_name")
    list_filter = ("asset", MadeFilter)
    sortable_by = ("when",)
    related = ("asset", "customer", "debit_account__customer", "credit_account__customer")
    search_guids = ("pk", "customer_id")
    search_customer = "customer_id"
    fields = (
        "guid",
        "when",
        "kind",
        "amount_shown",
        "debited",
        "credited",
        "customer_name",
        "key",
        "about",
        "moved_by",
        "why",
    )
    readonly_fields = (
        "guid",
        "when",
        "amount_shown",
        "debited",
        "credited",
        "customer_name",
        "about",
        "moved_by",
        "why",
    )

    @admin.display(description="At", ordering="pk")
    def when(self, transfer: Transfer) -> str:
        return shown.timestamp(transfer.at)

    @admin.display(description="Guid")
    def guid(self, transfer: Transfer) -> str:
        return shown.guid(transfer.pk)

    @admin.display(description="Amount")
    def amount_shown(self, transfer: Transfer) -> str:
        return shown.amount(transfer.amount, transfer.asset)

    @admin.display(description="Debited")
    def debited(self, transfer: Transfer) -> str:
        return _account_link(transfer.debit_account)

    @admin.display(description="Credited")
    def credited(self, transfer: Transfer) -> str:
        return _account_link(transfer.credit_account)

    @admin.display(description="Customer")
    def customer_name(self, transfer: Transfer) -> str:
        return shown.customer_link(transfer.customer)

    @admin.display(description="Order, trade or batch")
    def about(self, transfer: Transfer) -> str:
        return shown.guid(transfer.subject)

    @admin.display(description="Moved by")
    def moved_by(self, transfer: Transfer) -> str:
        funding = _funding_of(transfer)
        if funding is None:
            return shown.NOTHING
        return shown.who(funding.made_by, funding.made_by_client, funding.made_from)

    @admin.display(description="Reference and reason")
    def why(self, transfer: Transfer) -> str:
        funding = _funding_of(transfer)
        return " · ".join(filter(None, [funding.reference, funding.reason])) if funding else shown.NOTHING


class RecountForm(DialogForm):
    """Nothing to fill in; asking is the confirmation."""


@admin.register(LedgerAudit)
class LedgerAuditAdmin(ReadOnlyAdmin):
    """Recounts of all the books. Anything but "books balance" is an incident."""

    list_display = ("when", "result", "finding_count")
    list_filter = ("ok",)
    search_guids = ("pk",)
    fields = ("when", "result", "counted_shown", "findings_shown")
    readonly_fields = ("when", "result", "counted_shown", "findings_shown")
    actions_list = ("recount",)

    @admin.display(description="At")
    def when(self, audit: LedgerAudit) -> str:
        return shown.timestamp(audit.at)

    @admin.display(description="Result")
    def result(self, audit: LedgerAudit) -> str:
        return shown.chip("books balance" if audit.ok else "breaks", {"books balance": "success", "breaks": "danger"})

    @admin.display(description="Findings")
    def finding_count(self, audit: LedgerAudit) -> int:
        return len(audit.findings)

    @admin.display(description="Rows counted")
    def counted_shown(self, audit: LedgerAudit) -> str:
        rows = [(name, shown.number(count)) for name, count in dict(audit.counted).items()]
        return shown.table(("Check", "Rows"), rows, "Nothing was counted.")

    @admin.display(description="Findings")
    def findings_shown(self, audit: LedgerAudit) -> str:
        rows = [list(finding.values()) for finding in audit.findings[:200]]
        headers = [str(name) for name in audit.findings[0]] if audit.findings else []
        return shown.table(headers, rows, "None: the books balance.")

    @action(
        description="Recount now",
        icon="balance",
        variant=ActionVariant.PRIMARY,
        permissions=["recount"],
        dialog=dialog(
            "Recount all the books?",
            "It reads every account and transfer in the background and changes nothing.",
            "Recount",
            RecountForm,
        ),
    )
    def recount(self, request: HttpRequest, form: RecountForm) -> HttpResponse:
        try:
            current_app.send_task("accounts.tasks.audit", ignore_result=True)
        except OperationalError:
            messages.error(request, "The workers can't be reached; run manage.py audit_ledger, or try again.")
        else:
            messages.info(request, "The recount has been asked for; its result appears in this list.")
        return leave_dialog(request, "admin:accounts_ledgeraudit_changelist")

    has_recount_permission = may("recount_books")


def _funding_of(transfer: Transfer) -> Funding | None:
    """Who moved it: only money in and out has such a row."""
    return Funding.objects.select_related("made_by", "made_by_client").filter(transfer=transfer.pk).first()


def _owner(account: LedgerAccount) -> str:
    return shown.customer_link(account.customer) if account.customer else f"house, bucket {account.bucket}"


def _plain(account: LedgerAccount) -> str:
    return shown.amount(account.balance, account.asset)


def _account_link(account: LedgerAccount) -> str:
    owner = account.customer or f"house {account.bucket}"
    return shown.link("accounts_ledgeraccount", account.pk, format_html("{} · {}", account.type, owner))
