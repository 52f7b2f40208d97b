"""A whole installation as in production: PostgreSQL, code server and daemon, each a process.

Belongs here: starting and stopping them, for benchmarks and for tests that break one of them. Does
not belong here: what is measured or broken.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from db.embedded import EmbeddedPostgres

PROJECT = Path(__file__).parents[1]
MODULE = "videomoments_dagster.definitions"
START_SECONDS = 120.0


@dataclass
class Installation:
    """One installation under a folder of its own.

    Attributes:
        home: Its folder.
        environment: What its processes are told.
        server: Its PostgreSQL, which counts as somebody else's: the project never starts it.
        processes: The living parts by name.
    """

    home: Path
    environment: dict[str, str]
    server: EmbeddedPostgres
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_code_server(self) -> subprocess.Popen[bytes]:
        """Start the code server, and wait until it takes calls."""
        socket = self.home / "code.sock"
        socket.unlink(missing_ok=True)
        process = self._start(
            "code",
            "dagster",
            "code-server",
            "start",
            f"--socket={socket}",
            f"--module-name={MODULE}",
            "--location-name=videomoments",
            f"--working-directory={PROJECT}",
            "--log-level=warning",
            "--use-python-environment-entry-point",
        )
        wait_for(socket.exists, what="the code server's socket")
        return process

    def start_daemon(self) -> subprocess.Popen[bytes]:
        """Start Dagster's daemon."""
        workspace = self.home / "workspace.yaml"
        server = {"socket": str(self.home / "code.sock"), "location_name": "videomoments"}
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        return self._start("daemon", "dagster._daemon", "run", f"--workspace={workspace}")

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command `videomoments`."""
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from videomoments_dagster.cli.main import main; main()",
                *arguments,
            ],
            env=self.environment,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ran(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the command `videomoments` to its end."""
        process = self.command(*arguments)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(arguments, process.returncode, output, "")

    def memory_bytes(self, name: str) -> int:
        """Resident memory of a part with the servers that it started, without runs."""
        part = psutil.Process(self.processes[name].pid)
        total = part.memory_info().rss
        for child in part.children(recursive=True):
            try:
                if "grpc" in child.cmdline():
                    total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return int(total)

    def stop(self) -> None:
        """End all parts and what they started."""
        for process in reversed(self.processes.values()):
            end(process)
        self.processes.clear()

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=self.environment,
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = process
        return process


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a process and all that it started."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    process.wait(timeout=30)
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue


def wait_for(
    condition: Callable[[], bool], *, what: str, seconds: float = START_SECONDS, every: float = 0.1
) -> float:
    """Wait until a condition holds; give how long that took, in seconds.

    Raises:
        TimeoutError: If it does not hold in time.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - begun


@contextmanager
def installation(
    settings: Mapping[str, str] | None = None, *, durable: bool = False
) -> Iterator[Installation]:
    """Give a new installation with both its databases, and no part started; it is gone after.

    This process's environment is that of the installation for as long, so that what is called
    here works on the same databases.

    Args:
        settings: Environment of its processes, beside the databases.
        durable: Whether its databases wait for the disk.
    """
    # A short path that other users may enter: PostgreSQL may run as another than this one.
    home = Path(tempfile.gettempdir()) / f"vm-{uuid.uuid4().hex[:10]}"
    home.mkdir(mode=0o755)
    server = EmbeddedPostgres(home / "server", durable=durable)
    before = dict(os.environ)
    try:
        ours = server.acquire(database="videomoments")
        dagsters = server.acquire(database="videomoments_dagster")
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DATABASE_", "DAGSTER_", "VIDEOMOMENTS_"))
        }
        environment = {
            **clean,
            "DATABASE_URL": ours,
            "VIDEOMOMENTS_DAGSTER_DATABASE_URL": dagsters,
            "VIDEOMOMENTS_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "PYTHONPATH": str(PROJECT),
            **(settings or {}),
        }
        os.environ.clear()
        os.environ.update(environment)
        one = Installation(home=home, environment=environment, server=server)
        try:
            yield one
        finally:
            one.stop()
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.release()
        server.release()
        shutil.rmtree(home, ignore_errors=True)
