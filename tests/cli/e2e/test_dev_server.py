"""`videomoments dev` for real: embedded database, code server, webserver and daemon."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dev_process import (
    COMMAND,
    STOP_SECONDS,
    asked,
    dev,
    free_port,
    logs,
    processes_of,
    until,
    until_up,
)
from postgres import fresh_database

LINEAGE = {
    "video": set(),
    "transcript": {"video"},
    "moments": {"transcript", "generation_config"},
    "refined_moments": {"moments"},
    "clips": {"moments"},
    "thumbnails": {"clips"},
}


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


def test_dev_shows_the_lineage_ticks_the_sensor_and_leaves_nothing_after_ctrl_c(
    dev_home: Path,
) -> None:
    port = free_port()
    with dev(dev_home, port=port) as process:
        until_up(port, process=process, home=dev_home)
        found = lineage(port)
        assert found.keys() == LINEAGE.keys() | {"generation_config"}
        for asset, needed in LINEAGE.items():
            assert needed <= found[asset], asset
        until(
            logs(dev_home, "Sensor pipeline_history skipped"),
            seconds=60,
            process=process,
            home=dev_home,
        )
        written = (dev_home / "output.txt").read_text()
        assert "Traceback" not in (dev_home / "dev" / "server.log").read_text() + written
        assert processes_of(dev_home)

        again = subprocess.run(
            [*COMMAND, "--port=0"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "VIDEOMOMENTS_HOME": str(dev_home)},
        )

        asked_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=STOP_SECONDS)
        took = time.monotonic() - asked_at
    assert status == 0, (dev_home / "output.txt").read_text()
    assert processes_of(dev_home) == []
    assert "Traceback" not in (dev_home / "output.txt").read_text()
    assert took < STOP_SECONDS
    assert again.returncode == 1
    assert f"http://127.0.0.1:{port}" in again.stderr


@pytest.fixture
def two_databases(postgres_server: str, database_url: str) -> Iterator[dict[str, str]]:
    """Variables that name our database and one for Dagster, both gone after the test."""
    with fresh_database(postgres_server) as dagster_url:
        yield {"DATABASE_URL": database_url, "VIDEOMOMENTS_DAGSTER_DATABASE_URL": dagster_url}


def test_after_kill_9_its_children_end_by_themselves_and_the_next_dev_works(
    dev_home: Path, two_databases: dict[str, str]
) -> None:
    port = free_port()
    with dev(dev_home, port=port, **two_databases) as process:
        until_up(port, process=process, home=dev_home)
        descendants = psutil.Process(process.pid).children(recursive=True)
        children = {one.pid for one in descendants}
        words = {word for one in descendants for word in one.cmdline()}
        process.kill()
        process.wait(timeout=10)
    assert {"code-server", "videomoments_dagster.webserver", "dagster._daemon"} <= words
    assert len(children) >= 3
    deadline = time.monotonic() + 30
    while children & {one.pid for one in processes_of(dev_home)}:
        assert time.monotonic() < deadline
        time.sleep(0.2)

    (dev_home / "output.txt").unlink()
    with dev(dev_home, port=port, **two_databases) as process:
        until_up(port, process=process, home=dev_home)
        assert "thumbnails" in lineage(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=STOP_SECONDS) == 0
    assert processes_of(dev_home) == []


def test_a_part_that_ends_by_itself_ends_all_in_a_sentence(
    dev_home: Path, two_databases: dict[str, str]
) -> None:
    port = free_port()
    with dev(dev_home, port=port, **two_databases) as process:
        until_up(port, process=process, home=dev_home)
        [daemon] = [
            one
            for one in psutil.Process(process.pid).children(recursive=True)
            if "dagster._daemon" in one.cmdline()
        ]
        daemon.kill()
        assert process.wait(timeout=STOP_SECONDS) == 1
    last = (dev_home / "output.txt").read_text().splitlines()[-1]
    assert last.startswith("videomoments: Dagster ended by itself (status 0): ")
    assert "dagster-daemon process shut down unexpectedly" in last
    assert str(dev_home / "dev" / "server.log") in last
    assert processes_of(dev_home) == []


def test_a_port_in_use_is_said_in_a_sentence_before_anything_is_started(dev_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with dev(dev_home, port=port) as process:
            assert process.wait(timeout=60) == 1
    written = (dev_home / "output.txt").read_text()
    assert f"port {port} on 127.0.0.1 cannot be listened on" in written
    assert "--port" in written
    assert "Traceback" not in written
    assert not (dev_home / "postgres").exists()
    assert processes_of(dev_home) == []
