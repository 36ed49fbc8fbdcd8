"""`manage.py migrate`: Django's own, as the tables' owner."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate

from accounts import events
from accounts.management.output import Job
from brokerage.grants import become_owner, refuse_a_role_that_cant_be_made
from brokerage.left_behind import refuse_a_moved_clock
from brokerage.pooled import let_the_role_say


class Command(Job, migrate.Command):
    """Connects as MIGRATION_DATABASE_URL says; afterwards the application's role is granted what it needs, and events
    go on behind those that there are. Refuses, with SANDBOX=0, a database whose clock a sandbox has moved."""

    def handle(self, *args: Any, **options: Any) -> None:
        become_owner()
        refuse_a_role_that_cant_be_made(options["database"])
        refuse_a_moved_clock(options["database"])
        super().handle(*args, **options)
        events.go_on_behind()
        let_the_role_say()
