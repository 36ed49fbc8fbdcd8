from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from tests.accounts.webhooks.receiver import Receiver


@pytest.fixture(scope="session")
def _endpoint() -> Iterator[Receiver]:
    endpoint = Receiver()
    yield endpoint
    endpoint.kill()


@pytest.fixture
def receiver(_endpoint: Receiver, settings: Any) -> Receiver:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.1/32")]
    if not _endpoint.is_running():
        _endpoint.start()
    _endpoint.forget()
    return _endpoint
