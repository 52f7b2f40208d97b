import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from embedded_homes import status
from postgres import revision_of
from sqlalchemy import text

import db.models  # noqa: F401  fills Base.metadata
from db import schema_state
from db.base import Base
from db.embedded import EmbeddedPostgres
from db.errors import MigrationFailed, SchemaOutdated
from db.schema_state import check_schema
from db.session import Database
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import _mark_stale

PROJECT = schema_state.MIGRATIONS.parent

# Everything in a database that a template0 copy does not have.
_LEFT = """
    SELECT 'relation ' || oid::regclass::text FROM pg_class
    WHERE relnamespace IN (SELECT oid FROM pg_namespace
                           WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
    UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE oid >= 16384
    UNION ALL SELECT 'type ' || typname FROM pg_type WHERE oid >= 16384
"""


def _left_in(url: str) -> list[str]:
    database = Database(url, pool_size=1)
    try:
        with database.read() as session:
            return list(session.execute(text(_LEFT)).scalars())
    finally:
        database.dispose()


def _alembic(url: str, *arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _downgrade(url: str, revision: str) -> None:
    done = _alembic(url, "downgrade", revision)
    assert done.returncode == 0, done.stderr


def test_the_models_are_what_the_migrations_amount_to(migrated_database: Database) -> None:
    with migrated_database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _: (
                    kind != "schema"
                    or name in {None, *(one.schema for one in Base.metadata.sorted_tables)}
                ),
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_every_migration_goes_up_and_down_and_leaves_nothing(empty_database_url: str) -> None:
    before = _left_in(empty_database_url)
    schema_state.upgrade(empty_database_url)
    assert revision_of(empty_database_url) == schema_state.head_revision()
    _downgrade(empty_database_url, "-1")
    schema_state.upgrade(empty_database_url)
    _downgrade(empty_database_url, "base")
    assert _left_in(empty_database_url) == before == []
    assert revision_of(empty_database_url) is None
    schema_state.upgrade(empty_database_url)


def test_the_plain_alembic_command_migrates_what_the_environment_names(
    empty_database_url: str,
) -> None:
    up = _alembic(empty_database_url, "upgrade", "head")
    assert up.returncode == 0, up.stderr
    assert revision_of(empty_database_url) == schema_state.head_revision()
    same = _alembic(empty_database_url, "check")
    assert same.returncode == 0, same.stdout + same.stderr
    _downgrade(empty_database_url, "base")
    assert _left_in(empty_database_url) == []


def test_without_a_url_the_plain_alembic_command_migrates_the_embedded_server(
    embedded_home: Path,
) -> None:
    environment = {name: value for name, value in os.environ.items() if "DATABASE" not in name}
    up = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=PROJECT,
        env={**environment, "VIDEOMOMENTS_HOME": str(embedded_home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert up.returncode == 0, up.stderr
    server = EmbeddedPostgres(embedded_home, durable=False)
    assert status(embedded_home).state == "stopped"
    with server.running() as url:
        assert revision_of(url) == schema_state.head_revision()


def test_the_plain_alembic_command_says_in_one_line_what_is_wrong() -> None:
    failed = _alembic("postgresql://me:secret@127.0.0.1:1/videomoments", "upgrade", "head")
    assert failed.returncode != 0
    assert "cannot be reached" in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr
    assert "secret" not in failed.stdout + failed.stderr


def test_migrations_are_found_from_any_folder(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    schema_state.upgrade(empty_database_url)
    assert revision_of(empty_database_url) == schema_state.head_revision()


def test_two_upgraders_at_once_take_turns(empty_database_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: _alembic(empty_database_url, "upgrade", "head"), range(2)))
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert sum("Running upgrade  ->" in one.stderr for one in done) == 1


def test_a_failed_migration_says_why_and_leaves_no_half(empty_database_url: str) -> None:
    database = Database(empty_database_url, pool_size=1)
    with database.transaction() as session:
        session.execute(text("CREATE TABLE clips (mine int)"))
    with pytest.raises(MigrationFailed, match=r'"clips" already exists'):
        schema_state.upgrade(empty_database_url)
    assert "relation videos" not in _left_in(empty_database_url)
    database.dispose()


def test_an_unmigrated_database_is_told_how_to_upgrade(empty_database_url: str) -> None:
    database = Database(empty_database_url, pool_size=1)
    with pytest.raises(SchemaOutdated, match="no tables yet") as caught:
        check_schema(database)
    assert "videomoments db upgrade" in caught.value.remedy
    assert not caught.value.retryable
    database.dispose()


def test_an_older_schema_is_told_how_to_upgrade(empty_database_url: str) -> None:
    schema_state.upgrade(empty_database_url, "0001")
    database = Database(empty_database_url, pool_size=1)
    with pytest.raises(SchemaOutdated, match="at revision 0001") as caught:
        check_schema(database)
    assert "videomoments db upgrade" in caught.value.remedy
    database.dispose()


def test_a_newer_schema_is_told_to_update_the_code(migrated_database: Database) -> None:
    with migrated_database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(SchemaOutdated, match="later, which this code does not know"):
        check_schema(migrated_database)


_REMEMBERED_BY_VIDEO = """
    INSERT INTO videos (id, identifier, cloud_url) VALUES (1, 'talk', 'v'), (2, 'other', 'v');
    INSERT INTO pipeline.materialisations (video_id, asset, fingerprint, data_version, details)
    VALUES (1, 'clips', 'f', 'd', '{"clips": 4}'), (2, 'clips', '', 'd', '{}');
    INSERT INTO pipeline.kept_answers (video_id, key, answer, created_at)
    VALUES (1, 'k', '{"score": 7}', '2026-01-02');
    INSERT INTO pipeline.object_origins (url, fingerprint)
    VALUES ('file:///store/clips/talk/0a-1b.mp4', 'f'),
           ('gs://bucket/films/thumbnails/other/video-2c.jpg', 'g'),
           ('gs://bucket/' || repeat('x', 300) || '/strange.mp4', 'h')
"""
_REMEMBERED = """
    SELECT system, partition_key, asset, fingerprint FROM pipeline.materialisations
    UNION ALL SELECT system, partition_key, key, answer::text FROM pipeline.kept_answers
    UNION ALL SELECT system, partition_key, url, fingerprint FROM pipeline.object_origins
    ORDER BY 1, 2, 3
"""


_OLDER_RESULTS = """
    INSERT INTO videos (identifier, cloud_url) VALUES ('whole', 'v'), ('moved', 'v');
    INSERT INTO pipeline.materialisations
        (system, partition_key, asset, fingerprint, data_version, details, updated_at)
    VALUES ('moments', 'whole', 'moments', 'f', 'd', '{}', '2026-01-01 10:00'),
           ('moments', 'whole', 'clips', 'f', 'd', '{}', '2026-01-01 10:01'),
           ('moments', 'moved', 'moments', 'f', 'd', '{}', '2026-01-01 11:00'),
           ('moments', 'moved', 'clips', 'f', 'd', '{}', '2026-01-01 10:01')
"""


def test_of_older_results_those_are_stale_that_are_older_than_what_they_depend_on(
    empty_database_url: str,
) -> None:
    schema_state.upgrade(empty_database_url, "0008")
    database = Database(empty_database_url, pool_size=1)
    with database.transaction() as session:
        session.execute(text(_OLDER_RESULTS))
    schema_state.upgrade(empty_database_url)
    remembered = "SELECT partition_key, asset, code_version FROM pipeline.materialisations"
    with database.transaction() as session:
        assert sorted(map(tuple, session.execute(text(remembered)))) == [
            ("moved", "clips", "unknown"),
            ("moved", "moments", ""),
            ("whole", "clips", ""),
            ("whole", "moments", ""),
        ]
        # Moments that are made again from now on, whatever comes out, are others than they were.
        session.execute(
            text(
                """UPDATE pipeline.materialisations SET parts = '{"moments.places": "p"}' """
                "WHERE asset = 'moments'"
            )
        )
        _mark_stale(session, Partition("moments", "whole"))
        stale = "SELECT partition_key, asset FROM pipeline.materialisations WHERE is_stale"
        assert session.execute(text(stale)).all() == [("whole", "clips")]
    database.dispose()


def test_what_was_remembered_by_video_is_kept_by_system_and_partition(
    empty_database_url: str,
) -> None:
    schema_state.upgrade(empty_database_url, "0007")
    database = Database(empty_database_url, pool_size=1)
    with database.transaction() as session:
        session.execute(text(_REMEMBERED_BY_VIDEO))
    schema_state.upgrade(empty_database_url)
    of_talk = [
        ("moments", "talk", "clips", "f"),
        ("moments", "talk", "file:///store/clips/talk/0a-1b.mp4", "f"),
        ("moments", "talk", "k", '{"score": 7}'),
    ]
    of_other = [
        ("moments", "other", "clips", ""),
        ("moments", "other", "gs://bucket/films/thumbnails/other/video-2c.jpg", "g"),
    ]
    strange = ("moments", "x" * 255, f"gs://bucket/{'x' * 300}/strange.mp4", "h")

    def remembered() -> list[tuple[str, ...]]:
        with database.read() as session:
            return [tuple(row) for row in session.execute(text(_REMEMBERED))]

    assert remembered() == [*of_other, *of_talk, strange]
    with database.transaction() as session:
        # Whose rights end with the videos.
        session.execute(text("CREATE ROLE tidier"))
        session.execute(text("GRANT SELECT, DELETE ON videos TO tidier"))
        session.execute(text("SET LOCAL ROLE tidier"))
        session.execute(text("DELETE FROM videos WHERE identifier = 'talk'"))
        session.execute(text("RESET ROLE"))
        session.execute(text("DROP OWNED BY tidier"))
        session.execute(text("DROP ROLE tidier"))
    assert remembered() == [*of_other, strange]
    database.dispose()
    _downgrade(empty_database_url, "0007")
    database = Database(empty_database_url, pool_size=1)
    with database.read() as session:
        kept = "SELECT video_id, asset FROM pipeline.materialisations"
        assert session.execute(text(kept)).all() == [(2, "clips")]
    database.dispose()
