"""What the tests of this folder begin with."""

from __future__ import annotations

import pytest

from tests.trades.instruments.staff import any_spread_counts


@pytest.fixture(autouse=True)
def _any_spread_counts(db: None) -> None:
    any_spread_counts()
