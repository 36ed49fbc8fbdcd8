"""`manage.py migrate`: Django's own, as the tables' owner."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate

from brokerage.grants import become_owner


class Command(migrate.Command):
    """Connects as MIGRATION_DATABASE_URL says; afterwards the application's role is granted what it needs."""

    def handle(self, *args: Any, **options: Any) -> None:
        become_owner()
        super().handle(*args, **options)
