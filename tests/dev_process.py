"""`videomoments dev` as a process, for tests that use the real thing.

Belongs here: starting it, waiting for it, asking it, and leaving nothing behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from videomoments_dagster.cli.tied_process import marked

# Generous: the machine may be busy with the other workers' tests.
START_SECONDS = 150
STOP_SECONDS = 60

# What the `videomoments` script does, with this interpreter.
COMMAND = (
    sys.executable,
    "-P",
    "-c",
    "from videomoments_dagster.cli.main import main; main()",
    "dev",
)


@pytest.fixture
def dev_home() -> Iterator[Path]:
    with new_dev_home() as home:
        yield home


@contextmanager
def new_dev_home() -> Iterator[Path]:
    """A home for `videomoments dev`; what still runs for it afterwards is killed."""
    # Not pytest's own folder: as root that one is closed to the user whom PostgreSQL runs as.
    folder = Path(tempfile.gettempdir()) / f"vm-dev-{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        for process in processes_of(folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def dev(home: Path, *, port: int, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start `videomoments dev` in a strange working directory; what is left of it is killed."""
    elsewhere = home / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    # Whatever is imported from here instead of from where it belongs fails at once.
    for name in ("db", "dagster", "videomoments_dagster"):
        (elsewhere / f"{name}.py").write_text("raise RuntimeError('imported from the wrong place')")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DATABASE_", "DAGSTER_", "VIDEOMOMENTS_"))
    }
    with (home / "output.txt").open("a") as output:
        process = subprocess.Popen(
            [*COMMAND, f"--port={port}"],
            env={**clean, **environment, "VIDEOMOMENTS_HOME": str(home)},
            cwd=elsewhere,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], bool], *, seconds: float, process: Any, home: Path) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        written = (home / "output.txt").read_text()
        assert process.poll() is None, f"it ended with {process.returncode}:\n{written}"
        assert time.monotonic() < deadline, f"not within {seconds} s:\n{written}"
        time.sleep(0.2)


def until_up(port: int, *, process: Any, home: Path, seconds: float = START_SECONDS) -> None:
    """Wait until it says where its UI is."""
    address = f"http://127.0.0.1:{port}/assets"
    until(says(home, address), seconds=seconds, process=process, home=home)


def says(home: Path, words: str) -> Callable[[], bool]:
    return lambda: words in (home / "output.txt").read_text()


def logs(home: Path, words: str) -> Callable[[], bool]:
    return lambda: words in (home / "dev" / "server.log").read_text()


def processes_of(home: Path) -> list[psutil.Process]:
    """All that runs for this home: what `dev` started, and the embedded database."""
    found = marked(str(home / "dev"))
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(home / "postgres"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def asked(port: int, query: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        return json.load(response)["data"]
