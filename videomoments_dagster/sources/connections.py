"""HTTP sessions that reach public addresses and those that are allowed, and no others.

A proxy that the environment names (`HTTPS_PROXY` and its kin) is trusted, and it is the proxy that
looks names up and connects. Then hosts that are addresses, and names that can only be local, are
still refused; keeping other names from leading into its network is up to the proxy.
"""

from __future__ import annotations

import socket
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.sources.limits import (
    Networks,
    address_of,
    is_allowed,
    is_local_name,
)


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
