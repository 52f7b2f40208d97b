"""A running webserver with the guard and the files of a store, without Dagster's own app.

Belongs here: starting it, asking it by plain HTTP, and stopping it.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from plain_http import Answer, answer_of

from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.resources import ObjectStoreResource
from videomoments_dagster.webserver.guarded import guarded


@dataclass(frozen=True)
class Served:
    """A running webserver with the files of a store."""

    port: int
    store: ObjectStore
    folder: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, key: str, content: bytes) -> str:
        file = self.folder / hashlib.sha256(key.encode()).hexdigest()
        file.write_bytes(content)
        self.store.put_file(file, key=key, content_type="application/octet-stream")
        return key

    def asked(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return answer_of(self.port, method, path, **headers)

    def file(self, key: str, method: str = "GET", **headers: str) -> Answer:
        return self.asked(f"/objects/{key}", method, **headers)


async def dagsters(scope: Any, receive: Any, send: Any) -> None:
    """In the place of Dagster's own app."""
    del receive
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"Dagster"})


@contextmanager
def running() -> Iterator[int]:
    config = uvicorn.Config(guarded(dagsters), port=0, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=30)


@contextmanager
def serving(root: str, folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Served]:
    environment.setenv("VIDEOMOMENTS_OBJECT_STORE", root)
    with running() as port:
        yield Served(port, ObjectStoreResource(root=root).store, folder)
