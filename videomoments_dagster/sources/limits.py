"""Bounds on fetching a source: how long, how much, and from which network addresses.

HTTP sessions made here reach public addresses and those that are allowed, and no others. Public
addresses are told apart from those of this machine, its network and its cloud, in every spelling.
The ranges are written out: what `ipaddress` calls global differs between releases of Python. They
follow IANA's registries of special-purpose addresses.

A proxy that the environment names (`HTTPS_PROXY` and its kin) is trusted, and it is the proxy that
looks names up and connects. Then hosts that are addresses, and names that can only be local, are
still refused; keeping other names from leading into its network is up to the proxy.
"""

from __future__ import annotations

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
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from videomoments_dagster.base.failures import SourceRejected

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
        retry_seconds: How long one request, or one block of an upload, is tried again.
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
class FetchLimits(TransferLimits):
    """Bounds on fetching one source.

    Attributes:
        attempts: Failures in a row, without at least 1 MiB between them, before giving up.
        max_bytes: Largest download. Local files are not copied and have no limit.
        allowed_networks: Networks that may be fetched from although they are not public. What
            this covers for pages is said in `web_page`; Google's client connects by itself, and to
            Google only.
    """

    read_seconds: float = 30.0
    attempts: int = 5
    max_bytes: int = 100 * 1024**3
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


def checked_session(allowed: Networks) -> requests.Session:
    """Make a session that connects to public addresses only, and to `allowed` networks.

    A name is looked up once, only addresses that pass are connected to, and the peer of the
    connected socket is checked before anything is sent. So there is no moment at which a name
    that resolves differently a second time could pass.
    """
    session = requests.Session()
    adapter = _CheckedAdapter(allowed)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def require_allowed_host(url: str, allowed: Networks) -> None:
    """Refuse an address whose host is not allowed now; for programs that connect by themselves.

    Raises:
        SourceRejected: Its host is, or one of its addresses is, not allowed.
        OSError: The host could not be looked up.
    """
    host = _host_of(url)
    # The environment names a proxy for it.
    if select_proxy(url, get_environ_proxies(url)) is not None:
        _require_distant(host, allowed)
        return
    for address in _addresses(host, 0):
        if not is_allowed(address, allowed):
            raise refusal(f"the address {address}")


def refusal(where: str) -> SourceRejected:
    """The refusal of an address, or of a name that can only be local."""
    return SourceRejected(
        f"the source leads to {where}, which is not on the public internet and is not allowed",
        remedy="Download it yourself and give the file, or name the network in "
        "VIDEOMOMENTS_ALLOWED_NETWORKS",
    )


class _CheckedAdapter(HTTPAdapter):
    def __init__(self, allowed: Networks) -> None:
        self._allowed = allowed
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        allowed = self._allowed

        def checked(pool: Any) -> Any:
            class Connection(pool.ConnectionCls):  # type: ignore[misc]
                def _new_conn(self) -> socket.socket:
                    return _connected(self, super()._new_conn, allowed)

            return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

        self.poolmanager.pool_classes_by_scheme = {
            "http": checked(HTTPConnectionPool),
            "https": checked(HTTPSConnectionPool),
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        # Connections to proxies come from other pools, which know nothing of the check.
        url = request.url or ""
        if select_proxy(url, kwargs.get("proxies")) is not None:
            _require_distant(_host_of(url), self._allowed)
        return super().send(request, *args, **kwargs)


def _connected(connection: Any, connect: Any, allowed: Networks) -> socket.socket:
    """Connect to the first address of a host that is allowed and answers."""
    host = connection._dns_host  # noqa: SLF001 - the name that urllib3 looks up when it connects
    found = _addresses(host, connection.port)
    passing = [address for address in found if is_allowed(address, allowed)]
    if not passing:
        raise refusal(f"the address {found[0]}")
    try:
        for address in passing:
            connection._dns_host = address  # noqa: SLF001
            try:
                reached: socket.socket = connect()
            except (urllib3.exceptions.HTTPError, OSError):
                if address == passing[-1]:
                    raise
            else:
                break
    finally:
        # Certificates are checked against the name.
        connection._dns_host = host  # noqa: SLF001
    peer = str(reached.getpeername()[0])
    if not is_allowed(peer, allowed):
        reached.close()
        raise refusal(f"the address {peer}")
    return reached


def _addresses(host: str, port: int) -> list[str]:
    """Look a host up; each of its addresses once.

    Raises:
        OSError: It has none.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _require_distant(host: str, allowed: Networks) -> None:
    # A proxy on this machine may be asked for it, where this machine is allowed.
    local = host.rstrip(".").lower() == "localhost"
    address = "127.0.0.1" if local else address_of(host)
    if address is None and is_local_name(host):
        raise refusal(f"the host {host}")
    if address is not None and not is_allowed(address, allowed):
        raise refusal(f"the address {address}")


def _host_of(url: str) -> str:
    # By the parser that also connects: two parsers may find two hosts in one address.
    return urllib3.util.parse_url(url).host or ""
