"""What `gc` removes, and above all what it does not."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from dagster import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from pipeline import Pipeline

from db.run_claims import partition_to_oneself
from videomoments_dagster.cli.main import main
from videomoments_dagster.core.garbage import Collected, Garbage, collect, find_garbage
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.core.runs import run_in_flight
from videomoments_dagster.definitions import build_definitions
from videomoments_dagster.moments.system import MOMENTS

DAY = timedelta(days=1)


def store_of(pipeline: Pipeline) -> LocalFolderStore:
    return LocalFolderStore(pipeline.home / "objects")


def aged(path: Path, age: timedelta = 2 * DAY) -> Path:
    """A file that was written some time ago, made if need be."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"nobody's")
    then = (datetime.now(UTC) - age).timestamp()
    os.utime(path, (then, then))
    return path


def found(pipeline: Pipeline) -> Garbage:
    return find_garbage(
        pipeline.database, store_of(pipeline), [MOMENTS], grace=DAY, now=datetime.now(UTC)
    )


def collected(pipeline: Pipeline) -> Collected:
    return collect(
        found(pipeline),
        pipeline.database,
        store_of(pipeline),
        in_flight=lambda video: run_in_flight(pipeline.instance, video) is not None,
    )


def test_an_old_object_without_a_row_goes_and_a_young_one_stays(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    for path in (pipeline.home / "objects").rglob("*"):
        if path.is_file():
            aged(path)
    whole = set(pipeline.objects())
    old = aged(pipeline.home / f"objects/clips/{talk}/{'0' * 16}-{'0' * 16}.mp4")
    young = aged(pipeline.home / f"objects/clips/{talk}/{'1' * 16}-{'1' * 16}.mp4", DAY / 2)

    removed = collected(pipeline)

    assert (removed.objects, removed.size_bytes) == (1, 8)
    assert not old.exists()
    assert young.exists()
    assert set(pipeline.objects()) - whole == {str(young.relative_to(pipeline.home / "objects"))}
    assert pipeline.run(talk).row.status == "completed"
    assert all(pipeline.last.unchanged.values())


def test_objects_of_moments_that_are_no_more_go(pipeline: Pipeline, talk: str) -> None:
    pipeline.run(talk)
    [(url,)] = pipeline.rows("SELECT cloud_url FROM clips ORDER BY id LIMIT 1")
    pipeline.rows("DELETE FROM clips WHERE cloud_url = :url", url=url)
    path = store_of(pipeline).local_path(url)
    assert path is not None
    aged(path)

    assert collected(pipeline).objects == 1
    assert not path.exists()
    assert pipeline.run(talk, "clips_only").row.status == "completed"
    assert path.exists()


@pytest.mark.parametrize("key", ["README.txt", "backup/talk/a.mp4", "videos/stray.mp4"])
def test_what_is_not_ours_is_not_touched(pipeline: Pipeline, key: str) -> None:
    stranger = aged(pipeline.home / "objects" / key)
    assert collected(pipeline).objects == 0
    assert stranger.exists()


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED])
def test_nothing_goes_of_a_video_with_a_run_in_flight(
    pipeline: Pipeline, status: DagsterRunStatus
) -> None:
    orphan = aged(pipeline.home / "objects/videos/talk/a.mp4")
    other = aged(pipeline.home / "objects/videos/other/a.mp4")
    create_run_for_test(
        pipeline.instance, job_name="full", status=status, tags={"dagster/partition": "talk"}
    )
    removed = collected(pipeline)
    assert (removed.objects, removed.spared) == (1, ("talk",))
    assert orphan.exists()
    assert not other.exists()


def test_nothing_goes_of_a_video_that_a_run_has_claimed(pipeline: Pipeline) -> None:
    orphan = aged(pipeline.home / "objects/videos/talk/a.mp4")
    with partition_to_oneself(pipeline.database, system="moments", partition="talk") as free:
        assert free
        assert collected(pipeline).spared == ("talk",)
        assert orphan.exists()
    assert collected(pipeline).objects == 1


def test_an_object_that_somebody_came_to_refer_to_meanwhile_stays(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    [(url,)] = pipeline.rows("SELECT cloud_url FROM clips ORDER BY id LIMIT 1")
    path = store_of(pipeline).local_path(url)
    assert path is not None
    aged(path)
    rows = pipeline.rows("DELETE FROM clips WHERE cloud_url = :url RETURNING moment_id", url=url)
    seen = found(pipeline)
    assert seen.count == 1

    pipeline.run(talk, "clips_only")
    assert pipeline.rows("SELECT moment_id FROM clips WHERE cloud_url = :url", url=url) == rows
    removed = collect(seen, pipeline.database, store_of(pipeline), in_flight=lambda _video: False)
    assert removed.objects == 0
    assert path.exists()


def test_records_of_model_calls_go_with_their_video(pipeline: Pipeline, talk: str) -> None:
    pipeline.run(talk)
    name = "20200101T000000.000000Z-0123456789abcdef.json"
    run = "0f0f0f0f-0000-4000-8000-000000000000"
    kept = aged(pipeline.home / "objects/model-calls" / talk / run / name)
    gone = aged(pipeline.home / "objects/model-calls/deleted" / run / name)
    collected(pipeline)
    assert kept.exists()
    assert not gone.exists()


def test_leftovers_of_killed_writes_go_and_the_lock_stays(pipeline: Pipeline) -> None:
    store = store_of(pipeline)
    old = aged(pipeline.home / f"objects/clips/talk/.part-{'a' * 16}")
    young = aged(pipeline.home / f"objects/clips/talk/.part-{'b' * 16}", timedelta(hours=1))
    lock = aged(pipeline.home / "objects/.part-create-only.lock")
    assert store.remove_unfinished(before=datetime.now(UTC) - DAY) == 1
    assert not old.exists()
    assert young.exists()
    assert lock.exists()


def test_the_housekeeping_job_collects_and_says_so(pipeline: Pipeline) -> None:
    orphan = aged(pipeline.home / "objects/videos/talk/a.mp4")
    result = (
        build_definitions()
        .resolve_job_def("housekeeping")
        .execute_in_process(instance=pipeline.instance)
    )
    assert result.success
    assert not orphan.exists()
    logged = [entry.user_message for entry in pipeline.instance.all_logs(result.run_id)]
    assert any("removed 1 of 8 bytes" in message for message in logged)


def test_a_dry_run_lists_and_removes_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = aged(pipeline.home / "objects/videos/talk/a.mp4")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    shown = CliRunner().invoke(main, ["gc", "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert "1 of 1 objects" in shown.output
    assert orphan.as_uri() in shown.output
    assert orphan.exists()
    shown = CliRunner().invoke(main, ["gc"])
    assert "Removed 1 objects" in shown.output
    assert not orphan.exists()


def test_a_look_takes_time_in_proportion_to_the_objects(pipeline: Pipeline) -> None:
    """A stand-in for the large figure, which takes too long for every day."""
    folder = pipeline.home / "objects/videos/talk"
    folder.mkdir(parents=True)
    for number in range(2_000):
        (folder / f"{number:064x}.mp4").touch()
    begun = time.perf_counter()
    assert found(pipeline).too_young == 2_000
    assert time.perf_counter() - begun < 5
