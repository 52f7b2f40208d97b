"""What a run holds while it lives: a lock that says so, and one on its video.

Belongs here: advisory locks of PostgreSQL for runs and videos, and who holds them. Does not belong
here: what is done with a run that lives no more.

The locks belong to a connection of their own. The server lets go of them when the process ends,
however it ends, so that nobody has to believe a record that nobody closed. Session locks do not
pass through a pooler in transaction mode, such as PgBouncer's.

Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from db.errors import DatabaseBusy
from db.session import Database, new_engine, translated_errors

_NAME = "videomoments run "
_TRY = text("SELECT pg_try_advisory_lock(:key)")
_TRY_SHARED = text("SELECT pg_try_advisory_lock_shared(:key)")
_LOOK_SECONDS = 0.5
_SAY_SECONDS = 30.0
_CHECK_SECONDS = 2.0

_logger = logging.getLogger(__name__)


class RunClaim:
    """A run's hold on itself and on its video, kept while the database comes and goes.

    Only one run at a time has a video. If the connection is lost, it is made again within seconds
    of the server's return; until then another run may begin, which costs work and no consistency.
    """

    def __init__(self, url: str | URL, *, run_id: str, video: str) -> None:
        """Describe the claim; nothing is taken yet.

        Args:
            url: Our database.
            run_id: Dagster's id of the run.
            video: Identifier of the video that it works on.
        """
        self._video = video
        self._run_key = _key("run", run_id)
        self._video_key = _key("video", video)
        self._engine = new_engine(
            url, pool_size=1, max_overflow=0, application_name=f"{_NAME}{run_id}"
        ).execution_options(isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="run-claim", daemon=True)

    def take(self, *, wait_seconds: float, said: Callable[[str], None]) -> None:
        """Say that the run lives, and wait until it has its video for itself.

        Args:
            wait_seconds: How long to wait for the video.
            said: Takes a sentence now and then while it waits.

        Raises:
            DatabaseBusy: Another run still has the video.
            DatabaseProblem: The database cannot be worked with.
        """
        try:
            with translated_errors(self._engine.url):
                self._connection = self._engine.connect()
                _lock(self._connection, self._run_key, shared=True)
                self._wait_for_video(self._connection, wait_seconds, said)
        except BaseException:
            self.release()
            raise
        self._keeper.start()

    def _wait_for_video(
        self, connection: Connection, wait_seconds: float, said: Callable[[str], None]
    ) -> None:
        begun = next_word = time.monotonic()
        while not _lock(connection, self._video_key):
            now = time.monotonic()
            holder = _holder(connection, self._video_key)
            if now >= begun + wait_seconds:
                raise DatabaseBusy(
                    f"{holder} has had the video '{self._video}' for all of "
                    f"{wait_seconds:.0f} seconds",
                    remedy="Run it again when that has ended",
                )
            if now >= next_word:
                said(f"Waiting for {holder}, which works on '{self._video}'.")
                next_word = now + _SAY_SECONDS
            time.sleep(_LOOK_SECONDS)

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
                    complete = False
                if complete:
                    self._connection.execute(text("SELECT 1"))
                else:
                    _lock(self._connection, self._run_key, shared=True)
                    complete = _lock(self._connection, self._video_key)
            except SQLAlchemyError:
                if complete:
                    _logger.warning(
                        "The claim on the video '%s' is lost, and taken again as soon as the "
                        "database is back.",
                        self._video,
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
def video_to_oneself(database: Database, video: str) -> Iterator[bool]:
    """Keep runs from a video for the length of the block; False if one has it already.

    For what is short, such as removing a video's objects: a run that begins meanwhile waits.
    """
    engine: Engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        key = _key("video", video)
        taken = _lock(connection, key)
        try:
            yield taken
        finally:
            if taken:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


def living_runs(database: Database, run_ids: Collection[str]) -> frozenset[str]:
    """Those of some runs whose process holds its claim at this moment."""
    if not run_ids:
        return frozenset()
    with database.read() as session:
        held = set(
            session.scalars(
                # A key of 64 bits is shown in two halves, told from a pair of keys by objsubid.
                text(
                    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks "
                    "WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND database = "
                    "(SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            )
        )
    return frozenset(run_id for run_id in run_ids if _key("run", run_id) in held)


def _lock(connection: Connection, key: int, *, shared: bool = False) -> bool:
    asked = _TRY_SHARED if shared else _TRY
    return bool(connection.scalar(asked, {"key": key}))


def _holder(connection: Connection, key: int) -> str:
    name = connection.scalar(
        text(
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted "
            "AND (l.classid::bigint << 32) | l.objid::bigint = :key LIMIT 1"
        ),
        {"key": key},
    )
    run_id = (name or "").removeprefix(_NAME)
    return f"the run {run_id}" if run_id and run_id != name else "another process"


def _key(kind: str, name: str) -> int:
    """A signed number of 64 bits; that two names share one costs a needless wait, no more."""
    hashed = hashlib.sha256(f"videomoments {kind} {name}".encode()).digest()
    return int.from_bytes(hashed[:8], "big", signed=True)
