"""Where webhooks are never sent."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from accounts.errors import BadEndpoint
from accounts.services.subscriptions import check_endpoint
from accounts.webhooks import addresses


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1"),
        *("239.1.1.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "3fff::1", "fe80::1", "fec0::1"),
        *("fc00::1", "fd00:ec2::254", "ff02::1", "100::1"),
    ],
)
def test_an_address_that_is_not_public_may_not_be_called(text: str) -> None:
    """Guard: `is_public`, each of its lines."""
    assert not addresses.may_be_called(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_one_may(text: str) -> None:
    assert addresses.may_be_called(ip_address(text))


def test_a_network_that_is_allowed_is_and_no_other(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("10.1.0.0/16")]

    assert addresses.may_be_called(ip_address("10.1.2.3"))
    assert addresses.may_be_called(ip_address("::ffff:10.1.2.3"))
    assert not addresses.may_be_called(ip_address("10.2.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        *("http://shop.example/", "ftp://shop.example/", "https://", "https:///x", "shop.example", "https://a b/"),
        *("https://user:word@shop.example/", "https://shop.example/#x", "https://127.0.0.1/", "https://[::1]/"),
        *("https://[::ffff:169.254.169.254]/", "https://shop.example:0/", "https://shop.example:99999/"),
        *("https://shop.example\\@127.0.0.1/", "https://shop.example/\r\nHost: x", "https://sh\xf6p.example/"),
        "https://shop.example/" + "x" * 1024,
    ],
)
def test_a_url_that_is_never_called_is_refused(url: str) -> None:
    with pytest.raises(BadEndpoint):
        check_endpoint(url)


@pytest.mark.parametrize(
    "url",
    ["https://shop.example", "https://shop.example:8443/hooks?by=us", "https://8.8.8.8/", "https://[2606:4700::1]/"],
)
def test_a_url_of_the_public_internet_is_taken(url: str) -> None:
    check_endpoint(url)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost"])
def test_another_spelling_of_this_machine_is_found_when_it_is_looked_up(host: str) -> None:
    with pytest.raises(addresses.AddressRefused):
        addresses.addresses_of(host, 443, 5)
