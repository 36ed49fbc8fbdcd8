"""Logins at the HTTP server: a thousand at once against a limit of ten, and forty beside whoever reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.given import a_customer, token_of
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

LOGIN = "/api/v1/auth/login"
LOGINS, AT_ONCE = 1000, 50
GUESS = {"email": "alice@example.com", "password": "a guess"}


@contextmanager
def a_web_process(**settings: str) -> Iterator[Live]:
    running = Live(("web",), settings)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def test_of_a_thousand_logins_at_once_ten_are_looked_at() -> None:
    """Guard: the limit's one script in Valkey, which both web processes ask."""
    limits = {"LIMIT_LOGIN_ACCOUNT": "10/hour", "LIMIT_LOGIN_ADDRESS": "", "PASSWORD_WAIT_SECONDS": "120"}
    web_process = a_web_process(WEB_WORKERS="2", **limits)
    with web_process as web, web.client() as client, ThreadPoolExecutor(AT_ONCE) as threads:
        client.timeout = 150
        answers = list(threads.map(lambda _: client.post(LOGIN, json=GUESS), range(LOGINS)))

    assert Counter(answer.status_code for answer in answers) == {401: 10, 429: LOGINS - 10}
    assert all(int(one.headers["Retry-After"]) > 0 for one in answers if one.status_code == 429)


def test_forty_logins_at_once_keep_nobody_from_the_database() -> None:
    """Guard: `connection.close()` in `Hasher.encode`. Forty hashes held the pool's connections, and whoever wanted one
    was told 503, `/readyz` as well."""
    tight = {"DB_POOL_SIZE": "3", "DB_POOL_TIMEOUT_SECONDS": "1", "PASSWORD_WAIT_SECONDS": "120"}
    unlimited = {"LIMIT_LOGIN_ACCOUNT": "", "LIMIT_LOGIN_ADDRESS": ""}
    token = token_of(a_customer())
    read: Counter[int] = Counter()
    with a_web_process(**tight, **unlimited) as web, web.client(token) as client, ThreadPoolExecutor(40) as threads:
        client.timeout = 150
        logins = [threads.submit(client.post, LOGIN, json=GUESS) for _ in range(40)]
        while not all(one.done() for one in logins):
            read[client.get("/readyz").status_code] += 1
            read[client.get("/api/v1/statement").status_code] += 1

    assert set(read) == {200}
    assert Counter(one.result().status_code for one in logins) == {401: 40}


def test_more_logins_than_may_wait_are_told_at_once_to_come_again() -> None:
    """Guard: the places of `passwords.in_turn`."""
    settings = {"PASSWORD_HASHES_AT_ONCE": "1", "MAX_WAITING_PASSWORDS": "2", "PASSWORD_WAIT_SECONDS": "60"}
    unlimited = {"LIMIT_LOGIN_ACCOUNT": "", "LIMIT_LOGIN_ADDRESS": ""}
    with a_web_process(**settings, **unlimited) as web, web.client() as client, ThreadPoolExecutor(40) as threads:
        client.timeout = 100
        answers = list(threads.map(lambda _: client.post(LOGIN, json=GUESS), range(40)))

    counted = Counter(answer.status_code for answer in answers)
    assert set(counted) == {401, 503}
    assert counted[401] >= 3
    assert {answer.headers["Retry-After"] for answer in answers if answer.status_code == 503} == {"5"}
