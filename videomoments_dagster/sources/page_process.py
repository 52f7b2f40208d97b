"""yt-dlp with its connections checked: the program of the process that `page` starts.

Every connection that yt-dlp makes through Python is checked, whatever page or redirect named it.
Not covered is what is not Python: ffmpeg connects by itself for the live streams and the few
formats that yt-dlp leaves to it, and so does curl_cffi where somebody has installed it.
"""

from __future__ import annotations

import errno
import runpy
import socket
import sys
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from videomoments_dagster.sources.limits import Network, is_allowed, networks_in

REFUSED = "VM-REFUSED"
"""Stands before the address in the complaint about a refused connection."""

_INTERNET = (socket.AF_INET, socket.AF_INET6)


def main() -> None:
    """Run yt-dlp; the first argument names the networks that are allowed, the rest is its own."""
    networks, *arguments = sys.argv[1:]
    _refuse_connections(networks_in(networks), trusted=_proxies())
    sys.argv = ["yt-dlp", *arguments]
    runpy.run_module("yt_dlp", run_name="__main__", alter_sys=True)


def _refuse_connections(allowed: tuple[Network, ...], *, trusted: frozenset[str]) -> None:
    def check(event: str, details: tuple[Any, ...]) -> None:
        if event != "socket.connect" or details[0].family not in _INTERNET:
            return
        address = str(details[1][0])
        if address not in trusted and not is_allowed(address, allowed):
            raise PermissionError(errno.EACCES, f"{REFUSED} {address}")

    # A hook cannot be taken out again, and is asked with the address that is connected to.
    sys.addaudithook(check)


def _proxies() -> frozenset[str]:
    """Addresses of the proxies that the environment names."""
    found: set[str] = set()
    for url in urllib.request.getproxies().values():
        try:
            host = urlsplit(url if "://" in url else f"http://{url}").hostname
            entries = socket.getaddrinfo(host, None) if host else []
        except (OSError, ValueError):
            continue
        found.update(str(entry[4][0]) for entry in entries)
    return frozenset(found)


if __name__ == "__main__":
    main()
