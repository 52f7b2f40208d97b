"""A Google Cloud Storage server for tests, and a proxy before it that misbehaves on demand.

Belongs here: what speaks the real protocol over real sockets. Does not belong here: assertions,
or the fixtures over it (`gcs_fixtures`).
The emulator checks CRC-32C and ignores `ifGenerationMatch`, so the proxy can answer 412 itself.
"""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

BUCKET = "videos-bucket"

# Google's client looks the bucket up in a thread of its own, for tracing, whenever it likes.
_OF_THE_CLIENT_ITSELF = re.compile(r"/storage/v1/b/[^/?]+(\?.*)?")


@dataclass
class Fault:
    """One misbehaviour, for the next requests that it matches.

    Attributes:
        times: How many requests it spoils.
        method: HTTP method to match, or "" for all.
        path: What the request's path must contain.
        status: What to answer instead; 0 to drop the connection.
        after_bytes: For status 0, how much of the real answer is passed on before the drop.
        rewrite: Changes the body of the real answer instead.
        skip: How many requests that match are let through first.
    """

    times: int
    method: str = ""
    path: str = ""
    status: int = 0
    after_bytes: int = 0
    rewrite: Callable[[bytes], bytes] | None = None
    skip: int = 0


@dataclass
class GoogleStorage:
    """A running emulator behind its proxy.

    Attributes:
        url: Address of the proxy, for STORAGE_EMULATOR_HOST.
        faults: Misbehaviour to come.
        requests: Method and path of every request so far.
    """

    url: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    wipe: Callable[[], None] = lambda: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Forget objects, faults and requests."""
        self.wipe()
        self.faults.clear()
        self.requests.clear()

    def next_fault(self, method: str, path: str) -> Fault | None:
        """Note a request, and give what is to go wrong with it."""
        if _OF_THE_CLIENT_ITSELF.fullmatch(path):
            return None
        with self.lock:
            self.requests.append((method, path))
            for fault in self.faults:
                if fault.times > 0 and fault.method in ("", method) and fault.path in path:
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def seen(self, method: str, path: str = "") -> list[str]:
        """Give the paths of the requests with this method."""
        return [seen for how, seen in self.requests if how == method and path in seen]


@contextmanager
def google_storage(bucket: str = BUCKET) -> Iterator[GoogleStorage]:
    """Run an emulator with one bucket, and the proxy before it, on free ports."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=bucket)
    server.start()
    port = server._api._httpd.socket.getsockname()[1]
    storage = GoogleStorage(url="", wipe=lambda: server.wipe(keep_buckets=True))
    handler = type("Proxy", (_Proxy,), {"emulator_port": port, "storage": storage})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    proxy.daemon_threads = True
    storage.url = f"http://127.0.0.1:{proxy.server_address[1]}"
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield storage
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
        server.stop()


class _Proxy(BaseHTTPRequestHandler):
    """Passes requests on to the emulator, unless a fault says otherwise."""

    protocol_version = "HTTP/1.1"
    emulator_port: ClassVar[int]
    storage: ClassVar[GoogleStorage]

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.storage.next_fault(self.command, self.path)
        if fault is not None and fault.rewrite is None and not fault.after_bytes:
            self._spoil(fault)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.emulator_port, timeout=10)
        try:
            upstream.request(self.command, self.path, body or None, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        self._answer(answer, content, fault)

    def _answer(
        self, answer: http.client.HTTPResponse, content: bytes, fault: Fault | None
    ) -> None:
        if fault is not None and fault.rewrite is not None:
            content = fault.rewrite(content)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "server", "date", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault is not None and fault.after_bytes:
            content = content[: fault.after_bytes]
            self.close_connection = True
        self.wfile.write(content)

    def _spoil(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.status == 0:
            return
        self.send_response(fault.status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _pass_on  # noqa: N815 - the base's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
