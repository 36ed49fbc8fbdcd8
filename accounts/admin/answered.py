"""What POSTs under an Idempotency-Key were answered, to read."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from accounts.models import AnsweredRequest


@admin.register(AnsweredRequest)
class AnsweredRequestAdmin(ReadOnlyAdmin):
    list_display = ("when", "key", "path", "status", "request_id")
    search_guids = ("pk", "user_id", "client_id", "customer_id")
    fields = readonly_fields = (
        *("when", "key", "path", "status", "body", "request_id"),
        *("user_id", "client_id", "customer_id", "request_sha256"),
    )

    @admin.display(description="At")
    def when(self, answered: AnsweredRequest) -> str:
        return shown.timestamp(answered.at)
