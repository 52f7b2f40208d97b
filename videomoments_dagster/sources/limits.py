"""Bounds on fetching a source: how long, how much, and from which network addresses.

Public addresses are told apart from those of this machine, its network and its cloud, in every
spelling. The ranges are written out: what `ipaddress` calls global differs between releases of
Python. They follow IANA's registries of special-purpose addresses.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path
from typing import Any

Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the total where it is known."""

NO_SUCH_HOST = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
"""What the resolver answers for a name that does not exist."""

_NOT_PUBLIC = tuple(
    ip_network(network)
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
        "2001::/23",  # protocol assignments, with Teredo
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
# All other IPv6 is local or unassigned: loopback, fc00::/7, fe80::/10, ff00::/8 and the rest.
_GLOBAL_6 = IPv6Network("2000::/3")
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".localdomain", ".home.arpa")


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """Bounds on a transfer; those on retries and blocks are for Google Cloud Storage.

    Attributes:
        connect_seconds: To establish a connection.
        read_seconds: Between two bytes of an answer.
        retry_seconds: How long one request, or one block of an upload, is tried again, and how long
            a source's server is waited for that does not answer.
        first_wait_seconds: Wait before the first retry; doubles from there, up to 30 s.
        total_seconds: For one download from start to end, with all retries.
        block_bytes: Size of an upload's blocks, a multiple of 256 KiB.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    retry_seconds: float = 180.0
    first_wait_seconds: float = 1.0
    total_seconds: float = 6 * 3600.0
    block_bytes: int = 16 * 1024 * 1024

    @property
    def per_request(self) -> dict[str, Any]:
        """How Google's client takes the limits of one request.

        It tries 408, 429, 5xx, dropped connections and time limits again.
        """
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415 - a second

        seconds = min(self.retry_seconds, self.total_seconds)
        retry = DEFAULT_RETRY.with_timeout(seconds).with_delay(
            initial=self.first_wait_seconds, maximum=30.0, multiplier=2.0
        )
        return {"timeout": (self.connect_seconds, self.read_seconds), "retry": retry}


@dataclass(frozen=True, slots=True)
class Inbox:
    """A folder that others than its owner may write to, so that links in it prove nothing.

    Attributes:
        root: The folder.
        links: Folders that links in it may lead into.
    """

    root: Path
    links: tuple[Path, ...] = ()

    def holds(self, path: Path) -> bool:
        """Whether a file, all links followed, lies where the inbox may lead."""
        folders = (folder.resolve() for folder in (self.root, *self.links))
        return any(path.is_relative_to(folder) for folder in folders)

    def is_left_by(self, location: Path) -> bool:
        """Whether an absolute path in the inbox leads out of it by a link."""
        inside = any(location.is_relative_to(root) for root in (self.root, self.root.resolve()))
        return inside and not self.holds(location.resolve())


def inbox_of(root: str, links: str) -> Inbox | None:
    """The inbox that settings name; None where it is no folder.

    Args:
        root: A folder, or `gs://bucket/prefix`.
        links: Folders that links may lead into, separated as in `PATH`.
    """
    if not root or "://" in root:
        return None
    folders = (Path(folder).expanduser() for folder in links.split(os.pathsep) if folder)
    return Inbox(Path(root), tuple(folders))


@dataclass(frozen=True, slots=True)
class FetchLimits(TransferLimits):
    """Bounds on fetching one source.

    Attributes:
        attempts: Failures in a row, without at least 1 MiB between them, before giving up.
        max_bytes: Largest download. Local files are not copied and have no limit.
        inbox: Folder whose files may not lead out of it.
        allowed_networks: Networks that may be fetched from although they are not public. What
            this covers for pages is said in `web_page`; Google's client connects by itself, and to
            Google only.
    """

    read_seconds: float = 30.0
    attempts: int = 5
    max_bytes: int = 100 * 1024**3
    inbox: Inbox | None = None
    allowed_networks: Networks = ()


def networks_in(text: str) -> Networks:
    """Read networks that are separated by commas, such as `10.0.0.0/8, fd00::/8`.

    Raises:
        ValueError: One of them is no network; the message is a sentence that quotes it.
    """
    found: list[Network] = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            found.append(ip_network(part))
        except ValueError:
            raise ValueError(
                f"'{part}' is not a network such as 10.0.0.0/8 or 127.0.0.1/32"
            ) from None
    return tuple(found)


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
    if any(given in network or meant in network for network in allowed):
        return True
    # An address is in no network of the other version.
    is_special = any(meant in network for network in _NOT_PUBLIC)
    return not is_special and (isinstance(meant, IPv4Address) or meant in _GLOBAL_6)


def _embedded(address: IPv6Address) -> IPv4Address | IPv6Address:
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.sixtofour or address


def address_of(host: str) -> str | None:
    """Give the address that a URL's host spells out, or None for a name.

    Resolvers take `127.1`, `0x7f000001`, `017700000001` and `2130706433` for 127.0.0.1.
    """
    bare = host.strip("[]").rstrip(".")
    for parse in (ip_address, lambda text: IPv4Address(socket.inet_aton(text))):
        with suppress(OSError, ValueError):
            return str(parse(bare))
    return None


def is_local_name(host: str) -> bool:
    """Tell whether a host name can only mean this machine or something in its network."""
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith(_LOCAL_NAMES)
