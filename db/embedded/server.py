"""The embedded server as its users see it: take it, use its URL, let it go.

Each process holds a shared lock on `users.lock` for as long as it uses the server. Whoever leaves
and gets that lock alone was the last one, and stops the server. The kernel drops a killed
process's lock, so a `kill -9` leaves a running server that the next process joins. A server that
ends by itself is started again by whoever uses it and notices first.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from db.creation import create_if_missing
from db.embedded.placement import Placement, place
from db.embedded.postmaster import SUPERUSER, Postmaster
from db.errors import EmbeddedServerFailed

# Longer than initialising and starting together may take in the process that came first.
_TURN_SECONDS = 300
# At exit there is nobody left to wait for a long time.
_LEAVE_SECONDS = 45
_LOOK_SECONDS = 0.5

_logger = logging.getLogger(__name__)

_failures: dict[str, EmbeddedServerFailed] = {}


def failure_at(sockets: str) -> EmbeddedServerFailed | None:
    """Why a server that this process uses could not be started again; None where it runs.

    Args:
        sockets: The folder of its socket, which is the host in its URL.
    """
    return _failures.get(sockets)


class LockFile:
    """An open file to lock; several may hold it shared, or one alone."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it if need be; nothing is locked yet."""
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def share(self) -> None:
        """Take the lock together with others, waiting for whoever has it alone."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock alone if nobody holds it. A shared hold of this object is lost if not."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_current(self) -> bool:
        """Whether the path still leads to the open file; not so once the folder was deleted."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of the lock and the file."""
        os.close(self._file)


@contextmanager
def alone(placement: Placement, *, timeout_seconds: float) -> Iterator[None]:
    """Be the only process that starts, joins or leaves the server for the length of the block.

    Raises:
        EmbeddedServerFailed: Somebody else was inside for the whole time limit.
    """
    path = placement.state / "start.lock"
    deadline = time.monotonic() + timeout_seconds
    while True:
        lock = LockFile(path)
        try:
            while not lock.try_exclusive():
                if time.monotonic() > deadline:
                    raise EmbeddedServerFailed(
                        f"Another process has been starting or stopping the embedded database for"
                        f" {timeout_seconds:.0f} seconds (it holds {path})",
                        remedy="End that process and try again",
                    )
                time.sleep(0.01)
            if lock.is_current():
                yield
                return
        finally:
            lock.close()


class _Keeper:
    """Starts a server again that ended by itself, for as long as this process uses it."""

    def __init__(self, users: LockFile, server: Postmaster) -> None:
        self._users = users
        self._server = server
        self._sockets = str(server.placement.sockets)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="embedded-database", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Leave the server alone from now on."""
        self._ended.set()
        self._thread.join()
        _failures.pop(self._sockets, None)

    def _keep(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            # One whose home was deleted is nobody's any more.
            if self._server.process() is None and self._users.is_current():
                self._start_again()

    def _start_again(self) -> None:
        try:
            with alone(self._server.placement, timeout_seconds=_TURN_SECONDS):
                self._server.start_again()
        except (EmbeddedServerFailed, OSError) as error:
            if self._sockets not in _failures:
                _logger.warning("%s", error)
            _failures[self._sockets] = (
                error
                if isinstance(error, EmbeddedServerFailed)
                else EmbeddedServerFailed(f"The embedded database cannot be started again: {error}")
            )
        else:
            _failures.pop(self._sockets, None)
            _logger.warning("The embedded database ended by itself and was started again.")


class EmbeddedPostgres:
    """A PostgreSQL server under a home folder, shared by all processes that name that home.

    Example:
        >>> with EmbeddedPostgres(Path(".videomoments")).running() as url:
        ...     database = Database(url)
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
        self._users: LockFile | None = None
        self._server: Postmaster | None = None
        self._keeper: _Keeper | None = None
        self._holds = 0
        self._process = os.getpid()

    def acquire(self, database: str = "videomoments") -> str:
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
            server = Postmaster(place(self.home), durable=self.durable)
            with alone(server.placement, timeout_seconds=_TURN_SECONDS):
                self._join(server, database)
            if self._holds == 0:
                atexit.register(self._release_all)
            self._holds += 1
            host = server.placement.sockets
            return f"postgresql+psycopg2://{SUPERUSER}@/{database}?host={host}"

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
    def running(self, database: str = "videomoments") -> Iterator[str]:
        """Hold the server for a block and give the URL of a database on it.

        Raises:
            EmbeddedServerFailed: The server cannot be made, started or joined.
        """
        url = self.acquire(database)
        try:
            yield url
        finally:
            self.release()

    def _join(self, server: Postmaster, database: str) -> None:
        if self._users is not None and not self._users.is_current():
            # Somebody deleted the home; what is there now is another server.
            self._users.close()
            self._users = None
        path = server.placement.state / "users.lock"
        if self._users is not None and self._users.path != path:
            # The same, but the old one lies outside of the home and is there still.
            self._leave()
        users = self._users or LockFile(path)
        try:
            users.share()
            with closing(server.ensure_running()) as connection:
                create_if_missing(connection, database)
        except BaseException:
            if users is not self._users:
                users.close()
            raise
        if users is not self._users:
            self._end_keeper()
        self._users, self._server = users, server
        if self._keeper is None:
            self._keeper = _Keeper(users, server)

    def _end_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.end()

    def _leave(self) -> bool:
        self._end_keeper()
        users, server = self._users, self._server
        self._users = self._server = None
        if users is None or server is None:
            return False
        with closing(users):
            if not users.is_current():
                return False
            with alone(server.placement, timeout_seconds=_LEAVE_SECONDS):
                return users.try_exclusive() and server.stop()

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
        self._users = self._server = self._keeper = None
        self._holds = 0
        self._process = os.getpid()
