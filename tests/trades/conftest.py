"""What every story about orders ends with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.given import what_the_audit_finds


@pytest.fixture
def books_balance(db: None) -> Iterator[None]:
    """Recount the books when the story is over."""
    yield
    assert what_the_audit_finds() == []
