"""Finding out whether a connection is a session, which a pooler in transaction mode makes it not.

Claims of runs are locks of sessions. Through such a pooler, PgBouncer's `pool_mode = transaction`,
each transaction has whatever server process is free: the lock stays with that one, and two runs of
a video both get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import URL, Connection, func, select

from db.errors import DatabaseRefused
from db.session import new_engine, translated_errors
from db.urls import described

_TURNS = 4


@cache
def check_sessions_are_whole(url: URL) -> None:
    """Make sure that what a session holds in one transaction it still holds in the next.

    Once it has gone well, it is not looked at again in this process.

    Raises:
        DatabaseRefused: A pooler shares the server's sessions out by transactions.
        DatabaseProblem: The database cannot be worked with.
    """
    engine = new_engine(url, pool_size=2, max_overflow=0).execution_options(
        isolation_level="AUTOCOMMIT"
    )
    try:
        with translated_errors(url), engine.connect() as one:
            # Poolers make up the number that a connection is told at its beginning.
            if _told(one) == _process(one):
                return
            with engine.connect() as other:
                turns = [(_process(one), _process(other)) for _ in range(_TURNS)]
    finally:
        engine.dispose()
    if not are_two_sessions(*zip(*turns, strict=True)):
        raise DatabaseRefused(
            f"The database {described(url)} is behind a pooler in transaction mode, through which"
            " two runs of one video would work at once",
            remedy="Set pool_mode = session in PgBouncer, or name the server in DATABASE_URL",
        )


def are_two_sessions(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two connections are sessions of their own.

    Args:
        one: Ids of the server processes that answered one of them, transaction by transaction.
        other: The same of the other, asked in turn.
    """
    return len(set(one)) == len(set(other)) == 1 and not set(one) & set(other)


def _process(connection: Connection) -> int:
    return int(connection.scalar(select(func.pg_backend_pid())) or 0)


def _told(connection: Connection) -> int:
    """The id of the server's process that libpq was told when it connected."""
    driver = connection.connection.dbapi_connection
    assert driver is not None  # noqa: S101 - it is open
    return int(driver.get_backend_pid())
