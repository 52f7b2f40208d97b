"""Both `dagster.yaml` files, loaded by Dagster itself against a real PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster
import psycopg2
import pytest
import yaml
from dagster import DagsterInstance, DagsterRun
from dagster._config import validate_config
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._utils.tags import TagConcurrencyLimitsCounter

import videomoments_dagster
from db.urls import normalised, rendered

PROJECT = Path(videomoments_dagster.__file__).parents[1]
EMBEDDED = PROJECT / "videomoments_dagster" / "instance" / "dagster.yaml"
PRODUCTION = PROJECT / "deploy" / "dagster.yaml"
URL_VARIABLE = "VIDEOMOMENTS_DAGSTER_DATABASE_URL"


def instance_info(home: Path, *, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "info"],
        env={**os.environ, "DAGSTER_HOME": str(home), URL_VARIABLE: url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def home_with(folder: Path, text: str) -> Path:
    (folder / "dagster.yaml").write_text(text)
    return folder


@pytest.fixture
def production(
    tmp_path: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    monkeypatch.setenv(URL_VARIABLE, empty_database_url)
    home_with(tmp_path, PRODUCTION.read_text())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.mark.parametrize("file", [EMBEDDED, PRODUCTION], ids=["embedded", "production"])
def test_dagster_takes_the_file_and_makes_its_tables(
    file: Path, tmp_path: Path, empty_database_url: str
) -> None:
    told = instance_info(home_with(tmp_path, file.read_text()), url=empty_database_url)

    assert told.returncode == 0, told.stderr
    for storage in ("run_storage", "event_log_storage", "schedule_storage"):
        assert re.search(rf"^{storage}: Postgres", told.stdout, re.MULTILINE), told.stdout
    assert re.search(r"^  free_slots_after_run_end_seconds: \d+$", told.stdout, re.MULTILINE)
    assert re.search(r"^telemetry:\n  enabled: false$", told.stdout, re.MULTILINE)
    assert re.search(r"^nux:\n  enabled: false$", told.stdout, re.MULTILINE)
    connection = psycopg2.connect(
        rendered(normalised(empty_database_url).set(drivername="postgresql"))
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM runs")
            assert cursor.fetchone() == (0,)
    finally:
        connection.close()


def test_dagster_refuses_a_setting_that_it_does_not_know(
    tmp_path: Path, empty_database_url: str
) -> None:
    text = PRODUCTION.read_text()
    misspelt = text.replace("start_timeout_seconds", "start_timeout")
    assert misspelt != text

    told = instance_info(home_with(tmp_path, misspelt), url=empty_database_url)

    assert told.returncode != 0
    assert "start_timeout" in told.stderr


# `dagster instance info` loads these two only when they are needed, and so says nothing of them.
def test_queue_and_compute_logs_can_be_made_from_the_production_file(
    production: DagsterInstance,
) -> None:
    coordinator = production.run_coordinator
    assert isinstance(coordinator, QueuedRunCoordinator)
    assert coordinator.get_run_queue_config().max_user_code_failure_retries > 0

    logs = production.compute_log_manager
    assert isinstance(logs, LocalComputeLogManager)
    assert logs.get_captured_local_path(["run", "step"], "out").startswith("/var/lib/videomoments/")


def test_a_second_run_of_a_video_waits_and_one_of_another_does_not(
    production: DagsterInstance,
) -> None:
    config = production.get_concurrency_config().run_queue_config
    assert config is not None
    under_way = DagsterRun(job_name="full", tags={"dagster/partition": "talk"})
    counter = TagConcurrencyLimitsCounter(config.tag_concurrency_limits, [under_way])

    assert counter.is_blocked(DagsterRun(job_name="full", tags={"dagster/partition": "talk"}))
    assert not counter.is_blocked(DagsterRun(job_name="full", tags={"dagster/partition": "other"}))
    assert not counter.is_blocked(DagsterRun(job_name="housekeeping", tags={}))


def test_crashed_runs_are_tried_again_and_failed_steps_are_not(
    production: DagsterInstance,
) -> None:
    assert production.run_monitoring_enabled
    assert production.run_retries_enabled
    assert production.run_retries_max_retries == 1
    assert not production.run_retries_retry_on_asset_or_op_failure
    # A run that is given up must not have lost its objects before.
    assert production.run_monitoring_max_runtime_seconds < 24 * 3600


def test_the_bucket_in_the_comments_has_the_fields_of_the_installed_manager() -> None:
    from dagster_gcp.gcs.compute_log_manager import GCSComputeLogManager

    commented = re.search(r"^# compute_logs:\n(?:#  .*\n)+", PRODUCTION.read_text(), re.MULTILINE)
    assert commented is not None
    block = yaml.safe_load(re.sub(r"^# ", "", commented.group(), flags=re.MULTILINE))
    logs = block["compute_logs"]

    assert (logs["module"], logs["class"]) == (
        GCSComputeLogManager.__module__,
        GCSComputeLogManager.__name__,
    )
    fields: Any = GCSComputeLogManager.config_type()  # type: ignore[no-untyped-call]
    checked = validate_config(fields, logs["config"])
    assert checked.success, checked.errors


def test_the_keys_are_checked_against_the_release_that_is_installed() -> None:
    assert f'"dagster=={dagster.__version__}"' in (PROJECT / "pyproject.toml").read_text()
