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
