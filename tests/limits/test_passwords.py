"""Passwords are hashed in turn, without a database connection; some are refused wherever they are made."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import passwords
from accounts.models import User
from accounts.passwords import TooManyPasswords, in_turn
from tests.accounts.calls import Api
from tests.races.together import together


@pytest.fixture(autouse=True)
def _one_core(settings: Any) -> Any:
    """One hash at once, and two that wait."""
    settings.PASSWORD_HASHES_AT_ONCE, settings.MAX_WAITING_PASSWORDS = 1, 2
    passwords._of_this_process.cache_clear()
    yield
    passwords._of_this_process.cache_clear()


class Work:
    """What goes on until it is told to end, and knows how many were at it at once."""

    def __init__(self) -> None:
        self.begun, self.most, self._now = 0, 0, 0
        self._end, self._lock, self._first = threading.Event(), threading.Lock(), threading.Event()

    def __call__(self) -> str:
        with self._lock:
            self.begun += 1
            self._now += 1
            self.most = max(self.most, self._now)
        self._first.set()
        self._end.wait(20)
        with self._lock:
            self._now -= 1
        return "done"

    def wait_until_begun(self) -> None:
        assert self._first.wait(10)

    def end(self) -> None:
        self._end.set()


def in_threads(work: Work, count: int) -> tuple[list[threading.Thread], list[object]]:
    results: list[object] = []

    def one() -> None:
        try:
            results.append(in_turn(work))
        except TooManyPasswords as refusal:
            results.append(refusal)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, results


def test_one_is_hashed_at_a_time_two_wait_and_the_others_are_told_at_once():
    """Guards: the pool of `_of_this_process`, and its semaphore."""
    work = Work()
    threads, results = in_threads(work, 10)
    work.wait_until_begun()
    while len(results) < 7:
        threading.Event().wait(0.01)
    work.end()
    for thread in threads:
        thread.join(20)

    assert (work.most, work.begun) == (1, 3)
    assert results.count("done") == 3
    assert [one.wait for one in results if isinstance(one, TooManyPasswords)] == [5] * 7


def test_who_has_waited_too_long_is_told_and_not_hashed(settings):
    """Guard: `made.cancel()` in `in_turn`."""
    settings.PASSWORD_WAIT_SECONDS = 0.05
    first, later = Work(), Work()
    threads, _ = in_threads(first, 1)
    first.wait_until_begun()

    with pytest.raises(TooManyPasswords):
        in_turn(later)
    first.end()
    threads[0].join(20)
    in_turn(lambda: "")  # the queue is empty

    assert (first.begun, later.begun) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_free_while_a_password_is_hashed(settings):
    """Guard: `connection.close()` in `Hasher.encode`."""
    held = []

    def hashing() -> None:
        User.objects.exists()  # a connection is taken
        in_turn_before = passwords.in_turn
        passwords.in_turn = lambda work: held.append(connection.connection) or in_turn_before(work)
        try:
            make_password("a long enough word", hasher="pbkdf2_sha256")
        finally:
            passwords.in_turn = in_turn_before

    together([hashing])

    assert held == [None]


def test_a_hash_is_djangos_own():
    made = make_password("a long enough word", hasher="pbkdf2_sha256")

    assert made.startswith("pbkdf2_sha256$")
    assert check_password("a long enough word", made)
    assert not check_password("another word", made)


# --- which are taken --------------------------------------------------------------------------------

BAD = {
    " " * 8: "too short",
    "   short   ": "too short",
    "\u3000" * 9: "too short",
    "password1": "too common",
    "192837465564738": "entirely numeric",
    "somebody@exam": "too similar to the email",
}


@pytest.mark.django_db
@pytest.mark.parametrize(("password", "says"), BAD.items())
def test_a_bad_password_is_refused_wherever_a_user_is_made(password, says, monkeypatch):
    """Guards: AUTH_PASSWORD_VALIDATORS, and that `create_user` asks them."""
    email = "somebody@example.com"

    answer = Api().post("/api/v1/auth/signup", {"email": email, "password": password})
    assert answer.status == 400
    assert says in answer.body["error"]
    with pytest.raises(CommandError, match=says):
        call_command("create_customer", email=email, password=password)
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
    with pytest.raises(CommandError, match=says):
        call_command("createsuperuser", email=email, interactive=False)
    with pytest.raises(ValidationError, match=says):
        User.objects.create_user(email, password)
    assert not User.objects.exists()
