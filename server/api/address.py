"""From which network address a request comes, also when it passes through reverse proxies.

`X-Forwarded-For` is written by anybody; it is believed only as far as the proxies that the configuration names have
written it. It must not know what addresses are counted for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from aiohttp import web

from server.config import Networks

TRUSTED_PROXIES = web.AppKey("trusted_proxies", tuple)
FORWARDED_FOR = "X-Forwarded-For"
_PORT = re.compile(r"^(?:\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5})$")
"""Some proxies append the port: `[2001:db8::1]:443`, `192.0.2.1:443`."""
_SUBSCRIBER_BITS = 64
"""RFC 6177: a household gets a /64 or more, and could use another address of it for every request."""

Address = IPv4Address | IPv6Address


def client_of(request: web.BaseRequest, trusted: Networks) -> str:
    """The name under which the caller's address is counted: an IPv4 address, an IPv6 /64, or "" when there is none.

    The header's entries are read from the right, where the nearest proxy wrote: the first address that is no trusted
    proxy's is the client's. What cannot be read ends the walk, and the last proxy stands for whoever is behind it.
    """
    peer = _parse(request.remote or "")
    if peer is None:
        return request.remote or ""
    return _name(_walk(peer, request.headers.getall(FORWARDED_FOR, []), trusted))


def _walk(peer: Address, headers: Sequence[str], trusted: Networks) -> Address:
    entries = ",".join(headers).split(",") if headers else []
    current = peer
    while entries and any(current in network for network in trusted):
        before = _parse(entries.pop().strip())
        if before is None:
            break
        current = before
    return current


def _parse(text: str) -> Address | None:
    """An address, with or without a port; an IPv4 address in IPv6 form is the IPv4 address."""
    with_port = _PORT.match(text)
    try:
        address = ip_address((with_port[1] or with_port[2]) if with_port else text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _name(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _SUBSCRIBER_BITS), strict=False))
    return str(address)
