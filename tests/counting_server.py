"""A web server that keeps count of who comes: every connection, and every path asked for.

Belongs here: real servers for tests of what must not be called. It answers with files and
redirects only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class CountingServer:
    """What a server gives and what it saw.

    Attributes:
        url: Its address, by its IP address.
        port: Its port.
        files: Bodies by path without query; others do not exist.
        redirects: Addresses to lead on to, by path without query.
        connections: How often anybody connected, even without asking for anything.
        paths: What was asked for, with its query. A proxy is asked for whole addresses.
        credentials: The `Authorization` headers of those requests; None where there was none.
    """

    url: str = ""
    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    connections: int = 0
    paths: list[str] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)


@contextmanager
def counting_server(host: str = "127.0.0.1", port: int = 0) -> Iterator[CountingServer]:
    """Serve on an address of this machine until the block ends."""
    seen = CountingServer()

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            seen.connections += 1
            super().setup()

        def do_GET(self) -> None:
            seen.paths.append(self.path)
            seen.credentials.append(self.headers.get("Authorization"))
            path = self.path.partition("?")[0]
            with suppress(ConnectionError):
                if path in seen.redirects:
                    self.send_response(302)
                    self.send_header("Location", seen.redirects[path])
                    self.end_headers()
                elif path in seen.files:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(seen.files[path])))
                    self.end_headers()
                    if self.command == "GET":
                        self.wfile.write(seen.files[path])
                else:
                    self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server((host, port), Handler)
    seen.port = server.server_address[1]
    seen.url = f"http://{host}:{seen.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
