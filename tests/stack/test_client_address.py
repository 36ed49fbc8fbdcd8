"""Who asked: the address that the outermost of our own proxies saw, and never what the client wrote before it."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from brokerage.http import request_bytes


@pytest.mark.parametrize(
    ("proxies", "forwarded", "who"),
    [
        (0, "6.6.6.6", "127.0.0.1"),
        (1, "10.0.0.1", "10.0.0.1"),
        (1, "6.6.6.6,10.0.0.1", "10.0.0.1"),
        (2, "6.6.6.6, 10.0.0.1, 10.0.0.2", "10.0.0.1"),
        (2, "10.0.0.2", "10.0.0.2"),
    ],
)
def test_the_clients_address_is_what_our_own_proxy_saw(settings, proxies: int, forwarded: str, who: str) -> None:
    """Guard: the slice in `_name_the_client`."""
    settings.PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})
    request_bytes.take(request)
    assert request.META["REMOTE_ADDR"] == who
