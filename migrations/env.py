"""How every migration is run, by plain `alembic` and by `db.schema_state` alike.

Belongs here: which database, one upgrader at a time, and time limits. Does not belong here: any
change of the schema (`migrations/versions`).
"""

# ruff: noqa: INP001  Alembic runs this file by its path

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Literal

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, text

import db.models  # noqa: F401  fills Base.metadata
from db.base import Base
from db.embedded import EmbeddedPostgres
from db.errors import DatabaseProblem, MigrationFailed
from db.poolers import check_sessions_are_whole
from db.session import new_engine, translated_errors
from db.settings import DatabaseSettings, home_folder
from db.urls import described

# Any number that nothing else in the database uses for its advisory locks.
UPGRADER_LOCK = 7_286_417_305_118_602_371
WAIT_FOR_UPGRADER_SECONDS = 120.0

# A migration that cannot get its lock soon must not queue: everybody else queues behind it.
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"

ObjectKind = Literal[
    "schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint"
]


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out schemas that are not the project's, such as an extension's."""
    return kind != "schema" or name in {None, *(one.schema for one in Base.metadata.sorted_tables)}


def wait_for_lock(connection: Connection) -> None:
    """Become the only upgrader of this database.

    Tried again and again instead of waited for in one statement: a waiting statement holds a
    snapshot, CREATE INDEX CONCURRENTLY in the other upgrader waits for old snapshots, and the
    two would be in a deadlock.
    """
    deadline = time.monotonic() + WAIT_FOR_UPGRADER_SECONDS
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": UPGRADER_LOCK}):
        connection.commit()
        if time.monotonic() > deadline:
            raise MigrationFailed(
                f"Somebody else has been migrating {described(connection.engine.url)} for"
                f" {WAIT_FOR_UPGRADER_SECONDS:.0f} seconds",
                remedy="Wait for it to end, or end it, and try again",
            )
        time.sleep(0.1)
    connection.commit()


def migrate(connection: Connection) -> None:
    """Run what was asked for, as the only upgrader, each migration in its own transaction."""
    wait_for_lock(connection)
    try:
        connection.execute(
            text("SELECT set_config('lock_timeout', :lock, false)"), {"lock": LOCK_TIMEOUT}
        )
        connection.execute(
            text("SELECT set_config('statement_timeout', :statement, false)"),
            {"statement": STATEMENT_TIMEOUT},
        )
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_schemas=True,
            include_name=ours,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        if not context.get_context().get_current_heads():
            # At base the table holds nothing, and an empty database has no tables.
            connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": UPGRADER_LOCK})
        connection.commit()


@contextmanager
def database_url() -> Iterator[str]:
    """Give the URL that the caller passed in, else the settings', else the embedded server's."""
    passed = context.config.attributes.get("url") or DatabaseSettings().explicit_sync_url
    if passed is not None:
        yield str(passed)
        return
    with EmbeddedPostgres(home_folder()).running(database="videomoments") as url:
        yield url


def main() -> None:
    """Connect and migrate."""
    config = context.config
    if context.is_offline_mode():
        # The trigger's function and the version check need a server to look at.
        raise MigrationFailed("Migrations run on a database only, not to a script")
    if config.config_file_name is not None:
        fileConfig(config.config_file_name, disable_existing_loggers=False)
    connection = config.attributes.get("connection")
    if connection is not None:
        migrate(connection)
        return
    with database_url() as url:
        engine = new_engine(url, pool_size=1, application_name="videomoments-migrations")
        try:
            check_sessions_are_whole(engine.url)
            with translated_errors(engine.url), engine.connect() as opened:
                migrate(opened)
        finally:
            engine.dispose()


try:
    main()
except DatabaseProblem as problem:
    if context.config.config_file_name is None:
        raise
    # The `alembic` command shows its own errors as one line and all others as a traceback.
    raise CommandError(str(problem)) from problem
