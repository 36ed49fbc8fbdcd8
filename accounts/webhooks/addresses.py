"""To which addresses webhooks may be sent: to those of the public internet, and to networks that the firm allows.

A name is looked up here, each address that it has is judged, and the very address that was judged is connected to: a
name that means another address a moment later changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import Final

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The only IPv6 addresses that were ever given out. NAT64 (64:ff9b::/96) and the other forms in which an IPv4 address
# stands, which a gateway would unpack, lie outside, but for 6to4 and Teredo.
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
_SPECIAL: Final = (
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("100.64.0.0/10"),  # carriers' own, where clouds keep metadata, too
    ipaddress.ip_network("168.63.129.16/32"),  # a cloud's agent, public by its number only
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relays
    ipaddress.ip_network("2001::/23"),  # Teredo, ORCHID and others: none is a host's own
    ipaddress.ip_network("2002::/16"),  # 6to4
    ipaddress.ip_network("3fff::/20"),  # documentation
)


class NoAddress(Exception):
    """A name has no address that webhooks may be sent to. It says why to operators; a partner isn't told, for who knows
    which names of the firm's network exist, and where, has a map of it."""


class AddressRefused(NoAddress):
    """A name has an address that webhooks aren't sent to."""


def may_be_called(address: Address) -> bool:
    """Whether it is public, or in one of WEBHOOK_ALLOWED_NETWORKS."""
    return is_allowed(address) or is_public(address)


def is_allowed(address: Address) -> bool:
    plain = _plain(address)
    return any(plain in network for network in settings.WEBHOOK_ALLOWED_NETWORKS)


def is_public(address: Address) -> bool:
    address = _plain(address)
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_V6:
        return False
    if address.is_multicast or address.is_unspecified or address.is_reserved or not address.is_global:
        return False
    return not any(address in network for network in _SPECIAL)


def _plain(address: Address) -> Address:
    """`::ffff:127.0.0.1` is 127.0.0.1."""
    return getattr(address, "ipv4_mapped", None) or address


def addresses_of(host: str, port: int, seconds: float) -> list[Address]:
    """Those that a name has just now, all of which may be called. Raises NoAddress.

    One refused address refuses the name: who mixes them tries something. `seconds`: for looking it up.
    """
    found = [ipaddress.ip_address(str(text).partition("%")[0]) for text in _looked_up(host, port, seconds)]
    for address in found:
        if not may_be_called(address):
            raise AddressRefused(f"{host} is at {address}, which is not a public address")
    return found


def _looked_up(host: str, port: int, seconds: float) -> list[str]:
    """The resolver knows no time limit, so it is asked on a thread that may be left behind."""
    found: list[str] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError) as failure:
            failed.append(failure)

    asking = threading.Thread(target=ask, name=f"look up {host}"[:40], daemon=True)
    asking.start()
    asking.join(seconds)
    if failed:
        raise NoAddress(f"{host} can't be looked up: {failed[0]}")
    if not found:
        raise NoAddress(f"{host} could not be looked up in time")
    return list(found)
