"""Celery's way in: one call per task. Both may run twice at once; neither changes anybody's money."""

from __future__ import annotations

import logging

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from accounts import audit as books

log = logging.getLogger(__name__)


@shared_task(name="accounts.tasks.audit")  # type: ignore[untyped-decorator]
def audit() -> None:
    """Recount the books; the result is a row an operator sees, a break is an error in the log as well."""
    result = books.run(timezone.now())
    if not result.ok:
        log.error("The ledger audit found %s breaks: %s", len(result.findings), result.findings[:5])


@shared_task(name="accounts.tasks.forget_expired_tokens")  # type: ignore[untyped-decorator]
def forget_expired_tokens() -> None:
    """Remove refresh tokens that expired: they are refused for their age, dead or not."""
    call_command("flushexpiredtokens")
