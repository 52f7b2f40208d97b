"""The embedded server as its users see it: take it, use its URL, let it go.

Belongs here: sharing one server between processes. Does not belong here: how it is run
(`db.embedded.postmaster`) and where (`db.embedded.placement`).

Each process holds a shared lock on `users.lock` for as long as it uses the server. Whoever leaves
and gets that lock alone was the last one, and stops the server. The kernel drops a killed
process's lock, so a `kill -9` leaves a running server that the next process joins.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg2

from db.creation import create_if_missing
from db.embedded.locks import FileLock, alone
from db.embedded.placement import Placement, existing_state, place
from db.embedded.postmaster import SUPERUSER, Postmaster
from db.errors import EmbeddedServerFailed

# Longer than initialising and starting together may take in the process that came first.
_TURN_SECONDS = 300
# At exit there is nobody left to wait for a long time.
_LEAVE_SECONDS = 45

DEFAULT_DATABASE = "videomoments"


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What there is of an embedded server.

    Attributes:
        state: "absent" before the first use; "stopped" or "running" after it.
        folder: Where all of it lies; None when absent.
        url: URL of the default database while it runs.
        version: PostgreSQL's version while it runs, such as "15.18".
        pid: Process id of the server while it runs.
    """

    state: Literal["absent", "stopped", "running"]
    folder: Path | None = None
    url: str | None = None
    version: str | None = None
    pid: int | None = None


class EmbeddedPostgres:
    """A PostgreSQL server under a home folder, shared by all processes that name that home.

    Example:
        >>> with EmbeddedPostgres(Path(".videomoments")).running() as url:
        ...     Database(url).check()
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        """Name the server; nothing is made or started yet.

        Args:
            home: Folder for local state; the server's files go into `postgres` under it.
            durable: Whether data survives a crash of the machine. False is for tests.
        """
        self.home = home.absolute()
        self.durable = durable
        self._guard = threading.RLock()
        self._users: FileLock | None = None
        self._placement: Placement | None = None
        self._holds = 0
        self._process = os.getpid()

    def acquire(self, database: str = DEFAULT_DATABASE) -> str:
        """Join the server, starting it where need be, and give the URL of a database on it.

        Every call wants a `release`; what is still held when the process ends is released then.

        Args:
            database: Database to connect to; made if it does not exist.

        Returns:
            A URL that SQLAlchemy reads, and libpq too without its ``+psycopg2``.

        Raises:
            EmbeddedServerFailed: The server cannot be made, started or joined.
        """
        with self._guard:
            self._forget_if_forked()
            placement = place(self.home)
            with alone(placement.start_lock, timeout_seconds=_TURN_SECONDS):
                self._join(placement, database)
            if self._holds == 0:
                atexit.register(self._release_all)
            self._holds += 1
            return database_url(placement, database)

    def release(self) -> bool:
        """Undo one `acquire`; the last one of the last process stops the server.

        Returns:
            Whether the server was stopped.
        """
        with self._guard:
            self._forget_if_forked()
            if self._holds == 0:
                return False
            self._holds -= 1
            if self._holds > 0:
                return False
            atexit.unregister(self._release_all)
            return self._leave()

    @contextmanager
    def running(self, database: str = DEFAULT_DATABASE) -> Iterator[str]:
        """Hold the server for a block and give the URL of a database on it.

        Raises:
            EmbeddedServerFailed: The server cannot be made, started or joined.
        """
        url = self.acquire(database)
        try:
            yield url
        finally:
            self.release()

    def status(self) -> EmbeddedStatus:
        """Look at the server without starting it or making anything.

        Raises:
            EmbeddedServerFailed: Its folder belongs to somebody else.
        """
        folder = existing_state(self.home)
        if folder is None or not (folder / "data").exists():
            return EmbeddedStatus("absent")
        placement = place(self.home)
        postmaster = Postmaster(placement, durable=self.durable)
        process = postmaster.process()
        try:
            connection = postmaster.connect()
        except psycopg2.OperationalError:
            return EmbeddedStatus("stopped", folder)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version')")
            version = str(cursor.fetchone()[0]).split()[0]
        connection.close()
        return EmbeddedStatus(
            "running",
            folder,
            url=database_url(placement, DEFAULT_DATABASE),
            version=version,
            pid=process.pid if process is not None else None,
        )

    def _join(self, placement: Placement, database: str) -> None:
        held = self._users
        if held is not None and not held.is_current():
            # Somebody deleted the home; what is there now is another server.
            held.close()
            held = None
        users = held or FileLock(placement.users_lock)
        try:
            users.share()
            connection = Postmaster(placement, durable=self.durable).ensure_running()
            try:
                create_if_missing(connection, database)
            finally:
                connection.close()
        except BaseException:
            if held is None:
                users.close()
                self._users = None
            raise
        self._users, self._placement = users, placement

    def _leave(self) -> bool:
        users, placement = self._users, self._placement
        self._users = self._placement = None
        if users is None or placement is None:
            return False
        try:
            if not users.is_current():
                return False
            with alone(placement.start_lock, timeout_seconds=_LEAVE_SECONDS):
                return users.try_exclusive() and Postmaster(placement, durable=self.durable).stop()
        finally:
            users.close()

    def _release_all(self) -> None:
        with self._guard, suppress(EmbeddedServerFailed, OSError):
            self._forget_if_forked()
            self._holds = min(self._holds, 1)
            self.release()

    def _forget_if_forked(self) -> None:
        """Let a forked child start from nothing.

        It shares the parent's open files; changing a lock through them would change the parent's.
        """
        if self._process == os.getpid():
            return
        if self._users is not None:
            self._users.close()
        self._users = self._placement = None
        self._holds = 0
        self._process = os.getpid()


def database_url(placement: Placement, database: str) -> str:
    """Write the URL of a database on the embedded server."""
    return f"postgresql+psycopg2://{SUPERUSER}@/{database}?host={placement.sockets}"
