"""Clients that are slow, or say nothing, keep nobody waiting; too many requests are told so at once."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.given import a_customer, btc_at, token_of
from tests.live import Live
from tests.stack.wire import Said, answer, ask, connected, get
from tests.trades.engine_steps import opens

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

MANY, THOUSANDS = 401, 2000
GIVE_UP_SECONDS = 40


@pytest.fixture(autouse=True)
def _sockets_enough() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def many(live: Live, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections, each of which has sent this and no more."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(connected(live.port, GIVE_UP_SECONDS)) for _ in range(number)]
        for wire in wires:
            wire.sendall(sent)
        yield wires


def a_trader_closes(live: Live) -> Said:
    """Open a position and close it over HTTP."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    body = f'{{"orderId":"{order.code}"}}'.encode()
    headers = (f"Authorization: Bearer {token_of(alice)}", "Content-Type: application/json")
    return ask(live.port, get("/api/v1/trade/close", *headers, method="POST", body=body))


def test_thousands_of_idle_connections_keep_nobody_waiting(live: Live) -> None:
    """Guard: HAProxy holds them. The web process counted connections, and 401 of these stopped every new one."""
    with many(live, THOUSANDS, b"") as silent, many(live, MANY, b"") as kept:
        for wire in kept:
            wire.sendall(get("/livez"))
            assert answer(wire).status == 200
        assert a_trader_closes(live).status == 200
        for wire in (silent[-1], kept[0]):  # and each can go on
            wire.sendall(get("/livez"))
            assert answer(wire).status == 200


def test_bodies_that_never_end_keep_nobody_waiting_and_are_told_so(live: Live) -> None:
    """Guard: wait-for-body in haproxy.cfg. Each held a thread for ever."""
    begun = get("/api/v1/trade/close", "Content-Type: application/json", "Content-Length: 100", method="POST") + b"{"
    with many(live, MANY, begun) as wires:
        assert a_trader_closes(live).status == 200
        said = [answer(wire) for wire in wires]

    assert {one.status for one in said} == {408}
    assert {one.headers["content-type"] for one in said} == {"application/json"}
    assert b'"error":"The request took too long to arrive."' in said[0].body


@pytest.mark.parametrize(
    "begun",
    [
        get("/api/quotes", "Content-Type: application/json", "Content-Length: 60000", method="POST"),
        get("/api/quotes", "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST") + b"ffff\r\n",
        b"GET /api/quotes HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /api/q",
    ],
)
def test_a_request_that_comes_a_byte_at_a_time_has_ten_seconds_in_all(live: Live, begun: bytes) -> None:
    """Guard: both ten seconds of haproxy.cfg, which a byte now and then doesn't prolong."""
    with connected(live.port) as wire:
        wire.sendall(begun)
        assert _answer_to_trickle(wire).status == 408


def _answer_to_trickle(wire: socket.socket) -> Said:
    give_up = time.monotonic() + GIVE_UP_SECONDS
    wire.setblocking(False)
    while time.monotonic() < give_up:
        with contextlib.suppress(BlockingIOError):
            wire.recv(1, socket.MSG_PEEK)
            wire.setblocking(True)
            return answer(wire)
        wire.send(b"x")
        time.sleep(0.2)
    raise AssertionError("it was never answered")


@pytest.fixture
def small() -> Iterator[Live]:
    """A system that takes eight requests at once."""
    running = Live(extra={"WEB_THREADS": "8"})
    running.start()
    yield running
    running.stop()


def test_a_request_too_many_is_told_so_while_the_others_wait(small: Live) -> None:
    """Guard: be_conn in haproxy.cfg. Without it the ninth waits for a thread like everybody."""
    token = token_of(a_customer())
    headers = (f"Authorization: Bearer {token}", "Content-Type: application/json")
    close = get("/api/v1/trade/close", *headers, method="POST", body=b'{"orderId":"ord_0123456789abcdef"}')
    read = get("/api/trades")
    small.signal("engine", signal.SIGSTOP)
    with many(small, 8, close) as waiting, ThreadPoolExecutor(8) as pool:
        waited = [pool.submit(answer, wire) for wire in waiting]
        refused = _until_refused(small, close)
        in_the_other_dialect = ask(small.port, read)
        alive = ask(small.port, get("/livez"))
        answered_by_then = [one for one in waited if one.done()]
        small.signal("engine", signal.SIGCONT)

    assert answered_by_then == []
    assert (refused.headers["retry-after"], refused.headers["error-code"]) == ("1", "unavailable")
    assert refused.body == b'{"error":"The service is temporarily unavailable; try again."}'
    assert (in_the_other_dialect.status, in_the_other_dialect.headers["retry-after"]) == (503, "1")
    assert b'"message_code":"unavailable"' in in_the_other_dialect.body
    assert alive.status == 200
    assert ask(small.port, read).status == 401


def _until_refused(live: Live, request: bytes) -> Said:
    """The first 503; the requests before this one may still be on their way into the web process."""
    give_up = time.monotonic() + 3
    while time.monotonic() < give_up:
        with connected(live.port, 0.3) as wire, contextlib.suppress(TimeoutError):
            wire.sendall(request)
            if (said := answer(wire)).status == 503:
                return said
    raise AssertionError("nobody was refused")


def test_whoever_reads_a_file_slowly_keeps_no_request_of_the_api_waiting(small: Live) -> None:
    """Guard: files have a backend and threads of their own (`FILES`). They held the eight that the API has."""
    asked = get("/static/unfold/fonts/material-symbols/Material-Symbols-Outlined.woff2")
    with many(small, 60, asked):
        time.sleep(1)
        assert ask(small.port, get("/api/v1/account")).status == 401


@pytest.fixture
def tls() -> Iterator[Live]:
    """A system behind a proxy that ends TLS."""
    running = Live(("proxy", "web"), {"HTTPS": "1"})
    running.start_one("proxy")
    running.start_one("web")
    running.wait_for_web("/livez")
    yield running
    running.stop()


def test_every_answer_under_tls_says_that_it_is_to_stay_so(tls: Live) -> None:
    """Guards: `sts_seconds` in `ApiAnswersMiddleware`, and `pages.Security`."""
    always = "max-age=31536000; includeSubDomains; preload"
    for path in ("/api/v1/account", "/api/nowhere", "/api/v1/supportedAssets", "/oauth/token", "/admin/login/"):
        said = ask(tls.port, get(path, "X-Forwarded-Proto: https"))
        assert said.headers.get("strict-transport-security") == always, path
    plain = ask(tls.port, get("/api/v1/account"))
    assert (plain.status, "strict-transport-security" in plain.headers) == (403, False)  # who hears it can't trust it


def test_a_call_without_tls_is_refused_and_not_sent_elsewhere(tls: Live) -> None:
    """Guards: NOT_SECURE in `request_bytes.refusal`, and `del-header _` in haproxy.cfg for the last of these."""
    body = b'{"email":"a@b.example","password":"secret"}'
    for lie in ((), ("X-Forwarded-Proto: http",), ("X_Forwarded_Proto: https",)):
        for path, text in (("/api/v1/auth/login", b'{"error":'), ("/oauth/token", b'{"status":403,')):
            said = ask(tls.port, get(path, *lie, "Content-Type: application/json", method="POST", body=body))
            assert (said.status, "location" in said.headers) == (403, False), (path, lie)
            assert said.body.startswith(text)
    secure = ask(tls.port, get("/api/v1/account", "X-Forwarded-Proto: https"))
    assert secure.status == 401
    assert ask(tls.port, get("/admin/")).status == 301
    assert ask(tls.port, get("/livez")).status == 200
