"""Dagster's home folder and database, made ready on a real PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from postgres import fresh_database, on_server

from db.errors import DatabaseUnreachable
from db.urls import normalised, rendered
from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.cli import dagster_instance
from videomoments_dagster.cli.dagster_instance import (
    dagster_database_url,
    opened_instance,
    prepare_instance,
)
from videomoments_dagster.core.settings import Settings


@pytest.fixture
def settings(
    tmp_path: Path,
    postgres_server: str,
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    # Set first, so that what the code sets is taken back after the test.
    for name in ("DAGSTER_HOME", "VIDEOMOMENTS_DAGSTER_DATABASE_URL", "DATABASE_SYNC_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("VIDEOMOMENTS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    yield Settings()
    with on_server(postgres_server) as cursor:
        name = f"{normalised(empty_database_url).database}_dagster"
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def test_the_instance_is_made_beside_our_database_and_keeps_what_it_is_told(
    settings: Settings, empty_database_url: str
) -> None:
    with opened_instance(settings) as instance:
        instance.add_dynamic_partitions("videos", ["talk"])
    with opened_instance(settings) as instance:
        assert instance.get_dynamic_partitions("videos") == ["talk"]

    prepare_instance(settings)
    home, url = Path(os.environ["DAGSTER_HOME"]), os.environ["VIDEOMOMENTS_DAGSTER_DATABASE_URL"]
    assert home == settings.home_folder / "dagster"
    ours, dagsters = normalised(empty_database_url), normalised(url)
    assert dagsters.drivername == "postgresql+psycopg2"
    assert dagsters.database == f"{ours.database}_dagster"
    assert tables(empty_database_url) == set()
    assert {"runs", "event_logs", "jobs", "alembic_version"} <= tables(url)
    assert [path.name for path in home.iterdir() if path.suffix == ".yaml"] == ["dagster.yaml"]


def tables(url: str) -> set[str]:
    connection = psycopg2.connect(rendered(normalised(url).set(drivername="postgresql")))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            return {name for (name,) in cursor.fetchall()}
    finally:
        connection.close()


def test_processes_that_start_at_once_make_the_tables_once(settings: Settings) -> None:
    code = (
        "from videomoments_dagster.core.settings import load_settings\n"
        "from videomoments_dagster.cli.dagster_instance import opened_instance\n"
        "with opened_instance(load_settings()) as instance:\n"
        "    print(instance.get_runs_count())\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ends = [(*process.communicate(timeout=120), process.returncode) for process in processes]

    for written, complaints, status in ends:
        assert (status, written.strip()) == (0, "0"), complaints
        assert "Retrying" not in complaints
        assert "Traceback" not in complaints


def test_a_second_start_makes_nothing_and_does_not_open_the_instance(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_instance(settings)
    monkeypatch.setattr(dagster_instance, "ensure_database_exists", pytest.fail)

    prepare_instance(settings)


def test_somebodys_own_dagster_yaml_is_left_alone_with_its_storage(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(own))

    prepare_instance(settings)

    assert os.environ["DAGSTER_HOME"] == str(own)
    assert os.environ["VIDEOMOMENTS_DAGSTER_DATABASE_URL"] == ""
    assert (own / "dagster.yaml").read_text() == "telemetry:\n  enabled: false\n"


def test_a_configured_database_for_dagster_is_used_as_it_is(
    settings: Settings, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(postgres_server) as url:
        bare = rendered(normalised(url).set(drivername="postgresql"))
        monkeypatch.setenv("VIDEOMOMENTS_DAGSTER_DATABASE_URL", bare)

        assert dagster_database_url(Settings()) == url


def test_the_longest_name_that_postgresql_keeps_is_not_cut_off(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user@host/{'x' * 63}")

    name = normalised(dagster_database_url(Settings())).database

    assert name == f"{'x' * 55}_dagster"


def test_a_server_that_is_not_there_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@127.0.0.1:1/videomoments")

    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1") as raised:
        prepare_instance(Settings())
    assert "secret" not in str(raised.value)


def test_a_home_that_cannot_be_made_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "file" / "dagster"))

    with pytest.raises(SettingsRejected, match="Dagster's home folder"):
        prepare_instance(settings)
