"""What a run holds while it lives: a lock that says so, and one on the partition it works on.

They are advisory locks of PostgreSQL on a connection of their own. The server lets go of them when
the process ends, however it ends, while the record of a run may stay open for ever.
Session locks do not pass through a pooler in transaction mode, which the first claim finds out.

Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import URL, Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from db.errors import DatabaseBusy
from db.poolers import check_sessions_are_whole
from db.session import Database, new_engine, translated_errors

_NAME = "videomoments run "
_RETRY_SECONDS = 0.5
_LOG_SECONDS = 30.0
_CHECK_SECONDS = 2.0

# A key of 64 bits is shown in two halves, and distinguished from a pair of keys by objsubid.
_HELD = text(
    "SELECT (l.classid::bigint << 32) | l.objid::bigint, a.application_name "
    "FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) "
    "WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND l.database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)

_logger = logging.getLogger(__name__)


class RunClaim:
    """A run's hold on itself and on its partition, kept while the database comes and goes.

    Only one run at a time has a partition. If the connection is lost, it is made again within
    seconds of the server's return; until then another run may begin, which costs work and no
    consistency.
    """

    def __init__(
        self, url: str | URL, *, run_id: str, system: str, partition: str, noun: str = "video"
    ) -> None:
        """Describe the claim; nothing is taken yet.

        Args:
            url: Our database.
            run_id: Dagster's id of the run.
            system: System whose results it makes, such as "moments".
            partition: Key of the partition that it works on.
            noun: What people call such a partition.
        """
        self._partition = partition
        self._subject = f"{noun} '{partition}'"
        self._run_key = _run_key(run_id)
        self._partition_key = _partition_key(system, partition)
        self._engine = new_engine(
            url, pool_size=1, max_overflow=0, application_name=f"{_NAME}{run_id}"
        ).execution_options(isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="run-claim", daemon=True)

    def take(self, *, wait_seconds: float, log: Callable[[str], None]) -> None:
        """Lock the run as living, and wait until it has its partition for itself.

        Args:
            wait_seconds: How long to wait for the partition.
            log: Takes a sentence now and then while it waits.

        Raises:
            DatabaseBusy: Another run still has the partition.
            DatabaseProblem: The database cannot be worked with.
        """
        try:
            check_sessions_are_whole(self._engine.url)
            with translated_errors(self._engine.url):
                self._connection = self._engine.connect()
                _lock(self._connection, self._run_key, shared=True)
                self._wait_for_partition(self._connection, wait_seconds, log)
        except BaseException:
            self.release()
            raise
        self._keeper.start()

    def _wait_for_partition(
        self, connection: Connection, wait_seconds: float, log: Callable[[str], None]
    ) -> None:
        begun = next_word = time.monotonic()
        while not _lock(connection, self._partition_key):
            now = time.monotonic()
            holder = _holder(connection, self._partition_key)
            if now >= begun + wait_seconds:
                raise DatabaseBusy(
                    f"{holder} has had the {self._subject} for all of {wait_seconds:.0f} seconds",
                    remedy="Run it again when that has ended",
                )
            if now >= next_word:
                log(f"Waiting for {holder}, which works on '{self._partition}'.")
                next_word = now + _LOG_SECONDS
            time.sleep(_RETRY_SECONDS)

    def release(self) -> None:
        """Let go of both. Never fails: what cannot be released ends with its connection."""
        self._ended.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self._disconnect()
        self._engine.dispose()

    def _keep(self) -> None:
        """Look after the connection, and take everything again after a loss."""
        complete = True
        while not self._ended.wait(_CHECK_SECONDS):
            try:
                if self._connection is None:
                    self._connection = self._engine.connect()
                if complete:
                    self._connection.execute(text("SELECT 1"))
                else:
                    _lock(self._connection, self._run_key, shared=True)
                    complete = _lock(self._connection, self._partition_key)
            except SQLAlchemyError:
                if complete:
                    _logger.warning(
                        "The claim on the %s is lost, and taken again as soon as the database is"
                        " back.",
                        self._subject,
                    )
                complete = False
                self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                # Not back to the pool, which would keep the session and its locks.
                connection.invalidate()
                connection.close()


@contextmanager
def run_announced(database: Database, run_id: str) -> Iterator[None]:
    """Say that a run lives for the length of the block, from before there is a record of it.

    Its claim says so too, but only once it has begun: a process that was killed before that would
    leave a record that nobody could tell from one that is about to begin.

    Raises:
        DatabaseProblem: The database cannot be worked with.
    """
    engine = new_engine(
        database.url, pool_size=1, max_overflow=0, application_name=f"{_NAME}{run_id}"
    ).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with translated_errors(database.url):
            connection = engine.connect()
            _lock(connection, _run_key(run_id), shared=True)
        try:
            yield
        finally:
            with suppress(SQLAlchemyError):
                # As in `RunClaim`; where the server went away, so did the lock.
                connection.invalidate()
                connection.close()
    finally:
        engine.dispose()


@contextmanager
def partition_to_oneself(database: Database, *, system: str, partition: str) -> Iterator[bool]:
    """Keep runs from a partition for the length of the block; False if one has it already.

    For what is short, such as removing a video's objects: a run that begins meanwhile waits.

    Raises:
        DatabaseProblem: The database cannot be worked with.
    """
    check_sessions_are_whole(database.url)
    key = _partition_key(system, partition)
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with translated_errors(database.url), engine.connect() as connection:
        taken = _lock(connection, key)
        try:
            yield taken
        finally:
            if taken:
                connection.scalar(select(func.pg_advisory_unlock(key)))


def living_runs(database: Database, run_ids: Collection[str]) -> frozenset[str]:
    """Those of some runs whose process holds its claim at this moment."""
    if not run_ids:
        return frozenset()
    with database.read() as session:
        held = set(session.scalars(_HELD))
    return frozenset(run_id for run_id in run_ids if _run_key(run_id) in held)


def _lock(connection: Connection, key: int, *, shared: bool = False) -> bool:
    attempt = func.pg_try_advisory_lock_shared if shared else func.pg_try_advisory_lock
    return bool(connection.scalar(select(attempt(key))))


def _holder(connection: Connection, key: int) -> str:
    name = next((name for held, name in connection.execute(_HELD) if held == key), None) or ""
    return f"the run {name.removeprefix(_NAME)}" if name.startswith(_NAME) else "another process"


def _run_key(run_id: str) -> int:
    return _key(f"run {run_id}")


def _partition_key(system: str, partition: str) -> int:
    # Processes of the releases that had one system still lock under its first name.
    return _key(f"video {partition}" if system == "moments" else f"{system} partition {partition}")


def _key(name: str) -> int:
    """A signed number of 64 bits; that two names share one costs a needless wait, no more."""
    hashed = hashlib.sha256(f"videomoments {name}".encode()).digest()
    return int.from_bytes(hashed[:8], "big", signed=True)
