"""Which network addresses a source may be fetched from.

Belongs here: telling public addresses from those of this machine, its network and its cloud, in
every spelling. Does not belong here: looking names up and connecting (`connections`).

The ranges are written out: what `ipaddress` calls global differs between releases of Python. They
follow IANA's registries of special-purpose addresses.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network

_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform, from inside its machines
        "169.254.0.0/16",  # link-local, with the metadata service of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays from 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# All other IPv6 is local or unassigned: loopback, fc00::/7, fe80::/10, ff00::/8 and the rest.
_GLOBAL_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, with Teredo
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")
_IPV4_MASK = 0xFFFFFFFF
_AFTER_6TO4 = 80


def networks_in(text: str) -> tuple[Network, ...]:
    """Read networks that are separated by commas, such as `10.0.0.0/8, fd00::/8`.

    Raises:
        ValueError: One of them is no network; the message is a sentence that quotes it.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def is_allowed(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Tell whether an address is public or in one of the networks that are allowed.

    An IPv6 address that stands for an IPv4 address (mapped, NAT64 or 6to4) counts as that one.

    Args:
        address: An address as a connected socket names it; anything else is refused.
        allowed: Networks that are allowed although they are not public.
    """
    try:
        given = ip_address(address)
    except ValueError:
        return False
    meant = _embedded(given) if isinstance(given, IPv6Address) else given
    if any(form in network for network in allowed for form in (given, meant)):
        return True
    if isinstance(meant, IPv4Address):
        return not any(meant in network for network in _NOT_PUBLIC_4)
    return meant in _GLOBAL_6 and not any(meant in network for network in _NOT_PUBLIC_6)


def address_of(host: str) -> str | None:
    """Give the address that a URL's host spells out, or None for a name.

    Resolvers take `127.1`, `0x7f000001`, `017700000001` and `2130706433` for 127.0.0.1.
    """
    bare = host.strip("[]").rstrip(".")
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    try:
        return str(IPv4Address(socket.inet_aton(bare)))
    except (OSError, ValueError):
        return None


def is_local_name(host: str) -> bool:
    """Tell whether a host name can only mean this machine or something in its network."""
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith(tuple(f".{local}" for local in _LOCAL_NAMES))


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a network such as 10.0.0.0/8 or 127.0.0.1/32") from None


def _embedded(address: IPv6Address) -> IPv4Address | IPv6Address:
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & _IPV4_MASK)
    if address.sixtofour is not None:
        return IPv4Address(int(address) >> _AFTER_6TO4 & _IPV4_MASK)
    return address
