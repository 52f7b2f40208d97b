"""Homes for embedded servers in tests, and processes that use them.

As root, pytest's own temporary folders are closed to the user whom PostgreSQL runs as, so homes
are made beside them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psycopg2
import pytest

from db.embedded import (
    Abandoned,
    EmbeddedPostgres,
    abandoned_databases,
    existing_state,
    remove_abandoned,
)
from db.embedded.placement import place
from db.embedded.postmaster import Postmaster

_USE = """
import sys
from pathlib import Path
from db.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
print(server.acquire(), flush=True)
sys.stdin.readline()
print(server.release(), flush=True)
"""


HERE = str(Path(__file__).parent)


def environment() -> dict[str, str]:
    """The variables with which another Python process finds this module."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path])}


@dataclass(frozen=True)
class EmbeddedStatus:
    """What there is of an embedded server: where its files are, and what runs."""

    state: Literal["absent", "stopped", "running"]
    folder: Path | None = None
    version: str | None = None
    pid: int | None = None


def status(home: Path) -> EmbeddedStatus:
    """Look at the server of a home without starting it."""
    folder = existing_state(home)
    if folder is None or not (folder / "data").exists():
        return EmbeddedStatus("absent")
    postmaster = Postmaster(place(home), durable=False)
    process = postmaster.process()
    try:
        connection = postmaster.connect()
    except psycopg2.OperationalError:
        return EmbeddedStatus("stopped", folder)
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version')")
        version = str(cursor.fetchone()[0]).split()[0]
    return EmbeddedStatus("running", folder, version, process.pid if process else None)


def discard(home: Path) -> None:
    """Stop a home's server, whoever uses it, and delete everything of it."""
    state = existing_state(home)
    if state is not None:
        placement = place(home)
        Postmaster(placement, durable=False).stop()
        shutil.rmtree(placement.sockets, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def temporary_home(name: str = "home") -> Iterator[Path]:
    """Give a home that does not exist yet; its server and files are gone after the block."""
    top = Path(tempfile.mkdtemp(prefix="vm-"))
    top.chmod(0o755)
    home = top / name
    try:
        yield home
    finally:
        discard(home)
        shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def new_embedded_home() -> Iterator[Path]:
    """A home that does not exist yet."""
    with temporary_home() as path:
        yield path


@pytest.fixture(scope="session")
def _embedded_home_of_worker() -> Iterator[Path]:
    with temporary_home() as path:
        with EmbeddedPostgres(path, durable=False).running():
            pass
        yield path


@pytest.fixture
def embedded_home(_embedded_home_of_worker: Path) -> Path:
    """A home whose server was made by an earlier test and is stopped; spares initialising."""
    Postmaster(place(_embedded_home_of_worker), durable=False).stop()
    return _embedded_home_of_worker


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that only root reaches; the databases of homes in it are gone after the test."""
    closed = Path(tempfile.mkdtemp(prefix="vm-"))
    try:
        yield closed
    finally:
        for home in closed.iterdir():
            discard(home)
        shutil.rmtree(closed)
        for left in abandoned_in(closed):
            remove_abandoned(left.state)


def abandoned_in(folder: Path) -> list[Abandoned]:
    """Abandoned databases of homes in a folder; the machine may have others."""
    return [one for one in abandoned_databases() if one.home and folder in one.home.parents]


class OtherProcess:
    """Another Python process that holds the server of a home until it is told to leave."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _USE, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def joined(self) -> str:
        """Wait until it holds the server and give the URL that it got."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> bool:
        """Have it release the server; give whether it stopped it."""
        said, _ = self.process.communicate("\n", timeout=60)
        return said.strip() == "True"

    def kill(self) -> None:
        """Kill it as the kernel would."""
        self.process.kill()
        self.process.communicate(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()
