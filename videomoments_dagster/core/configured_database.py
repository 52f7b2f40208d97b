"""Which database this installation uses: the configured one, or the embedded one.

No Dagster, whose import would cost the reading commands two seconds.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from db.embedded import EmbeddedPostgres
from db.session import Database
from videomoments_dagster.core.settings import Settings, load_settings


@cache
def embedded_server(home: str) -> EmbeddedPostgres:
    """The embedded server under `home`, held by this process until it ends."""
    return EmbeddedPostgres(Path(home))


def database_url(settings: Settings) -> str:
    """The URL of our database, starting the embedded server where none is configured.

    Raises:
        DatabaseProblem: If the URL is no PostgreSQL URL, or the embedded server
            cannot be started.
    """
    configured = settings.explicit_sync_url
    if configured is not None:
        return configured
    return embedded_server(str(settings.home_folder)).acquire()


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


def ready_database(settings: Settings) -> Database:
    """Our database, with its server up and its schema current; looked at once in a process.

    The embedded one is brought up to date by the way. A server that somebody named never is.

    Raises:
        db.errors.SchemaOutdated: The tables of a server that somebody named are not those that this
            code needs.
        db.errors.DatabaseProblem: The server cannot be started or reached, or refused.
    """
    return _ready(database_url(settings), is_embedded=settings.explicit_sync_url is None)


@cache
def _ready(url: str, *, is_embedded: bool) -> Database:
    # Alembic takes 0.1 s, which loading the definitions need not wait for.
    from db.schema_state import check_schema, upgrade  # noqa: PLC0415

    if is_embedded:
        upgrade(url)
    database = open_database(url)
    check_schema(database)
    return database
