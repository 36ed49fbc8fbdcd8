"""Celery's way in: one call per task. Each may run twice at once; none changes anybody's money."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.conf import settings

from accounts import alerting, clock, events, seals, services
from accounts import audit as books
from accounts.conflicts import AGAIN
from accounts.models import EndedSession, LedgerAudit
from accounts.services import forgetting, idempotency
from accounts.webhooks import delivering

A_DAY = timedelta(days=1)  # for clocks that differ, and settings that were changed
log = logging.getLogger(__name__)

SEALED_WITHIN = timedelta(hours=1)  # later, somebody should look who holds a transaction open


@shared_task(name="accounts.tasks.check_customers", **AGAIN)  # type: ignore[untyped-decorator]
def check_customers(ids: list[str]) -> None:
    """Check these customers, who stand in storing. Twice at once: who has moved isn't storing any more."""
    services.check([UUID(hex=id_) for id_ in ids], clock.now())


@shared_task(name="accounts.tasks.sweep_customers", **AGAIN)  # type: ignore[untyped-decorator]
def sweep_customers() -> None:
    """Check whoever stands in storing: what a lost wake-up left behind. Twice at once: like `check_customers`."""
    if moved := services.sweep(clock.now()):
        log.info("%d customers were checked", moved)


@shared_task(name="accounts.tasks.note_horizon", **AGAIN)  # type: ignore[untyped-decorator]
def note_horizon() -> None:
    """Note the oldest transaction that runs, for lists of what has changed. Twice at once: two rows."""
    events.note_horizon()


@shared_task(name="accounts.tasks.send_webhooks", **AGAIN)  # type: ignore[untyped-decorator]
def send_webhooks() -> None:
    """Send what webhooks are due. Twice at once: who comes second leaves it to the first."""
    delivering.deliver()


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
    else:
        alerting.tell_that_it_is_well("seal")
    if done.blocks and done.head:
        log.info(
            "Sealed %s rows in %s blocks; head: block %s %s", done.rows, done.blocks, done.head.number, done.head.hash
        )


@shared_task(name="accounts.tasks.verify")  # type: ignore[untyped-decorator]
def verify() -> None:
    """Recount the books and compare history with its seals."""
    _report(books.run(clock.now(), verify=True))


@shared_task(name="accounts.tasks.forget_expired_tokens", **AGAIN)  # type: ignore[untyped-decorator]
def forget_expired_tokens() -> None:
    """Remove refresh tokens that expired: they are refused for their age, dead or not. So is what an ended session had.
    And sessions of the admin that ended. Twice at once: one finds less.

    By the clock that judges them: a worker ahead of it would forget which of the others' tokens are dead.
    """
    at = clock.now()
    forgetting.forget_sessions(at)
    forgetting.forget_tokens(at)
    EndedSession.objects.filter(ended_at__lte=at - settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"] - A_DAY).delete()
    services.forget_addresses(at)


@shared_task(name="accounts.tasks.forget_answered_requests")  # type: ignore[untyped-decorator]
def forget_answered_requests() -> None:
    """Remove answers under an Idempotency-Key that are old. Twice at once: one finds less."""
    idempotency.forget_old(clock.now())


def _report(result: LedgerAudit) -> None:
    if not result.ok:
        log.error("The ledger audit found %s breaks: %s", len(result.findings), result.findings[:5])
    else:
        alerting.tell_that_it_is_well("audit")
