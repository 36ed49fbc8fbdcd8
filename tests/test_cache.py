"""What is kept in Redis as a cache says something and does nothing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads, prepare_accept_content

from brokerage.celery import app


class Runs:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture(autouse=True)
def _empty() -> Any:
    yield
    cache.clear()


def put_around_the_cache(key: str, value: bytes) -> None:
    """As somebody who can write to Redis would."""
    cache.client.get_client(write=True).set(cache.make_key(key), value)  # type: ignore[attr-defined]


def test_a_pickle_put_into_redis_is_not_run_and_counts_as_missing(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    pickle.loads(pickle.dumps(Runs(trap)))
    assert trap.exists(), "the trap works"
    trap.unlink()

    put_around_the_cache("low water", pickle.dumps(Runs(trap)))

    assert cache.get("low water", "nothing") in (None, "nothing")
    assert not trap.exists()


@pytest.mark.parametrize("junk", [b"{", b"\xff\xfe", b"not json"])
def test_what_is_no_json_counts_as_missing(junk: bytes) -> None:
    put_around_the_cache("low water", junk)

    assert cache.get("low water") is None


@pytest.mark.parametrize("value", ["01a1fe08d6a1716f994f18f1b931527f", 7, None, ["a", {"b": 1}]])
def test_what_was_kept_is_read_back(value: object) -> None:
    cache.set("low water", value, timeout=None)

    assert cache.get("low water") == value


def test_a_task_in_a_pickle_is_refused_by_the_worker(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    accepted = prepare_accept_content(app.conf.accept_content)

    with pytest.raises(ContentDisallowed):
        loads(pickle.dumps(Runs(trap)), "application/x-python-serialize", "binary", accept=accepted)

    assert not trap.exists()
