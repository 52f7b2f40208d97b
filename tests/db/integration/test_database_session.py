import re
import socket
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from postgres import on_server
from sqlalchemy import URL, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from db import models
from db.creation import ensure_database_exists
from db.errors import DatabaseBusy, DatabaseProblem, DatabaseRefused, DatabaseUnreachable
from db.schema_state import check_schema, upgrade
from db.session import Database
from db.urls import normalised, rendered


def _video(identifier: str = "talk") -> models.Video:
    return models.Video(identifier=identifier, cloud_url="file:///talk")


def test_a_transaction_is_kept_at_its_end_and_its_rows_stay_readable(
    migrated_database: Database,
) -> None:
    with migrated_database.transaction() as session:
        video = _video()
        session.add(video)
    assert video.id == 1
    with migrated_database.read() as session:
        assert session.scalars(select(models.Video.identifier)).all() == ["talk"]


def test_a_transaction_that_raises_leaves_nothing(migrated_database: Database) -> None:
    def add_and_fail() -> None:
        with migrated_database.transaction() as session:
            session.add(_video())
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        add_and_fail()
    with migrated_database.read() as session:
        assert session.scalars(select(models.Video)).all() == []


def test_a_read_cannot_write_and_sees_one_moment(migrated_database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only"), migrated_database.read() as session:
        session.execute(text("INSERT INTO videos (identifier, cloud_url) VALUES ('a', 'b')"))
    with migrated_database.read() as reading:
        assert reading.scalars(select(models.Video)).all() == []
        with migrated_database.transaction() as writing:
            writing.add(_video())
        assert reading.scalars(select(models.Video)).all() == []
    with migrated_database.transaction() as session:
        session.add(_video("second"))


def test_the_servers_default_time_is_utc_like_ours(migrated_database: Database) -> None:
    name = migrated_database.url.database
    with on_server(rendered(migrated_database.url)) as cursor:
        cursor.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Kolkata'")
    with migrated_database.transaction() as session:
        video = _video()
        session.add(video)
        session.flush()
        session.refresh(video)
    assert video.created_at is not None
    assert video.created_at.tzinfo is None
    assert abs(video.created_at - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=2)


def test_a_changed_moment_gets_a_new_update_time(migrated_database: Database) -> None:
    with migrated_database.transaction() as session:
        moment = models.Moment(
            identifier="m", video=_video(), start_time=0.0, end_time=1.0, title="t"
        )
        session.add(moment)
    with migrated_database.transaction() as session:
        again = session.get_one(models.Moment, moment.id)
        before = again.updated_at
        assert (again.is_refined, before) == (False, again.created_at)
        again.score = 7
        session.flush()
        session.refresh(again)
        assert before is not None
        assert again.updated_at is not None
        assert again.updated_at > before


def test_deleting_a_loaded_video_leaves_the_cascade_to_the_database(
    migrated_database: Database,
) -> None:
    with migrated_database.transaction() as session:
        video = _video()
        video.transcripts.append(
            models.Transcript(full_text="", word_timestamps=[], segment_timestamps=[])
        )
        video.moments.append(models.Moment(identifier="m", start_time=0.0, end_time=1.0, title="t"))
        session.add(video)
    with migrated_database.transaction() as session:
        loaded = session.get_one(models.Video, video.id)
        assert [len(loaded.transcripts), len(loaded.moments)] == [1, 1]
        session.delete(loaded)
    with migrated_database.read() as session:
        assert session.scalars(select(models.Moment)).all() == []
        assert session.scalars(select(models.Transcript)).all() == []


def test_a_mistake_in_the_data_is_shown_as_it_is(migrated_database: Database) -> None:
    with pytest.raises(IntegrityError), migrated_database.transaction() as session:
        session.add(
            models.Moment(identifier="m", video=_video(), start_time=2, end_time=1, title="")
        )


def test_no_server_is_a_retryable_sentence_without_the_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        database = Database(f"postgresql://me:secret@127.0.0.1:{port}/videomoments")
        with pytest.raises(DatabaseUnreachable, match="cannot be reached") as caught:
            check_schema(database)
    assert caught.value.retryable
    assert "secret" not in f"{caught.value}{caught.value.__cause__}"


def test_a_lost_connection_is_a_retryable_problem(migrated_database: Database) -> None:
    def lose_the_connection() -> None:
        with migrated_database.transaction() as session:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            with on_server(rendered(migrated_database.url)) as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
            session.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnreachable):
        lose_the_connection()
    with migrated_database.read() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_giving_up_on_a_lock_is_a_retryable_problem(migrated_database: Database) -> None:
    with migrated_database.transaction() as holder:
        holder.execute(text("LOCK TABLE videos"))
        with pytest.raises(DatabaseBusy) as caught, migrated_database.transaction() as session:
            session.execute(
                text("SET LOCAL lock_timeout = '50ms'; INSERT INTO videos DEFAULT VALUES")
            )
    assert caught.value.retryable


def test_a_full_pool_names_the_setting(database_url: str) -> None:
    database = Database(database_url, pool_size=1, max_overflow=0, pool_timeout=1)
    with database.read() as session:
        session.scalar(text("SELECT 1"))
        with pytest.raises(DatabaseBusy, match="DATABASE_POOL_SIZE"), database.read() as second:
            second.scalar(text("SELECT 1"))
    database.dispose()


def _without_writes(url: str | URL) -> None:
    name = normalised(url).database
    with on_server(rendered(normalised(url))) as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')


