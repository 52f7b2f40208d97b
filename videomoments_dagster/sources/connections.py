"""HTTP sessions that can refuse an address after it is resolved and before anything is sent.

Belongs here: the hook between a connection and its first byte. Does not belong here: which
addresses are refused (`FetchLimits.allow_address`), requests and retries.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from videomoments_dagster.failures import SourceRejected


def checked_session(allow_address: Callable[[str], bool]) -> requests.Session:
    """Make a session whose every connection is shown to `allow_address` by its peer's address.

    The check is on the connected socket, so a name that resolves differently a second time
    cannot pass it.
    """
    session = requests.Session()
    adapter = _CheckedAdapter(allow_address)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class _CheckedAdapter(HTTPAdapter):
    def __init__(self, allow_address: Callable[[str], bool]) -> None:
        self._allow_address = allow_address
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        allow = self._allow_address

        class CheckedHTTP(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _checked(super()._new_conn(), allow)

        class CheckedHTTPS(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _checked(super()._new_conn(), allow)

        class HTTPPool(HTTPConnectionPool):
            ConnectionCls = CheckedHTTP

        class HTTPSPool(HTTPSConnectionPool):
            ConnectionCls = CheckedHTTPS

        self.poolmanager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}


def _checked(connected: socket.socket, allow_address: Callable[[str], bool]) -> socket.socket:
    address = str(connected.getpeername()[0])
    if not allow_address(address):
        connected.close()
        raise SourceRejected(f"the source leads to the address {address}, which is not allowed")
    return connected
