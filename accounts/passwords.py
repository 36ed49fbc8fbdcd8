"""How passwords are hashed, and which are too short. Settings name both classes.

A hash takes a third of a second of a core, by design. So it is made in a thread of its own, of which a machine's web
processes have together one for every second core, with the lowest priority the system knows: whoever logs in waits,
whoever trades doesn't. While it is made, the request holds no database connection. Admin, API and commands all come
through here.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from functools import cache, partial
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection

from accounts.errors import Unavailable

_LEAST_PRIORITY: Final = 19


class TooManyPasswords(Unavailable):
    """Nothing was looked at: whether the password is right, nobody knows."""

    sentence = "Too many people are logging in; try again."
    wait = 5


class MinimumLengthValidator(password_validation.MinimumLengthValidator):
    """Blanks around it don't count: eight of them are no password."""

    def validate(self, password: str, user: Any = None) -> None:
        super().validate(password.strip(), user)


class Hasher(PBKDF2PasswordHasher):
    """Django's own, in its turn. Raises TooManyPasswords."""

    def encode(self, password: str, salt: Any, iterations: int | None = None) -> str:
        hashed = partial(super().encode, password, salt, iterations)
        if not connection.in_atomic_block:
            connection.close()  # back to the pool: others read meanwhile
        return in_turn(hashed)


def in_turn(work: Callable[[], str]) -> str:
    """What the work makes, when a core is free for it. Work that waited too long is not begun.

    Raises TooManyPasswords after PASSWORD_WAIT_SECONDS, and at once where MAX_WAITING_PASSWORDS wait already.
    """
    cores, places = _of_this_process()
    if not places.acquire(blocking=False):
        raise TooManyPasswords
    try:
        made = cores.submit(work)
        try:
            return made.result(settings.PASSWORD_WAIT_SECONDS)
        except TookTooLong:
            if made.cancel():
                raise TooManyPasswords from None
            return made.result()  # it is being made
    finally:
        places.release()


@cache
def _of_this_process() -> tuple[ThreadPoolExecutor, threading.BoundedSemaphore]:
    at_once = settings.PASSWORD_HASHES_AT_ONCE
    cores = ThreadPoolExecutor(at_once, thread_name_prefix="password", initializer=_yield_to_others)
    return cores, threading.BoundedSemaphore(at_once + settings.MAX_WAITING_PASSWORDS)


def _yield_to_others() -> None:
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_PRIORITY)


os.register_at_fork(after_in_child=_of_this_process.cache_clear)  # threads stay in the parent
