from __future__ import annotations

import pytest

from tests.caller import Api, a_firm
from tests.given import btc_at


@pytest.fixture
def firm() -> Api:
    """The firm's API client, while there is a price."""
    btc_at("40000")
    return a_firm()
