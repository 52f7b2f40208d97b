"""Making a database on a server that has none of that name.

Belongs here: CREATE DATABASE. Does not belong here: its tables (`db.schema_state`).
"""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2 import errors as pg
from psycopg2 import sql
from sqlalchemy import URL, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from db.errors import DatabaseProblem, DatabaseRefused, DatabaseUnreachable
from db.session import translated_errors
from db.urls import described, normalised

_MAINTENANCE_DATABASES = ("postgres", "template1")


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
    refusal = _refusal(target)
    if refusal is None:
        return False
    if isinstance(refusal, DatabaseUnreachable):
        raise refusal
    # The server answered. Its words for "there is no such database" depend on its language, so
    # the list of databases is asked instead.
    for name in _MAINTENANCE_DATABASES:
        engine = create_engine(
            target.set(database=name), poolclass=NullPool, connect_args={"connect_timeout": 10}
        )
        try:
            connection = engine.raw_connection()
        except (SQLAlchemyError, psycopg2.Error):
            continue
        try:
            connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]
            made = create_if_missing(connection, str(target.database))
        except pg.InsufficientPrivilege:
            raise DatabaseRefused(
                f"There is no database {described(target)}, and user '{target.username}' may not"
                " create it",
                remedy=f"Have an administrator run: CREATE DATABASE {target.database}"
                f" OWNER {target.username}",
            ) from None
        finally:
            connection.close()
        if made:
            return True
        # It is there after all: somebody else made it meanwhile, or it refuses for another reason.
        refusal = _refusal(target)
        break
    if refusal is None:
        return False
    raise refusal


def create_if_missing(connection: Any, name: str) -> bool:
    """Make a database over a psycopg2 connection in autocommit; give whether it was made now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone():
            return False
        try:
            # template1 cannot be copied while anybody is connected to it, and may hold strangers'
            # tables; template0 neither.
            cursor.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(
                    sql.Identifier(name)
                )
            )
        except (pg.DuplicateDatabase, pg.UniqueViolation):
            return False
    return True


def _refusal(target: URL) -> DatabaseProblem | None:
    engine = create_engine(target, poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with translated_errors(target):
            engine.connect().close()
    except DatabaseProblem as problem:
        return problem
    except DBAPIError as error:
        return DatabaseRefused(str(error.orig))
    return None
