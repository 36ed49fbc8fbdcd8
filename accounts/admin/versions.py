"""What rows that may change have said, to read: who had which spread, login or state, and since when."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from accounts.models import RowVersion


@admin.register(RowVersion)
class RowVersionAdmin(ReadOnlyAdmin):
    list_display = ("written", "table_name", "row_key", "number", "by_role")
    list_filter = ("table_name",)
    search_texts = ("row_key",)
    fields = readonly_fields = ("written", "table_name", "row_key", "number", "by_role", "request_id", "said_shown")

    @admin.display(description="From")
    def written(self, version: RowVersion) -> str:
        return shown.timestamp(version.at)

    @admin.display(description="It says")
    def said_shown(self, version: RowVersion) -> str:
        if version.said is None:
            return "It was removed."
        return format_html(
            "<pre>{}</pre>", "\n".join(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in version.said.items())
        )
