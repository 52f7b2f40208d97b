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
_READ_ONLY = "25006"

_TOO_MANY = re.compile(r"too many (connections|clients)|connection slots|no more connections")
# libpq's own words, in English: what it could not read, before or after it found a server.
_WRONG_OPTION = re.compile(
    r"(^|failed: )(invalid \w+ value|invalid port number|weak sslmode|definition of service"
    r"|service file|(root )?certificate (file|present)|private key file|could not read .*file)"
)

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

_CHECK_URL = "Check the user, its rights, its password and the database name in DATABASE_URL"
NAME_A_PRIMARY = (
    "Name a server that takes writes in DATABASE_URL; of several hosts,"
    " target_session_attrs=read-write chooses it"
)
_ALLOW_MORE_CONNECTIONS = (
    "Allow more there (max_connections, the limit of the role or database), or use fewer here"
    " (DATABASE_POOL_SIZE, DATABASE_MAX_OVERFLOW, runs at once)"
)


@contextmanager
def translated_errors(url: URL, *, writes: bool = True) -> Iterator[None]:
    """Raise the problem that a driver's error means, where it means one.

    A mistake in a statement or its data is let through as it is.

    Args:
        url: The database that is talked to, for the message.
        writes: Whether writing is what is meant; else an attempt is such a mistake.

    Raises:
        DatabaseProblem: The server was lost, refused, or gave up waiting.
    """
    try:
        yield
    except SQLAlchemyError as error:
        problem = _problem(error, url, writes=writes)
        if problem is None:
            raise
        raise problem from error


def _problem(error: SQLAlchemyError, url: URL, *, writes: bool) -> DatabaseProblem | None:
    where = f"The database {described(url)}"
    if isinstance(error, PoolTimeout):
        return DatabaseBusy(
            f"Every connection to the database {described(url)} is in use",
            remedy="Raise DATABASE_POOL_SIZE or run less at once",
        )
    if not isinstance(error, DBAPIError):
        return None
    state = str(getattr(error.orig, "pgcode", None) or "")
    lines = _lines(error.orig, url)
    unknown = not state and isinstance(error, (OperationalError, InterfaceError))
    said_no = _in_session(where, state, lines[0], writes=writes)
    if said_no is None and (
        unknown or state.startswith(_UNREACHABLE) or error.connection_invalidated
    ):
        return _without_session(where, lines)
    return said_no


def _in_session(where: str, state: str, said: str, *, writes: bool) -> DatabaseProblem | None:
    if state.startswith(_REFUSED):
        return DatabaseRefused(f"{where} refused: {said}", remedy=_CHECK_URL)
    if state == _READ_ONLY and writes:
        return DatabaseRefused(f"{where} takes no writes: {said}", remedy=NAME_A_PRIMARY)
    if state.startswith(_BUSY):
        return DatabaseBusy(f"{where} gave up waiting: {said}")
    return None


def _without_session(where: str, lines: list[str]) -> DatabaseProblem:
    """The problem that kept a session from beginning, or ended one, from its words alone."""

    def line_with(pattern: re.Pattern[str]) -> str | None:
        return next(filter(pattern.search, lines), None)

    if refusal := line_with(_REFUSED_SESSION):
        return DatabaseRefused(f"{where} refused: {refusal}", remedy=_CHECK_URL)
    if wrong := line_with(_WRONG_OPTION):
        return DatabaseRefused(
            f"{where} cannot be connected to: {wrong}",
            remedy="Correct that option in DATABASE_URL",
        )
    if full := line_with(_TOO_MANY):
        return DatabaseUnreachable(
            f"{where} has no connection left: {full}", remedy=_ALLOW_MORE_CONNECTIONS
        )
    return DatabaseUnreachable(
        f"{where} cannot be reached: {lines[0]}",
        remedy="Check that the server runs and that DATABASE_URL names it",
    )


def connection_problem(error: BaseException, url: URL) -> DatabaseProblem:
    """The problem that a driver's error means where no session could be begun."""
    return _without_session(f"The database {described(url)}", _lines(error, url))


def _lines(error: BaseException | None, url: URL) -> list[str]:
    text = str(error)
    for secret in filter(None, (url.password, url.query.get("password"))):
        text = text.replace(str(secret), "***")
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    return lines or [type(error).__name__]


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
        with translated_errors(self.url, writes=False), self._reading.begin() as session:
            yield session

    def dispose(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()
