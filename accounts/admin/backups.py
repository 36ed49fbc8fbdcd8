"""The backups that were made, to read."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from accounts.models import Backup


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    """What `manage.py backup` wrote. Whether a copy still is there, nobody here knows."""

    list_display = ("made", "kind", "size", "place", "head_hash")
    list_filter = ("kind",)
    search_texts = ("head_hash",)
    fields = ("made", "began", "kind", "size", "place", "migration", "head_number", "head_hash")
    readonly_fields = ("made", "began", "size")

    @admin.display(description="At")
    def made(self, backup: Backup) -> str:
        return shown.timestamp(backup.at)

    @admin.display(description="Began at")
    def began(self, backup: Backup) -> str:
        return shown.timestamp(backup.began_at)

    @admin.display(description="Bytes")
    def size(self, backup: Backup) -> str:
        return shown.number(backup.bytes)
