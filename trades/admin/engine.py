"""What the order engine remembers: who runs each partition, and the answers it gave under a key."""

from __future__ import annotations

from django.contrib import admin

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from trades.models import EngineLease, IdempotentAnswer


@admin.register(EngineLease)
class EngineLeaseAdmin(ReadOnlyAdmin):
    list_display = ("partition", "holder", "epoch", "renewed")
    ordering = ("partition",)
    fields = readonly_fields = ("partition", "holder", "epoch", "renewed")

    @admin.display(description="Renewed")
    def renewed(self, lease: EngineLease) -> str:
        return shown.age(lease.renewed_at, clock.about_now())


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(ReadOnlyAdmin):
    list_display = ("key", "customer_name", "status", "when")
    related = ("customer",)
    search_guids = ("pk", "customer_id")
    search_customer = "customer_id"
    fields = readonly_fields = ("key", "customer_name", "status", "body", "command_id", "request_sha256", "when")

    @admin.display(description="Customer")
    def customer_name(self, answer: IdempotentAnswer) -> str:
        return shown.customer_link(answer.customer)

    @admin.display(description="At")
    def when(self, answer: IdempotentAnswer) -> str:
        return shown.timestamp(answer.at)
