"""Celery's way in: one call per task. Each may run twice at once; none changes anybody's money."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import audit as books
from accounts import clock, seals
from accounts.models import LedgerAudit

log = logging.getLogger(__name__)

SEALED_WITHIN = timedelta(hours=1)  # later, somebody should look who holds a transaction open


@shared_task(name="accounts.tasks.audit")  # type: ignore[untyped-decorator]
def audit() -> None:
    """Recount the books; the result is a row an operator sees, a break is an error in the log as well."""
    _report(books.run(clock.now()))


@shared_task(name="accounts.tasks.seal")  # type: ignore[untyped-decorator]
def seal() -> None:
    """Seal what is old enough. The head goes to the log, which may leave the machine that keeps the blocks."""
    at = clock.now()
    done = seals.seal(at)
    if done.until is None or at - done.until > SEALED_WITHIN:
        log.warning("Sealing waits for a transaction that is open: it got to %s", done.until or "nothing")
    if done.blocks and done.head:
        log.info(
            "Sealed %s rows in %s blocks; head: block %s %s", done.rows, done.blocks, done.head.number, done.head.hash
        )


@shared_task(name="accounts.tasks.verify")  # type: ignore[untyped-decorator]
def verify() -> None:
    """Recount the books and compare history with its seals."""
    _report(books.run(clock.now(), verify=True))


@shared_task(name="accounts.tasks.forget_expired_tokens")  # type: ignore[untyped-decorator]
def forget_expired_tokens() -> None:
    """Remove refresh tokens that expired: they are refused for their age, dead or not.

    By the clock that judges them: a worker ahead of it would forget which of the others' tokens are dead.
    """
    OutstandingToken.objects.filter(expires_at__lte=clock.now()).delete()


def _report(result: LedgerAudit) -> None:
    if not result.ok:
        log.error("The ledger audit found %s breaks: %s", len(result.findings), result.findings[:5])
