"""Waiting for a PostgreSQL that is being restarted, against servers of every state."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from dagster_postgres.utils import create_pg_connection
from psycopg2.extensions import parse_dsn
from sqlalchemy import create_engine, event

from db.errors import (
    DatabaseProblem,
    DatabaseRefused,
    DatabaseUnreachable,
    EmbeddedServerFailed,
)
from db.urls import normalised, rendered
from videomoments_dagster.core import patient_connection
from videomoments_dagster.core.patient_connection import connected_in_time


@contextmanager
def server_that_says(answer: bytes) -> Iterator[dict[str, Any]]:
    """A server that gives one answer to each first message, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1024)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield {"host": "127.0.0.1", "port": listening.getsockname()[1], "user": "x"}


def error(sqlstate: str) -> bytes:
    # Words in a language that nobody here reads.
    fields = f"S\u00fcz\0C{sqlstate}\0Mpa\u015fol!\0\0".encode()
    return b"E" + struct.pack("!I", 4 + len(fields)) + fields


class Dialect:
    """Fails twice in words that say nothing, then connects."""

    def __init__(self) -> None:
        self.attempts = 0

    def connect(self, **_: object) -> str:
        self.attempts += 1
        if self.attempts < 4:
            raise psycopg2.OperationalError("pa\u015fol!")
        return "connected"


STARTING, STOPPING, RECOVERING = error("57P03"), error("57P01"), error("57P02")
FULL = error("53300")
ASKS_FOR_PASSWORD = b"R" + struct.pack("!II", 8, 3)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_connection, "_FIRST_WAIT_SECONDS", 0.01)


@pytest.mark.parametrize("answer", [STARTING, STOPPING, RECOVERING, FULL, b""])
def test_a_server_that_takes_no_sessions_yet_is_waited_for(answer: bytes) -> None:
    with server_that_says(answer) as named:
        assert connected_in_time(Dialect(), None, [], named) == "connected"


@pytest.mark.parametrize("host", ["127.0.0.1", "/nowhere"])
def test_a_server_that_is_away_is_waited_for(host: str) -> None:
    named = {"host": host, "port": 1, "user": "x"}
    assert connected_in_time(Dialect(), None, [], named) == "connected"


@pytest.mark.parametrize("ports", ["1,2", "1", ""])
def test_one_of_several_servers_that_are_away_is_waited_for(ports: str) -> None:
    named = {"host": "127.0.0.1,127.0.0.2", "port": ports, "user": "x"}
    assert connected_in_time(Dialect(), None, [], named) == "connected"


@pytest.mark.parametrize(
    "answer", [ASKS_FOR_PASSWORD, error("28000"), error("28P01"), error("3D000")]
)
def test_a_server_that_refuses_is_not_waited_for(answer: bytes) -> None:
    dialect = Dialect()
    with server_that_says(answer) as named, pytest.raises(DatabaseProblem):
        connected_in_time(dialect, None, [], named)
    # Once more than once: it may have come up between the attempt and the look at it.
    assert dialect.attempts == 2


def test_a_host_that_nobody_knows_is_not_waited_for() -> None:
    dialect = Dialect()
    with pytest.raises(DatabaseProblem):
        connected_in_time(dialect, None, [], {"host": "nowhere.invalid", "user": "x"})
    assert dialect.attempts == 2


@pytest.mark.parametrize("wrong", [{"dbname": "nowhere"}, {"user": "nobody-at-all"}])
def test_a_real_server_that_refuses_is_not_waited_for(
    postgres_server: str, wrong: dict[str, str]
) -> None:
    plain = rendered(normalised(postgres_server).set(drivername="postgresql"))
    named = parse_dsn(plain)
    connected_in_time(psycopg2, None, [], named).close()
    begun = time.monotonic()
    with pytest.raises(DatabaseRefused):
        connected_in_time(psycopg2, None, [], {**named, **wrong})
    assert time.monotonic() - begun < 5


def test_a_server_that_stays_away_is_given_up_in_a_sentence_and_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(patient_connection, "_PATIENCE_SECONDS", 2.0)
    named = {"host": str(tmp_path), "user": "x", "dbname": "talks", "password": "secret"}
    with pytest.raises(DatabaseUnreachable, match=f"talks at {tmp_path}.*tried for") as caught:
        connected_in_time(psycopg2, None, [], named)
    assert "secret" not in str(caught.value)
    begun = time.monotonic()
    for _ in range(10):
        with pytest.raises(DatabaseUnreachable):
            connected_in_time(psycopg2, None, [], named)
    assert time.monotonic() - begun < 2


def test_dagster_does_not_try_again_what_was_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(patient_connection, "_PATIENCE_SECONDS", 0.2)
    engine = create_engine(f"postgresql+psycopg2://me@/talks?host={tmp_path}")
    attempts: list[int] = []
    event.listen(engine, "do_connect", lambda *_: attempts.append(1))
    event.listen(engine, "do_connect", connected_in_time)
    with pytest.raises(DatabaseUnreachable), create_pg_connection(engine):
        pass
    assert len(attempts) == 1


def test_an_embedded_server_that_cannot_be_started_again_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    why = EmbeddedServerFailed("The embedded database has ended", remedy="Make room")
    monkeypatch.setattr(patient_connection, "failure_at", {str(tmp_path): why}.get)
    begun = time.monotonic()
    with pytest.raises(EmbeddedServerFailed, match="Make room"):
        connected_in_time(psycopg2, None, [], {"host": str(tmp_path), "user": "x"})
    assert time.monotonic() - begun < 5
