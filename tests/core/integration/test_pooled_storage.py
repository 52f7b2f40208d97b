"""Dagster's storage over a few connections that are kept, on a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml
from dagster import DagsterInstance, DagsterRun
from postgres import fresh_database
from sqlalchemy import event

from db.urls import normalised, rendered
from videomoments_dagster.pooled_storage import PooledPostgresStorage

PROJECT = Path(__file__).parents[3]
FILES = ("videomoments_dagster/instance/dagster.yaml", "deploy/dagster.yaml")


@pytest.fixture
def dagster_url(postgres_server: str) -> Iterator[str]:
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def instance(
    dagster_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    """An instance by the storage of our own `dagster.yaml`."""
    monkeypatch.setenv("VIDEOMOMENTS_DAGSTER_DATABASE_URL", rendered(normalised(dagster_url)))
    ours = yaml.safe_load((PROJECT / FILES[0]).read_text())
    (tmp_path / "dagster.yaml").write_text(
        yaml.safe_dump({"storage": ours["storage"], "telemetry": {"enabled": False}})
    )
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def sessions(url: str, *, end_them: bool = False) -> int:
    """Connections to a database, without the one that asks; ended if wanted."""
    connection = psycopg2.connect(rendered(normalised(url).set(drivername="postgresql")))
    try:
        with connection.cursor() as cursor:
            what = "count(pg_terminate_backend(pid))" if end_them else "count(*)"
            cursor.execute(
                f"SELECT {what} FROM pg_stat_activity "  # noqa: S608 - one of two texts
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def work(instance: DagsterInstance) -> int:
    """Something of each storage."""
    instance.add_run(DagsterRun(job_name="full"))
    instance.add_dynamic_partitions("videos", [f"video-{instance.get_runs_count()}"])
    instance.all_instigator_state()
    return len(instance.get_dynamic_partitions("videos"))


def test_connections_are_kept_and_few(instance: DagsterInstance, dagster_url: str) -> None:
    for number in range(1, 11):
        assert work(instance) == number
    assert 1 <= sessions(dagster_url) <= 2


def test_a_server_that_dropped_all_connections_is_asked_again_without_a_failure(
    instance: DagsterInstance, dagster_url: str
) -> None:
    work(instance)
    assert sessions(dagster_url, end_them=True) >= 1
    assert work(instance) == 2


def test_a_partition_that_is_gone_is_known_to_be_gone(instance: DagsterInstance) -> None:
    assert not instance.has_dynamic_partition("videos", "talk")
    instance.add_dynamic_partitions("videos", ["talk"])
    assert instance.has_dynamic_partition("videos", "talk")
    instance.delete_dynamic_partition("videos", "talk")
    assert not instance.has_dynamic_partition("videos", "talk")


def test_what_another_process_did_to_a_partition_is_seen_soon(
    instance: DagsterInstance, dagster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.add_dynamic_partitions("videos", ["talk"])
    other = PooledPostgresStorage(rendered(normalised(dagster_url)))
    now = time.monotonic()
    assert instance.has_dynamic_partition("videos", "talk")
    other.event_log_storage.delete_dynamic_partition("videos", "talk")
    monkeypatch.setattr("time.monotonic", lambda: now + 60)
    assert not instance.has_dynamic_partition("videos", "talk")
    monkeypatch.undo()
    other.event_log_storage.dispose()


def test_the_schema_and_a_partition_are_not_asked_for_again_and_again(
    instance: DagsterInstance,
) -> None:
    instance.add_dynamic_partitions("videos", ["talk"])
    events: Any = instance.event_log_storage
    asked: list[str] = []
    event.listen(events._engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    for _ in range(5):
        assert instance.has_dynamic_partition("videos", "talk")
        assert events.has_asset_key_index_cols()
        assert events.supports_asset_checks
    # Tables twice, columns in two parts, and the partition.
    assert len(asked) <= 5


@pytest.mark.parametrize("file", FILES)
def test_both_instances_use_it(file: str) -> None:
    storage = yaml.safe_load((PROJECT / file).read_text())["storage"]["custom"]
    # Existing installations have it under this name.
    assert storage["module"] == "videomoments_dagster.pooled_storage"
    assert getattr(import_module(storage["module"]), storage["class"]) is PooledPostgresStorage
