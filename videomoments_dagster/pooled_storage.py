"""Dagster's PostgreSQL storage over a few connections; `dagster.yaml` files name this module.

It overrides what Dagster does not document. It is not in `core.dagster_internals` since that is
imported with the definitions, and `dagster_postgres` brings Dagster's daemon with it.
"""

import time
from collections.abc import Callable
from typing import Any

from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy import Connection, Engine, event

from videomoments_dagster.core.patient_connection import connected_in_time

_PARTITION_KNOWN_SECONDS = 1.0
"""For how long a partition that was there is taken to be there still; a step asks ten times."""


class _KnownFacts:
    """Questions that were answered yes, which is true for some time; a no is asked again."""

    def __init__(self, seconds: float = float("inf")) -> None:
        self._seconds = seconds
        self._known: dict[tuple[str, ...], float] = {}

    def holds(self, ask: Callable[..., bool], *arguments: str) -> bool:
        """Whether it is so; the method is called only where that is not known."""
        question, now = (ask.__name__, *arguments), time.monotonic()
        if now < self._known.get(question, 0.0):
            return True
        # A process that lives for months sees many partitions.
        self._known = {one: until for one, until in list(self._known.items()) if now < until}
        holds = ask(*arguments)
        if holds:
            self._known[question] = now + self._seconds
        return holds

    def forget(self) -> None:
        """Ask again."""
        self._known.clear()


class PostgresPooledRunStorage(PostgresRunStorage):
    """Runs, over a pool that is shared."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine
        self._schema = _KnownFacts()

    def has_run_stats_index_cols(self) -> bool:
        """Asked at each change of a run."""
        return self._schema.holds(super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        """Asked at each look for runs."""
        return self._schema.holds(super().has_backfill_id_column)


class PostgresPooledEventLogStorage(PostgresEventLogStorage):
    """Events and dynamic partitions, over a pool that is shared."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine
        self._schema = _KnownFacts()
        self._partitions = _KnownFacts(_PARTITION_KNOWN_SECONDS)

    def has_table(self, table_name: str) -> bool:
        """Asked before most queries."""
        return self._schema.holds(super().has_table, table_name)

    def has_asset_key_col(self, column_name: str) -> bool:
        """Asked at each event of an asset."""
        return self._schema.holds(super().has_asset_key_col, column_name)

    def _has_asset_key_index_cols_on_connection(self, conn: Connection) -> bool:  # noqa: ARG002 - Dagster's
        return self.has_asset_key_index_cols()

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Asked ten times in a step."""
        return self._partitions.holds(
            super().has_dynamic_partition, partitions_def_name, partition_key
        )

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Known no longer."""
        try:
            super().delete_dynamic_partition(partitions_def_name, partition_key)
        finally:
            self._partitions.forget()


class PostgresPooledScheduleStorage(PostgresScheduleStorage):
    """Schedules and sensors, over a pool that is shared."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine


class PooledPostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in PostgreSQL, over a few connections of this process.

    `dagster_postgres` opens a connection for each query, 450 of them in a run of seven assets: on
    one machine nearly half of a short run's time, and more where the server is far away or speaks
    TLS. Two in five of its queries ask whether a table, a column or the run's own partition is
    there, which they were asked before.

    Example, in `dagster.yaml`:
        storage:
          custom:
            module: videomoments_dagster.pooled_storage
            class: PooledPostgresStorage
            config:
              postgres_url:
                env: VIDEOMOMENTS_DAGSTER_DATABASE_URL
    """

    def __init__(
        self, postgres_url: str, *, inst_data: Any = None, should_autocreate_tables: bool = True
    ) -> None:
        """Make the tables where they are missing, and the three storages over one pool."""
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        engine = create_pg_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=2,
            # As many as Dagster has threads that ask at once; closed when they are returned.
            max_overflow=40,
            pool_recycle=600,
            # A server that was restarted has closed them all; nobody should have to notice.
            pool_pre_ping=True,
        )
        # A run writes an event at every turn. One that could not be written would end the run, and
        # its steps' own patience would be of no use.
        event.listen(engine, "do_connect", connected_in_time)
        self._run_storage = PostgresPooledRunStorage(postgres_url, engine)
        self._event_log_storage = PostgresPooledEventLogStorage(postgres_url, engine)
        self._schedule_storage = PostgresPooledScheduleStorage(postgres_url, engine)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "PooledPostgresStorage":
        """Make it from what `dagster.yaml` says, as Dagster asks for it."""
        return cls(
            pg_url_from_config(config_value),
            inst_data=inst_data,
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
        )
