"""The chain of sealed blocks, to read; its newest hash is what to note down elsewhere."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from accounts.models import SealBlock


@admin.register(SealBlock)
class SealBlockAdmin(ReadOnlyAdmin):
    """History as it was sealed. The first of this list is the head of the chain."""

    list_display = ("number", "sealed", "table_name", "rows_shown", "hash")
    list_filter = ("table_name",)
    search_texts = ("hash",)
    fields = ("number", "sealed", "table_name", "columns", "after", "through", "rows_shown", "previous_hash", "hash")
    readonly_fields = ("sealed", "rows_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("ids", "digests", "sides")  # half a megabyte a block

    @admin.display(description="Sealed at")
    def sealed(self, block: SealBlock) -> str:
        return shown.timestamp(block.sealed_at)

    @admin.display(description="Rows")
    def rows_shown(self, block: SealBlock) -> str:
        return shown.number(block.rows_count)
