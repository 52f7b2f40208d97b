"""Fixtures for all tiers, and what keeps the tiers apart."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Time limits of single examples say more about the other workers than about the code.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

pytest_plugins = [
    "stored_records",
    "imitated_runs",
    "postgres",
    "media_samples",
    "pipeline",
    "gcs_fixtures",
    "fetch_fixtures",
    "dev_process",
    "broken_installation",
    "chromium",
]

SLOW_FIXTURES = {"postgres_server", "media_samples", "pipeline", "talk_video", "broken", "chromium"}
"""Fixtures that start servers or processes; a unit test that asks for one is in the wrong tier."""


def pytest_configure() -> None:
    """Let interrupts interrupt.

    A shell that starts the tests in the background has them ignore SIGINT, and so would every
    process that a test starts and means to interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fail the collection if a unit test is not one."""
    for item in items:
        leaked = SLOW_FIXTURES & set(getattr(item, "fixturenames", ()))
        if "unit" in Path(item.path).parts and leaked:
            raise pytest.UsageError(
                f"{item.nodeid} is a unit test and uses {', '.join(sorted(leaked))}; move it to "
                "integration or e2e"
            )


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "unit" not in Path(request.path).parts:
        return

    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        # Google's client goes on looking up a bucket in a thread of its own after its test.
        if threading.current_thread() is not threading.main_thread():
            connect(self, address)
            return
        raise AssertionError("A unit test opened a connection.")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def _settings_of_the_developer_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:

    for name in list(os.environ):
        if name.startswith(("VIDEOMOMENTS_", "DATABASE_", "DAGSTER_")):
            monkeypatch.delenv(name)
