"""Under which names the guarded UI is reached, by the settings."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from videomoments_dagster.webserver.guarded import guarded


async def app(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def status(host: str) -> int:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    headers = [(b"host", host.encode())]
    scope = {"type": "http", "method": "GET", "path": "/assets", "headers": headers}
    asyncio.run(guarded(app)(scope, receive, send))
    return int(sent[0]["status"])


def test_the_address_that_links_lead_to_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOMOMENTS_UI_URL", "https://UI.example.org:8443/")
    monkeypatch.setenv("VIDEOMOMENTS_UI_HOSTS", "lab.example.org")
    for host in ("ui.example.org:8443", "lab.example.org", "127.0.0.1:3000"):
        assert status(host) == 200, host
    assert status("ui.example.org.evil.example") == 421
