"""What can go wrong with the database, as exceptions that know their sentence and their remedy.

Belongs here: the typed problems and the translation of driver errors into them. Does not belong
here: anything that talks to a database. No message ever carries a password.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class DatabaseProblem(Exception):
    """Something about the database that a user can understand and mostly mend.

    Attributes:
        reason: One sentence without a full stop.
        remedy: What the user does about it, without a full stop; may be empty.
        retryable: Whether the same call may succeed later without anybody doing anything.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason, remedy)
        self.reason = reason.rstrip(".")
        self.remedy = remedy.rstrip(".")

    def __str__(self) -> str:
        return f"{self.reason}." + (f" {self.remedy}." if self.remedy else "")


class DatabaseUnreachable(DatabaseProblem):
    """No server answered, or the connection was lost."""

    retryable = True


class DatabaseBusy(DatabaseProblem):
    """The server answered and gave up: a deadlock, a lock or statement time limit, a full pool."""

    retryable = True


class DatabaseRefused(DatabaseProblem):
    """The server answered and said no: a wrong password, a missing database, a missing right."""


class SchemaOutdated(DatabaseProblem):
    """The tables are not the ones that this code needs."""


class MigrationFailed(DatabaseProblem):
    """A migration could not run; the database is as the last finished migration left it."""


class EmbeddedServerFailed(DatabaseProblem):
    """The embedded PostgreSQL server could not be made, started or joined."""


class UrlRejected(DatabaseProblem):
    """A database URL is malformed or names something other than PostgreSQL."""


def described(url: URL) -> str:
    """Name a database for people, such as ``videomoments at db.example:5432``, without secrets."""
    host = url.host or str(url.query.get("host", "the default local socket"))
    port = f":{url.port}" if url.port else ""
    return f"{url.database} at {host}{port}"


# SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_BUSY = ("40", "55P03", "57014")
_REFUSED = ("28", "3D000", "42501")
_UNREACHABLE = ("08", "53300", "57P")

# Before a session exists, libpq reports a refusal in words only, without a SQLSTATE.
_REFUSALS_IN_WORDS = (
    "authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "does not exist",
    "permission denied for database",
)


def translated(error: SQLAlchemyError, url: URL) -> DatabaseProblem | None:
    """Turn a driver's error into the problem that it means.

    Args:
        error: What SQLAlchemy raised.
        url: The database it was talking to, for the message.

    Returns:
        The problem, or None where the error is a mistake in a statement or its data, which the
        caller must see as it is.
    """
    where = described(url)
    if isinstance(error, PoolTimeout):
        return DatabaseBusy(
            f"Every connection to the database {where} is in use",
            remedy="Raise DATABASE_POOL_SIZE or run less at once",
        )
    if not isinstance(error, DBAPIError):
        return None
    said = _first_line(error, url)
    state = str(getattr(error.orig, "pgcode", None) or "")
    refused_in_words = not state and any(words in said for words in _REFUSALS_IN_WORDS)
    problem: DatabaseProblem | None = None
    if state.startswith(_REFUSED) or refused_in_words:
        problem = DatabaseRefused(
            f"The database {where} refused: {said}",
            remedy="Check the user, its rights, its password and the database name in DATABASE_URL",
        )
    elif state.startswith(_BUSY):
        problem = DatabaseBusy(f"The database {where} gave up waiting: {said}")
    elif state.startswith(_UNREACHABLE) or error.connection_invalidated or _lost(error, state):
        problem = DatabaseUnreachable(
            f"The database {where} cannot be reached: {said}",
            remedy="Check that the server runs and that DATABASE_URL names it",
        )
    return problem


def _lost(error: DBAPIError, state: str) -> bool:
    names = {cls.__name__ for cls in type(error.orig).__mro__}
    return not state and bool(names & {"OperationalError", "InterfaceError"})


def _first_line(error: DBAPIError, url: URL) -> str:
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    said = lines[0] if lines else type(error.orig).__name__
    for secret in (url.password, url.query.get("password")):
        if secret:
            said = said.replace(str(secret), "***")
    return said.rstrip(".")
