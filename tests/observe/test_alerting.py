"""A watch outside hears of each good audit and seal, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from accounts import tasks
from accounts.models import LedgerAudit
from tests.feeds.servers import HttpServer, Quiet
from tests.given import a_customer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def calls(settings) -> Iterator[list[str]]:
    """The paths that were called."""
    paths: list[str] = []

    class Watch(Quiet):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200 if "audit" in self.path else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = HttpServer(Watch)
    settings.ALERT_URL = f"{server.url}/watch/{{}}"
    yield paths
    server.stop()


def test_a_good_audit_and_a_seal_are_told_and_a_watch_that_fails_costs_no_more_than_a_line(calls, caplog):
    tasks.audit()
    tasks.seal()
    tasks.verify()

    assert calls == ["/watch/audit", "/watch/seal", "/watch/audit"]
    assert "ALERT_URL wasn't told of the seal: HTTPStatusError" in caplog.text


def test_an_audit_that_finds_something_is_told_to_nobody(calls):
    """Guard: `else` in `tasks._report`. A watch that hears of every audit is silent about a bad one."""
    alice = a_customer(with_usd="1.00")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE customer_id = %s", [alice.pk])

    tasks.audit()

    assert not LedgerAudit.objects.get().ok
    assert calls == []


def test_a_watch_that_isnt_there_harms_no_audit(settings, calls):
    settings.ALERT_URL = "http://127.0.0.1:1/{}"

    tasks.audit()

    assert LedgerAudit.objects.get().ok
