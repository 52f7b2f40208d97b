"""Connections to PostgreSQL that wait for a server which is being restarted.

What is raised in the end is ours and not the driver's: Dagster tries each of its queries six times
over where the driver fails, which made nine minutes of half a minute's patience.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import URL

from db.embedded import failure_at
from db.errors import DatabaseProblem
from db.session import connection_problem

_PATIENCE_SECONDS = 30.0
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 2.0
_ANSWER_SECONDS = 5.0

_PROTOCOL_3 = 196608

_given_up: set[URL] = set()
"""Servers that stayed away for so long; nobody waits for them again until they are back."""


def connected_in_time(
    dialect: Any, _record: object, arguments: list[Any], named: dict[str, Any]
) -> Any:
    """Connect, trying again for half a minute while no server takes sessions.

    Meant for SQLAlchemy's event `do_connect`.

    Raises:
        DatabaseProblem: The server stayed away, or refused, or is an embedded one that cannot be
            started again.
    """
    place = _place(named)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    wait = _FIRST_WAIT_SECONDS
    took_sessions = False
    while True:
        try:
            connection = dialect.connect(*arguments, **named)
        except psycopg2.OperationalError as error:
            failure = failure_at(str(named.get("host")))
            if failure is not None:
                raise failure from error
            takes_sessions = _takes_sessions(named)
            # Twice, since a server may have come up between the attempt and the look at it.
            if takes_sessions and took_sessions:
                raise connection_problem(error, place) from error
            if time.monotonic() + wait > deadline or place in _given_up:
                _given_up.add(place)
                raise _stayed_away(connection_problem(error, place)) from error
            took_sessions = takes_sessions
        else:
            _given_up.discard(place)
            return connection
        time.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)


def _place(named: dict[str, Any]) -> URL:
    options = {name: str(named[name]) for name in ("host", "port") if named.get(name)}
    database, password = named.get("dbname"), named.get("password")
    # The password only, so that it can be taken out of what the driver says.
    return URL.create("postgresql", database=database, password=password, query=options)


def _stayed_away(problem: DatabaseProblem) -> DatabaseProblem:
    return type(problem)(
        f"{problem.reason} (tried for {_PATIENCE_SECONDS:.0f} seconds)", remedy=problem.remedy
    )


def _takes_sessions(named: dict[str, Any]) -> bool:
    """Whether a server answers, has a connection left, and is not starting or stopping.

    Before a session exists, libpq reports in words alone, in the server's language, and psycopg2
    gives neither a SQLSTATE nor a class of its own. So the server is asked as `pg_isready` asks
    it: the answer to a first message is an error of class 57P or 53300, or anything else.
    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """
    said = f"user\0{named.get('user', '')}\0database\0{named.get('dbname', '')}\0\0".encode()
    first_message = struct.pack("!II", 8 + len(said), _PROTOCOL_3) + said
    # One that is away, of several that a URL names, may be the one that is about to come back.
    return all(_takes_sessions_at(host, port, first_message) for host, port in _addresses(named))


def _addresses(named: dict[str, Any]) -> list[tuple[str, int]]:
    hosts = str(named.get("host") or "localhost").split(",")
    ports = [int(port or 5432) for port in str(named.get("port") or "").split(",")]
    return list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False))


def _takes_sessions_at(host: str, port: int, first_message: bytes) -> bool:
    try:
        with _plain_connection(host, port) as connection:
            connection.sendall(first_message)
            answer = connection.recv(4096)
    except socket.gaierror:
        # A name that nobody knows is a mistake, and not a server that is away.
        return True
    except OSError:
        return False
    fields = answer[5:].split(b"\0") if answer[:1] == b"E" else []
    return bool(answer) and not any(field.startswith((b"C57P", b"C53300")) for field in fields)


@contextlib.contextmanager
def _plain_connection(host: str, port: int) -> Iterator[socket.socket]:
    if host.startswith("/"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(str(Path(host) / f".s.PGSQL.{port}"))
            yield connection
    else:
        with socket.create_connection((host, port), timeout=_ANSWER_SECONDS) as connection:
            yield connection
