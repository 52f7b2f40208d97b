"""Making a database on a server that has none of that name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2 import errors as pg
from psycopg2 import sql
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from db.errors import DatabaseProblem, DatabaseRefused
from db.session import translated_errors
from db.urls import described, normalised


def ensure_database_exists(url: str | URL) -> bool:
    """Make the database that a URL names if its server does not have it.

    Several callers at once are fine: one of them makes it, all of them find it.

    Args:
        url: A PostgreSQL URL of any spelling.

    Returns:
        Whether it was made now.

    Raises:
        DatabaseRefused: The user may not create databases, or not connect.
        DatabaseUnreachable: No server answered.
        UrlRejected: The URL is malformed or not PostgreSQL's.
    """
    target = normalised(url)
    try:
        with connected(target):
            return False
    except DatabaseRefused as error:
        refusal = error
    # It does not say in a way that programs read whether there is no such database.
    for name in ("postgres", "template1"):
        try:
            with connected(target.set(database=name)) as connection:
                if create_if_missing(connection, str(target.database)):
                    return True
        except pg.InsufficientPrivilege:
            raise DatabaseRefused(
                f"There is no database {described(target)}, and user '{target.username}' may not"
                " create it",
                remedy=f"Have an administrator run: CREATE DATABASE {target.database}"
                f" OWNER {target.username}",
            ) from None
        except DatabaseProblem:
            continue
        # It is there after all: somebody else made it meanwhile, or it refuses for another reason.
        with connected(target):
            return False
    raise refusal


def create_if_missing(connection: Any, name: str) -> bool:
    """Make a database over a psycopg2 connection in autocommit; give whether it was made now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone():
            return False
        # template1 cannot be copied while anybody is connected to it, and may hold strangers'
        # tables; template0 neither.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            cursor.execute(statement.format(sql.Identifier(name)))
        except (pg.DuplicateDatabase, pg.UniqueViolation):
            return False
    return True


@contextmanager
def connected(url: URL) -> Iterator[Any]:
    """A psycopg2 connection in autocommit.

    Raises:
        DatabaseRefused: There is no such database, or the user may not connect.
        DatabaseUnreachable: No server answered.
    """
    # What the URL itself says wins.
    options = {} if "connect_timeout" in url.query else {"connect_timeout": 10}
    engine = create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=options
    )
    with translated_errors(url), engine.connect() as connection:
        yield connection.connection.dbapi_connection
