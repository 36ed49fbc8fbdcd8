"""The network address of who calls, where proxies stand between."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from django.http import HttpRequest

_ONE_SITE = 64  # bits: whoever has one IPv6 address has all that share these


def address_of(request: HttpRequest) -> str:
    """The caller's address; of an IPv6 address the network that one subscriber has, and "" where there is none.

    `brokerage.http.request_bytes` has put into REMOTE_ADDR what the outermost of our proxies saw.
    """
    return _address(request.META.get("REMOTE_ADDR", ""))


@lru_cache(maxsize=4096)
def _address(text: str) -> str:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address if address.version == 4 else IPv6Network((int(address), _ONE_SITE), strict=False))
