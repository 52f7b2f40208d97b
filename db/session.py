"""Connections and sessions: one `Database` per URL and process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from db.errors import DatabaseBusy, DatabaseProblem, DatabaseRefused, DatabaseUnreachable
from db.urls import described, normalised

_CONNECTION_OPTIONS = {
    "connect_timeout": 10,
    # A peer that vanished without closing is noticed after about a minute, also in mid-statement.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

_SESSION_SETTINGS = {
    # TIMESTAMP columns have no zone and hold UTC; DEFAULT now() must agree.
    "timezone": "UTC",
    # A schema named like the user would otherwise come before `public`.
    "search_path": "public",
    "lock_timeout": "30s",
    "statement_timeout": "300s",
    "idle_in_transaction_session_timeout": "300s",
}


# SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_BUSY = ("40", "55P03", "57014")
_REFUSED = ("28", "3D000", "42501")
_UNREACHABLE = ("08", "53300", "57P")

# Where no session could be begun, libpq gives no SQLSTATE, and the server's words, which follow its
# severity and two spaces, are in the language of its `lc_messages`. In every language a refusal
# quotes the user or the database: a wrong password, no such database, no right to connect, no entry
# in pg_hba.conf. All else may pass: "starting up" and "too many clients" quote nothing, or a
# predefined role, and "Too many open files" a path. What is said of one role or database and passes
# as well, its limits and its being closed for now, is known by its English words, and counts as a
# refusal elsewhere. Poolers (PgBouncer, Neon) refuse in English and may quote nothing, or with
# single quotes. The last alternative is libpq's own text.
_REFUSED_SESSION = re.compile(
    r":  (?!too many connections|.*not currently accepting connections)"
    r'.*["«»„“”] ?(?!pg_use_reserved_connections)[^"«»„“”/]+["«»„“”]'
    r"|:  .*(authentication failed|no such (user|database))"
    r"|no password supplied"
)


@contextmanager
def translated_errors(url: URL) -> Iterator[None]:
    """Raise the problem that a driver's error means, where it means one.

    A mistake in a statement or its data is let through as it is.

    Args:
        url: The database that is talked to, for the message.

    Raises:
        DatabaseProblem: The server was lost, refused, or gave up waiting.
    """
    try:
        yield
    except SQLAlchemyError as error:
        problem = _problem(error, url)
        if problem is None:
            raise
        raise problem from error


def _problem(error: SQLAlchemyError, url: URL) -> DatabaseProblem | None:
    where = described(url)
    if isinstance(error, PoolTimeout):
        return DatabaseBusy(
            f"Every connection to the database {where} is in use",
            remedy="Raise DATABASE_POOL_SIZE or run less at once",
        )
    if not isinstance(error, DBAPIError):
        return None
    state = str(getattr(error.orig, "pgcode", None) or "")
    lines = _lines(error, url)
    said = lines[0]
    unknown = not state and isinstance(error, (OperationalError, InterfaceError))
    refusal = next(filter(_REFUSED_SESSION.search, lines), None) if unknown else None
    if refusal or state.startswith(_REFUSED):
        return DatabaseRefused(
            f"The database {where} refused: {refusal or said}",
            remedy="Check the user, its rights, its password and the database name in DATABASE_URL",
        )
    if state.startswith(_BUSY):
        return DatabaseBusy(f"The database {where} gave up waiting: {said}")
    if unknown or state.startswith(_UNREACHABLE) or error.connection_invalidated:
        return DatabaseUnreachable(
            f"The database {where} cannot be reached: {said}",
            remedy="Check that the server runs and that DATABASE_URL names it",
        )
    return None


def _lines(error: DBAPIError, url: URL) -> list[str]:
    text = str(error.orig)
    for secret in filter(None, (url.password, url.query.get("password"))):
        text = text.replace(str(secret), "***")
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    return lines or [type(error.orig).__name__]


class PoolOptions(TypedDict, total=False):
    """Options of a connection pool; SQLAlchemy's defaults are the documented ones.

    Attributes:
        pool_size: Connections that are kept open; 5.
        max_overflow: Further connections under load, -1 for no limit; 10.
        pool_timeout: Seconds to wait for a free connection; 30.
        echo: Whether every statement is logged; False.
    """

    pool_size: int
    max_overflow: int
    pool_timeout: int
    echo: bool


def new_engine(
    url: str | URL, *, application_name: str = "videomoments", **pool: Unpack[PoolOptions]
) -> Engine:
    """Make an engine whose every connection speaks UTC, knows `public` only, and gives up in time.

    Args:
        url: A PostgreSQL URL of any spelling.
        application_name: What the server's list of connections shows.
        pool: Options of the pool.

    Raises:
        UrlRejected: The URL is malformed or not PostgreSQL's.
    """
    target = normalised(url)
    options = {"application_name": application_name, **_CONNECTION_OPTIONS}
    engine = create_engine(
        target,
        pool_pre_ping=True,
        # They hold the locations of sources, with credentials, and end up in messages and logs.
        hide_parameters=True,
        # What the URL itself says wins.
        connect_args={name: options[name] for name in options.keys() - target.query.keys()},
        **pool,
    )
    # First, because the dialect reads the default schema's name from the first connection.
    event.listen(engine, "connect", _set_up_session, insert=True)
    return engine


def _set_up_session(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT " + ", ".join(["set_config(%s, %s, false)"] * len(_SESSION_SETTINGS)),
            [part for setting in _SESSION_SETTINGS.items() for part in setting],
        )
    connection.commit()


class Database:
    """A database that this process uses, with its connection pool. Safe to share by threads."""

    def __init__(self, url: str | URL, **pool: Unpack[PoolOptions]) -> None:
        """Prepare the pool; nothing is connected to yet.

        Args:
            url: A PostgreSQL URL of any spelling.
            pool: Options of the pool.

        Raises:
            UrlRejected: The URL is malformed or not PostgreSQL's.
        """
        self.engine = new_engine(url, **pool)
        self._writing = sessionmaker(self.engine, expire_on_commit=False)
        # One snapshot for all queries of a read, and no way to write by accident.
        self._reading = sessionmaker(
            self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            ),
            expire_on_commit=False,
            autoflush=False,
        )

    @property
    def url(self) -> URL:
        """The normalised URL; its `str()` hides the password."""
        return self.engine.url

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session in one short transaction.

        It is committed when the block ends and rolled back when the block raises. Rows stay
        readable afterwards.

        Raises:
            DatabaseProblem: The server was lost, refused, or gave up waiting.
        """
        with translated_errors(self.url), self._writing.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment of the database and cannot write.

        Raises:
            DatabaseProblem: The server was lost, refused, or gave up waiting.
        """
        with translated_errors(self.url), self._reading.begin() as session:
            yield session

    def dispose(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()
