"""Dagster's PostgreSQL storage with connections that are kept, and fewer questions.

Belongs here: what `dagster_postgres` does otherwise. Does not belong here: what is stored, or where
it is configured (`dagster.yaml`).

`dagster_postgres` opens a connection for each query, 450 of them in a run of seven assets: on one
machine nearly half of a short run's time, and more where the server is far away or speaks TLS. Two
in five of its queries ask whether a table, a column or the run's own partition is there, which they
were asked before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg2
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy import event

_KEPT_CONNECTIONS = 2
_MORE_AT_ONCE = 40
"""As many as Dagster has threads that ask at once; they are closed when they are returned."""
_OLDEST_SECONDS = 600

_PARTITION_KNOWN_SECONDS = 1.0
"""For how long a partition that was there is taken to be there still; a step asks ten times."""

_PATIENCE_SECONDS = 30.0
"""For how long a server that is being restarted is waited for, so that runs outlive it."""
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 2.0


class PooledPostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in PostgreSQL, over a few connections of this process.

    Example, in `dagster.yaml`:
        storage:
          custom:
            module: videomoments_dagster.core.pooled_storage
            class: PooledPostgresStorage
            config:
              postgres_url:
                env: VIDEOMOMENTS_DAGSTER_DATABASE_URL
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Make the three storages, and let them share a pool."""
        super().__init__(*arguments, **named)
        storages: tuple[Any, ...] = (
            self._run_storage,
            self._event_log_storage,
            self._schedule_storage,
        )
        pooled = create_pg_engine(
            self.postgres_url,
            named.get("token_provider"),
            isolation_level="AUTOCOMMIT",
            pool_size=_KEPT_CONNECTIONS,
            max_overflow=_MORE_AT_ONCE,
            pool_recycle=_OLDEST_SECONDS,
            # A server that was restarted has closed them all; nobody should have to notice.
            pool_pre_ping=True,
        )
        event.listen(pooled, "do_connect", _connected_in_time)
        for storage in storages:
            storage._engine.dispose()  # noqa: SLF001 - there is no other way in
            storage._engine = pooled  # noqa: SLF001
        _remember(self._run_storage, self._event_log_storage)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> PooledPostgresStorage:
        """Make it from what `dagster.yaml` says, as Dagster asks for it."""
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
        )


def _remember(runs: Any, events: Any) -> None:
    """Let storages keep what they were told of their schema, and for a moment of partitions."""
    for storage, name in (
        (runs, "has_run_stats_index_cols"),
        (runs, "has_backfill_id_column"),
        (events, "has_table"),
        (events, "has_asset_key_col"),
    ):
        setattr(storage, name, _Remembered(getattr(storage, name)))
    columns = events.has_asset_key_index_cols
    # While an event is stored, the connection it is stored over is handed on.
    events._has_asset_key_index_cols_on_connection = lambda _: columns()  # noqa: SLF001
    has = _Remembered(events.has_dynamic_partition, seconds=_PARTITION_KNOWN_SECONDS)
    delete = events.delete_dynamic_partition

    def delete_and_forget(*arguments: Any, **named: Any) -> None:
        try:
            delete(*arguments, **named)
        finally:
            has.forget()

    events.has_dynamic_partition = has
    events.delete_dynamic_partition = delete_and_forget


class _Remembered:
    """A question whose yes stays a yes, for ever or for some seconds; a no is asked again."""

    def __init__(self, ask: Callable[..., bool], *, seconds: float = float("inf")) -> None:
        self._ask = ask
        self._seconds = seconds
        self._known: dict[tuple[Any, ...], float] = {}

    def __call__(self, *arguments: Any, **named: Any) -> bool:
        what = (*arguments, *sorted(named.items()))
        asked = time.monotonic()
        if asked < self._known.get(what, 0.0):
            return True
        yes = self._ask(*arguments, **named)
        if yes:
            if self._seconds != float("inf"):
                # A process that lives for months sees many partitions.
                self._known.clear()
            self._known[what] = asked + self._seconds
        return yes

    def forget(self) -> None:
        """Ask again."""
        self._known.clear()


def _connected_in_time(
    dialect: Any, _record: object, arguments: list[Any], named: dict[str, Any]
) -> Any:
    """Connect, trying again for a while where no server answers.

    A run writes an event at every turn. One that could not be written would end the run, and its
    steps' own patience would be of no use.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    wait = _FIRST_WAIT_SECONDS
    while True:
        try:
            return dialect.connect(*arguments, **named)
        except psycopg2.OperationalError as error:
            if time.monotonic() + wait > deadline or not _may_pass(str(error)):
                raise
        time.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)


_PASSING = (
    "No such file or directory",
    "Connection refused",
    "the database system is",
    "server closed the connection",
    "terminating connection",
    "timeout expired",
)


def _may_pass(said: str) -> bool:
    """Whether libpq's words are those of a server that is away, and not of one that refuses."""
    return any(words in said for words in _PASSING)
