"""One stream process for all of these tests; those that end or starve it have their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accounts import streams
from tests.stream.listening import Stream


@pytest.fixture(scope="package")
def stream(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Stream]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        streams.client().flushdb()
    running = Stream({"LOG_LEVEL": "DEBUG", "CORS_ALLOWED_ORIGINS": "https://shop.example"})
    running.start()
    yield running
    running.stop()
