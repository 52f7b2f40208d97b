"""`videomoments dev` for real: embedded database, code server, webserver and daemon."""

from __future__ import annotations

import json
import os
import shutil
import signal
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
from postgres import fresh_database

from videomoments_dagster.command_line.child_processes import marked

# Generous: the machine may be busy with the other workers' tests.
START_SECONDS = 150
STOP_SECONDS = 25

# What the `videomoments` script does, with this interpreter.
COMMAND = (sys.executable, "-P", "-c", "from videomoments_dagster.cli import main; main()", "dev")

LINEAGE = {
    "video": set(),
    "transcript": {"video"},
    "moments": {"transcript", "generation_config"},
    "refined_moments": {"moments"},
    "clips": {"moments"},
    "thumbnails": {"clips"},
}


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's own folder: as root that one is closed to the user whom PostgreSQL runs as.
    folder = Path(tempfile.gettempdir()) / f"vm-dev-{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    yield folder
    for process in processes_of(folder):
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


def lineage(port: int) -> dict[str, set[str]]:
    nodes = asked(
        port,
        "{ assetNodes { assetKey { path } dependencyKeys { path }"
        " repository { location { name } } } }",
    )["assetNodes"]
    assert {node["repository"]["location"]["name"] for node in nodes} == {"videomoments"}
    return {
        node["assetKey"]["path"][-1]: {key["path"][-1] for key in node["dependencyKeys"]}
        for node in nodes
    }


def test_dev_shows_the_lineage_ticks_the_sensor_and_leaves_nothing_after_ctrl_c(home: Path) -> None:
    port = free_port()
    with dev(home, port=port) as process:
        until(
            says(home, f"http://127.0.0.1:{port}/assets"),
            seconds=START_SECONDS,
            process=process,
            home=home,
        )
        found = lineage(port)
        assert found.keys() == LINEAGE.keys() | {"generation_config"}
        for asset, needed in LINEAGE.items():
            assert needed <= found[asset], asset
        until(logs(home, "Sensor pipeline_history skipped"), seconds=60, process=process, home=home)
        written = (home / "output.txt").read_text()
        assert "Traceback" not in (home / "dev" / "server.log").read_text() + written
        assert processes_of(home)

        again = subprocess.run(
            [*COMMAND, "--port=0"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "VIDEOMOMENTS_HOME": str(home)},
        )

        asked_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=STOP_SECONDS)
        took = time.monotonic() - asked_at
    assert status == 0, (home / "output.txt").read_text()
    assert processes_of(home) == []
    assert "Traceback" not in (home / "output.txt").read_text()
    assert took < STOP_SECONDS
    assert again.returncode == 1
    assert f"http://127.0.0.1:{port}" in again.stderr


@pytest.fixture
def two_databases(postgres_server: str, database_url: str) -> Iterator[dict[str, str]]:
    """Variables that name our database and one for Dagster, both gone after the test."""
    with fresh_database(postgres_server) as dagster_url:
        yield {"DATABASE_URL": database_url, "VIDEOMOMENTS_DAGSTER_DATABASE_URL": dagster_url}


def test_after_kill_9_its_children_end_by_themselves_and_the_next_dev_works(
    home: Path, two_databases: dict[str, str]
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}/assets"
    with dev(home, port=port, **two_databases) as process:
        until(says(home, address), seconds=START_SECONDS, process=process, home=home)
        children = {one.pid for one in process_children(process)}
        process.kill()
        process.wait(timeout=10)
    assert len(children) == 3
    deadline = time.monotonic() + 30
    while children & {one.pid for one in processes_of(home)}:
        assert time.monotonic() < deadline
        time.sleep(0.2)

    (home / "output.txt").unlink()
    with dev(home, port=port, **two_databases) as process:
        until(says(home, address), seconds=START_SECONDS, process=process, home=home)
        assert "thumbnails" in lineage(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=STOP_SECONDS) == 0
    assert processes_of(home) == []


def process_children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def test_a_port_in_use_is_said_in_a_sentence_before_anything_is_started(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with dev(home, port=port) as process:
            assert process.wait(timeout=60) == 1
    written = (home / "output.txt").read_text()
    assert f"port {port} on 127.0.0.1 cannot be listened on" in written
    assert "--port" in written
    assert "Traceback" not in written
    assert not (home / "postgres").exists()
    assert processes_of(home) == []
