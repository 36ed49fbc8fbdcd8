"""The WSGI application leaves out what Django does for nothing, and keeps what it does for something."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import connection
from django.urls import Resolver404

from brokerage.http.handler import Handler


@pytest.fixture
def handler() -> Any:
    """A handler; Django's receivers of the signals are there again afterwards."""
    signals = request_started, request_finished
    before = [(signal, signal.receivers[:]) for signal in signals]
    yield Handler()
    for signal, receivers in before:
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


def asked(handler: Handler, path: str) -> tuple[str, Any]:
    said: list[str] = []
    environ = {
        **{"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "HTTP_HOST": "localhost"},
        **{"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http"},
        **{"wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr},
    }
    answer = handler(environ, lambda status, headers, failure=None: said.append(status) or (lambda data: None))
    return said[0], answer


@pytest.mark.django_db(transaction=True)
def test_a_whole_answer_is_handed_over_as_a_list_and_its_connection_given_back(handler: Handler):
    """Guards: `response.close()` in `Handler.__call__`, and `close_old_connections` when a request ends."""
    status, answer = asked(handler, "/api/assets")

    assert (status, type(answer), len(answer)) == ("200 OK", list, 1)
    assert answer[0].startswith(b'{"total":')
    assert connection.connection is None


@pytest.mark.django_db(transaction=True)
def test_a_path_leads_where_it_led_before(handler: Handler):
    for _ in range(2):
        assert asked(handler, "/api/assets")[0] == "200 OK"
        assert asked(handler, "/api/nowhere")[0] == "404 Not Found"
    assert handler._resolve.cache_info().hits == 1


def test_a_path_that_leads_nowhere_is_not_remembered(handler: Handler):
    for number in range(3):
        with pytest.raises(Resolver404):
            handler._resolve(f"/api/nowhere/{number}")
    assert handler._resolve.cache_info().currsize == 0
