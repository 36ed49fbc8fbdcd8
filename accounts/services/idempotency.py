"""A request under an Idempotency-Key is carried out once; sent again, it brings back its answer.

One transaction: a lock that nobody waits for, a look at what was answered, the work, its answer. So a crash leaves the
work with its answer, or neither; and what the database gave up begins anew as a whole (accounts/conflicts.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from accounts import clock, conflicts
from accounts.db import locks
from accounts.errors import KeyUsedForAnother, Malformed, StillRunning
from accounts.idempotency_key import NEEDED, is_key
from accounts.identity import Caller
from accounts.ids import floor_of
from accounts.models import AnsweredRequest

KEPT: Final = timedelta(hours=48)  # a table's trigger refuses to forget one in the first 24
_NOT_KEPT: Final = frozenset({400, 413, 415, 429})  # what can't be read, or came too often, was no request yet
_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Keyed:
    """Who asks for what under which key; `request_sha256` is of all that makes two requests the same."""

    caller: Caller
    key: str
    path: str
    request_sha256: str


@dataclass(frozen=True, slots=True)
class Given:
    """An answer: its status, and its body to the byte."""

    status: int
    body: str


def check_key(key: str) -> None:
    """Raises Malformed for what is no key."""
    if not is_key(key):
        raise Malformed(f"{NEEDED}.")


@conflicts.atomic
def once(keyed: Keyed, work: Callable[[], Given]) -> Given | None:
    """Carry out a request and keep its answer; or give the answer that it got before, and do nothing.

    None: `work` was done now, and what it gave is its answer. It may be called several times, each try undone before
    the next, so it does nothing but what its transaction undoes, and undoes by itself what it refuses. A failure
    of ours (500 and up) is not kept, nor what could not be read (400, 413, 415) or came too often (429): the key stays
    free.
    Raises StillRunning while the same key is at work, KeyUsedForAnother for another request under it.
    """
    with clock.committed_together() if clock.is_outermost() else nullcontext():
        if not locks.try_hold(_number(keyed)):
            raise StillRunning
        if kept := _kept(keyed):
            if kept.request_sha256 != keyed.request_sha256:
                raise KeyUsedForAnother
            return Given(kept.status, kept.body)
        given = work()
        if given.status < 500 and given.status not in _NOT_KEPT:
            _keep(keyed, given)
        return None


def _number(keyed: Keyed) -> int:
    """The lock of this caller's key: 64 bits of a hash. Should two keys ever have the same, one is told to wait."""
    by = keyed.caller
    whole = f"{by.user_id}|{by.client_id}|{by.customer_id}|{keyed.key}"
    return int.from_bytes(hashlib.sha256(whole.encode()).digest()[:8], signed=True)


def _kept(keyed: Keyed) -> AnsweredRequest | None:
    """In a statement of its own after the lock, so that it sees what its last holder committed."""
    by = keyed.caller
    return AnsweredRequest.objects.filter(
        user_id=by.user_id, client_id=by.client_id, customer_id=by.customer_id, key=keyed.key
    ).first()


def _keep(keyed: Keyed, given: Given) -> None:
    by = keyed.caller
    AnsweredRequest.objects.create(
        user_id=by.user_id,
        client_id=by.client_id,
        customer_id=by.customer_id,
        key=keyed.key,
        path=keyed.path[:255],
        request_sha256=keyed.request_sha256,
        status=given.status,
        body=given.body,
    )


def forget_old(at: datetime) -> int:
    """Remove the answers that are older than KEPT, some at a time; how many they were."""
    old = AnsweredRequest.objects.filter(pk__lt=floor_of(at - KEPT), at__lt=at - KEPT).order_by("pk")
    count = 0
    while ids := list(old.values_list("pk", flat=True)[:_AT_ONCE]):
        count += AnsweredRequest.objects.filter(pk__in=ids).delete()[0]
    return count
