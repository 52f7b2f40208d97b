"""A real PostgreSQL for tests: one server per test run, a fresh migrated database per test.

Belongs here: fixtures that give databases. The server is the embedded one, shared by the parallel
workers; TEST_DATABASE_URL names another one, whose user may create databases. Databases are
copied from a template that was migrated once, which takes a fraction of migrating each.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from alembic.runtime.migration import MigrationContext
from embedded_homes import (  # noqa: F401  fixtures
    _embedded_home_of_worker,
    closed_folder,
    embedded_home,
    new_embedded_home,
)

from db import schema_state
from db.embedded import EmbeddedPostgres
from db.session import Database
from db.urls import normalised, rendered

_TEMPLATE_LOCK = 5_302_235


@contextmanager
def on_server(server_url: str) -> Iterator[Any]:
    """Give a cursor in autocommit on the server's maintenance database."""
    url = normalised(server_url).set(drivername="postgresql", database="postgres")
    connection = psycopg2.connect(rendered(url), connect_timeout=10)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@contextmanager
def fresh_database(server_url: str, *, template: str = "template0") -> Iterator[str]:
    """Give the URL of a new database, which is gone after the block."""
    name = f"test_{uuid.uuid4().hex}"
    with on_server(server_url) as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield rendered(normalised(server_url).set(database=name))
    finally:
        with on_server(server_url) as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of the test run's server."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield rendered(normalised(given))
        return
    # The workers of one run share the name; without workers there is none.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    # Not pytest's own folder: as root that one is closed to the user whom PostgreSQL runs as.
    home = Path(tempfile.gettempdir()) / f"videomoments-tests-{run[:16]}"
    server = EmbeddedPostgres(home, durable=False)
    url = server.acquire(database="postgres")
    yield url
    if server.release():
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """Name of a database at the head revision that nobody is connected to."""
    scripts = sorted(schema_state.MIGRATIONS.rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in scripts)).hexdigest()[:16]
    name = f"videomoments_template_{digest}"
    with on_server(postgres_server) as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_TEMPLATE_LOCK])
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone() is None:
            making = f"{name}_making"
            cursor.execute(f'DROP DATABASE IF EXISTS "{making}" WITH (FORCE)')
            cursor.execute(f'CREATE DATABASE "{making}" TEMPLATE template0')
            schema_state.upgrade(rendered(normalised(postgres_server).set(database=making)))
            cursor.execute(f'ALTER DATABASE "{making}" RENAME TO "{name}"')
    return name


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """URL of a fresh database without any table."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """URL of a fresh database at the head revision."""
    with fresh_database(postgres_server, template=migrated_template) as url:
        yield url


@pytest.fixture
def migrated_database(database_url: str) -> Iterator[Database]:
    """A fresh database at the head revision."""
    database = Database(database_url, pool_size=2)
    yield database
    database.dispose()


def revision_of(url: str) -> str | None:
    """The revision that a database is at; None where it has never been migrated."""
    database = Database(url, pool_size=1)
    with database.engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    database.dispose()
    return revision


@contextmanager
def rows_of(url: str) -> Iterator[Callable[..., list[Any]]]:
    connection = psycopg2.connect(rendered(normalised(url).set(drivername="postgresql")))
    connection.autocommit = True

    def rows(query: str, *parameters: object) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return list(cursor.fetchall())

    try:
        yield rows
    finally:
        connection.close()