def test_a_database_that_takes_no_writes_is_a_sentence(
    migrated_database: Database, empty_database_url: str
) -> None:
    def write() -> None:
        with migrated_database.transaction() as session:
            session.add(_video())

    _without_writes(migrated_database.url)
    with pytest.raises(DatabaseRefused, match="takes no writes") as caught:
        write()
    assert "DATABASE_URL" in caught.value.remedy
    _without_writes(empty_database_url)
    with pytest.raises(DatabaseProblem, match="takes no writes"):
        upgrade(empty_database_url)


@pytest.mark.parametrize(
    "options",
    [
        {"sslmode": "often"},
        {"connect_timeout": "soon"},
        {"target_session_attrs": "x"},
        {"service": "x"},
        {"sslmode": "allow", "sslrootcert": "system"},
    ],
)
def test_an_option_that_libpq_cannot_follow_is_not_worth_a_retry(options: dict[str, str]) -> None:
    database = Database(normalised("postgresql://me@127.0.0.1:1/talks").set(query=options))
    with pytest.raises(DatabaseRefused, match="option in DATABASE_URL") as caught:
        check_schema(database)
    assert not caught.value.retryable


def test_a_missing_database_is_made_once(postgres_server: str) -> None:
    url = normalised(postgres_server).set(database='made "on" demand')
    assert ensure_database_exists(url) is True
    try:
        assert ensure_database_exists(url) is False
    finally:
        with on_server(postgres_server) as cursor:
            cursor.execute('DROP DATABASE "made ""on"" demand"')


def test_a_user_who_may_not_make_a_database_is_told_who_may(postgres_server: str) -> None:
    role = f"role_{uuid.uuid4().hex}"
    with on_server(postgres_server) as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hush'")
        try:
            url = normalised(postgres_server).set(
                username=role, password="hush", database="not_there"
            )
            with pytest.raises(DatabaseRefused, match=re.escape("may not create")) as caught:
                ensure_database_exists(url)
        finally:
            cursor.execute(f"DROP ROLE {role}")
    assert f"CREATE DATABASE not_there OWNER {role}" in caught.value.remedy
    assert "hush" not in str(caught.value)


def test_a_database_that_does_not_exist_is_not_worth_a_retry(postgres_server: str) -> None:
    database = Database(normalised(postgres_server).set(database="nowhere"))
    with pytest.raises(DatabaseRefused, match="nowhere") as caught:
        check_schema(database)
    assert not caught.value.retryable


@contextmanager
def answering(severity: str, message: str) -> Iterator[str]:
    """A server that begins no session and says why; the URL of its database."""

    def answer() -> None:
        client, _ = listening.accept()
        with client:
            client.recv(8)  # SSLRequest
            client.sendall(b"N")
            client.recv(1024)
            fields = f"S{severity}\0VFATAL\0C00000\0M{message}\0\0".encode()
            client.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=answer)
        serving.start()
        yield f"postgresql://me:secret@127.0.0.1:{listening.getsockname()[1]}/talks"
        serving.join(timeout=10)


@pytest.mark.parametrize(
    ("severity", "message"),
    [
        ("FATAL", 'password authentication failed for user "me"'),
        (
            "FATAL",
            'no pg_hba.conf entry for host "::1", user "me", database "talks", no encryption',
        ),
        ("FATAL", "Passwort-Authentifizierung für Benutzer »me« fehlgeschlagen"),
        ("FATAL", "la base de données « talks » n'existe pas"),
        ("ВАЖНО", 'база данных "talks" не существует'),
        ("FATAL", 'データベース"talks"に対する権限がありません'),
        ("FATAL", 'database "pg_talks" does not exist'),
        ("FATAL", "password authentication failed for user 'me'"),
        ("FATAL", "SASL authentication failed"),
        ("FATAL", "no such database: talks"),
    ],
)
def test_a_refusal_is_known_in_every_language_of_the_server(severity: str, message: str) -> None:
    with answering(severity, message) as url, pytest.raises(DatabaseRefused) as caught:
        check_schema(Database(url))
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("severity", "message"),
    [
        ("FATAL", "the database system is starting up"),
        ("FATAL", "das Datenbanksystem startet"),
        ("ВАЖНО", "извините, уже слишком много клиентов"),
        ("FATAL", "désolé, trop de clients sont déjà connectés"),
        (
            "FATAL",
            'remaining connection slots are reserved for the "pg_use_reserved_connections" role',
        ),
        ("FATAL", 'too many connections for role "me"'),
        ("FATAL", 'database "talks" is not currently accepting connections'),
        ("FATAL", 'could not open file "global/pg_filenode.map": Too many open files in system'),
    ],
)
def test_a_server_that_is_not_ready_yet_is_tried_again(severity: str, message: str) -> None:
    with answering(severity, message) as url, pytest.raises(DatabaseUnreachable) as caught:
        check_schema(Database(url))
    assert message in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize(
    "message",
    [
        "sorry, too many clients already",
        'too many connections for role "me"',
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "no more connections allowed (max_client_conn)",
    ],
)
def test_a_server_without_a_free_connection_says_which_limits_to_change(message: str) -> None:
    with answering("FATAL", message) as url, pytest.raises(DatabaseUnreachable) as caught:
        check_schema(Database(url))
    assert "max_connections" in caught.value.remedy
    assert "DATABASE_POOL_SIZE" in caught.value.remedy


def test_a_refusal_is_found_behind_an_address_where_nobody_listens() -> None:
    with answering("FATAL", 'role "me" does not exist') as answers, socket.socket() as unused:
        unused.bind(("127.0.0.2", 0))
        ports = f"{unused.getsockname()[1]},{normalised(answers).port}"
        url = f"postgresql://me:secret@/talks?host=127.0.0.2,127.0.0.1&port={ports}"
        with pytest.raises(DatabaseRefused, match='role "me" does not exist'):
            check_schema(Database(url))
