"""The database as a Dagster resource.

Belongs here: which database this process uses, and sessions on it. Does not belong here: SQL.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import PrivateAttr
from sqlalchemy.orm import Session

from db.embedded import EmbeddedPostgres
from db.session import Database
from videomoments_dagster.settings import Settings, load_settings

EMBEDDED_DATABASE = "videomoments"


@cache
def embedded_server(home: str) -> EmbeddedPostgres:
    """The embedded server under `home`, held by this process until it ends."""
    return EmbeddedPostgres(Path(home))


def database_url(settings: Settings) -> str:
    """The URL of our database, starting the embedded server where none is configured.

    Raises:
        db.errors.DatabaseProblem: If the URL is no PostgreSQL URL, or the embedded server
            cannot be started.
    """
    configured = settings.explicit_sync_url
    if configured is not None:
        return configured
    return embedded_server(str(settings.home_folder)).acquire(database=EMBEDDED_DATABASE)


@cache
def open_database(url: str) -> Database:
    """One `Database`, and so one connection pool, per URL and process."""
    settings = load_settings()
    return Database(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        pool_timeout=settings.database_pool_timeout,
        echo=settings.database_echo,
    )


class DatabaseResource(dg.ConfigurableResource[Any]):
    """PostgreSQL: `DATABASE_URL`, or the embedded server where that is unset."""

    url: str = ""
    """Another URL than the environment's; for tests. It would be shown in the UI."""

    _database: Database | None = PrivateAttr(default=None)

    @property
    def database(self) -> Database:
        """The pool for this process; opened at first use."""
        if self._database is None:
            self._database = open_database(self.url or database_url(load_settings()))
        return self._database

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One short transaction: committed at the end, rolled back on an exception."""
        with self.database.transaction() as session:
            yield session

    def read(self) -> AbstractContextManager[Session]:
        """A session for reading."""
        return self.database.read()
