"""Dagster's PostgreSQL storage with connections that are kept.

Belongs here: the one thing that `dagster_postgres` does otherwise. Does not belong here: what is
stored, or where it is configured (`dagster.yaml`).

`dagster_postgres` opens a connection for each query, 450 of them in a run of seven assets: on one
machine nearly half of a short run's time, and more where the server is far away or speaks TLS.
"""

from __future__ import annotations

from typing import Any

from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config

_KEPT_CONNECTIONS = 2
_MORE_AT_ONCE = 40
"""As many as Dagster has threads that ask at once; they are closed when they are returned."""
_OLDEST_SECONDS = 600


class PooledPostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in PostgreSQL, over a few connections of this process.

    Example, in `dagster.yaml`:
        storage:
          custom:
            module: videomoments_dagster.pooled_storage
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
        for storage in storages:
            storage._engine.dispose()  # noqa: SLF001 - there is no other way in
            storage._engine = pooled  # noqa: SLF001

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> PooledPostgresStorage:
        """Make it from what `dagster.yaml` says, as Dagster asks for it."""
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
        )
