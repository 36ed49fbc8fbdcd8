"""A connection that fails says why in one line: of a command, and in the log of the web process."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection
from django.test import RequestFactory

from brokerage.http.arrival import answer_to
from brokerage.observe import unreachable
from tests.faults.pooler import refusing_pooler
from tests.faults.test_commands_as_jobs import one_line, run
from tests.stack.running import eventually

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


def test_a_pooler_that_refuses_is_quoted_in_one_line_and_no_reason_to_try_again():
    """Guard: the pooler's own words in `connecting._REFUSAL`."""
    with refusing_pooler("unsupported startup parameter in options: lock_timeout") as port:
        ended = run(
            "settlement_status", extra={"DATABASE_URL": f"postgres://someone:secret@127.0.0.1:{port}/brokerage"}
        )

    one_line(ended, 78, "Settings")
    assert "PostgreSQL refuses: unsupported startup parameter in options: lock_timeout. Mend" in ended.stderr


@pytest.fixture
def _nobody():
    """Everything that Django asks in this test, it asks as a role that doesn't exist."""
    known, pool = connection.settings_dict["USER"], connection.settings_dict["OPTIONS"]["pool"]
    patience = pool["timeout"]
    _become("nobody_at_all", 0.2)
    yield
    _become(known, patience)


def _become(who: str, patience: float) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["USER"] = who
    connection.settings_dict["OPTIONS"]["pool"]["timeout"] = patience


@pytest.mark.usefixtures("_nobody")
def test_the_web_process_answers_503_and_its_log_says_what_postgresql_said(monkeypatch, caplog):
    """Guard: `tell_why` in `answer_to`. The pool says that no connection came, and no more."""
    monkeypatch.setattr(unreachable._Asked, "at", -unreachable.AGAIN_SECONDS)
    with pytest.raises(OperationalError) as failure:
        connection.ensure_connection()

    for _ in range(2):
        answer = answer_to(RequestFactory().get("/api/assets"), failure.value)
        assert answer is not None
        assert answer.status_code == 503

    said = 'PostgreSQL refuses: role "nobody_at_all" does not exist. Mend DATABASE_URL'
    assert eventually(lambda: said in caplog.text)
    assert caplog.text.count(said) == 1, "once, for all requests of ten seconds"
