"""Rows of pipeline_history from runs that Dagster really executed."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import DagsterRunStatus
from imitated_runs import Imitated
from stored_records import configs

from videomoments_dagster.moments.history import recording
from videomoments_dagster.moments.history.recording import CONFIG_TAG, record_all, record_run
from videomoments_dagster.moments.identity import config_hash


def record(imitated: Imitated, *run_ids: str) -> list[dict[str, Any]]:
    for run_id in run_ids:
        record_run(imitated.instance, imitated.storage.database, run_id)
    return imitated.history()


def test_a_completed_run_has_its_times_and_counts(imitated: Imitated) -> None:
    imitated.with_config("talk")
    [row] = record(imitated, imitated.run("talk"))
    assert (row["status"], row["pipeline_type"]) == ("completed", "full")
    assert (row["total_moments_generated"], row["total_clips_created"]) == (4, 4)
    assert (row["error_stage"], row["error_message"]) == (None, None)
    assert row["completed_at"] > row["started_at"]
    assert row["duration_seconds"] > 0
    assert row["identifier"].startswith("pipeline:talk:")


def test_a_clip_that_could_not_be_cut_makes_a_run_partial(imitated: Imitated) -> None:
    imitated.with_config("talk")
    metadata = {"clips": {"clips": 3, "failed": 1}}
    [row] = record(imitated, imitated.run("talk", "clips_only", metadata=metadata))
    assert (row["status"], row["error_stage"]) == ("partial", "clips")
    assert row["total_clips_created"] == 3
    assert row["total_moments_generated"] is None


def test_a_failed_step_is_named_with_what_it_said(imitated: Imitated) -> None:
    imitated.with_config("talk")
    run_id = imitated.run("talk", "moments_only", failing={"moments": "The engine is not there."})
    [row] = record(imitated, run_id)
    assert (row["status"], row["pipeline_type"]) == ("failed", "moments_only")
    assert (row["error_stage"], row["error_message"]) == ("moments", "The engine is not there.")
    assert row["completed_at"] is not None


def test_a_run_that_failed_before_its_first_step_says_why(imitated: Imitated) -> None:
    imitated.with_config("talk")
    [row] = record(imitated, imitated.run("talk", without_resource=True))
    assert (row["status"], row["error_stage"]) == ("failed", None)
    assert "the disk is full" in row["error_message"]
    assert "Traceback" not in row["error_message"]


def test_a_run_that_could_not_be_launched_says_why(imitated: Imitated) -> None:
    imitated.with_config("talk")
    run = imitated.pretend("talk", DagsterRunStatus.STARTING)
    imitated.instance.report_run_failed(run, "The code server was away.")
    [row] = record(imitated, run.run_id)
    assert (row["status"], row["error_stage"]) == ("failed", None)
    assert row["error_message"] == "The code server was away."
    assert row["completed_at"] is not None


@pytest.mark.parametrize("began", [True, False])
def test_a_cancelled_run_is_failed_and_says_so(imitated: Imitated, *, began: bool) -> None:
    imitated.with_config("talk")
    status = DagsterRunStatus.STARTED if began else DagsterRunStatus.NOT_STARTED
    run = imitated.pretend("talk", status)
    [running] = record(imitated, run.run_id) or [None]
    assert (running["status"] if running else None) == ("running" if began else None)
    imitated.instance.report_run_canceling(run)
    imitated.instance.report_run_canceled(run)
    [row] = record(imitated, run.run_id)
    assert (row["status"], row["error_message"]) == ("failed", "The run was cancelled.")
    assert row["completed_at"] is not None


def test_assets_materialised_in_the_ui_are_named_by_what_was_selected(imitated: Imitated) -> None:
    imitated.with_config("talk")
    record(
        imitated,
        imitated.run("talk", assets=("transcript",)),
        imitated.run("talk", assets=("clips", "thumbnails")),
        imitated.run("talk", assets=("moments", "video")),
    )
    types = [row["pipeline_type"] for row in imitated.history()]
    assert types == ["transcript_only", "clips_only", "moments+video"]


def test_a_run_gets_its_row_once_there_is_a_video_and_a_config(imitated: Imitated) -> None:
    failed = [imitated.run("talk", failing={"video": "No such file."}) for _ in range(3)]
    assert record(imitated, *failed) == []
    imitated.storage.store("video", "talk", imitated.storage.video("talk"))
    assert record(imitated, *failed) == []

    imitated.with_config("talk", "other")
    rows = record(imitated, imitated.run("other"), imitated.run("talk"))
    statuses = [row["status"] for row in rows]
    assert (statuses.count("failed"), statuses.count("completed")) == (3, 2)


def test_the_table_can_be_rebuilt_from_executed_runs(
    imitated: Imitated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "RUNS_PER_PAGE", 3)
    imitated.with_config("talk", "other")
    runs = [
        imitated.run("talk"),
        imitated.run("other", "moments_only", failing={"moments": "No."}),
        imitated.run("talk", "clips_only", metadata={"clips": {"clips": 1, "failed": 2}}),
        imitated.run("ghost", failing={"video": "No such file."}),
        imitated.pretend("other", DagsterRunStatus.STARTED).run_id,
        imitated.run("talk", assets=("transcript",)),
    ]
    for run_id in runs:
        record(imitated, run_id)
    before = imitated.history()
    assert len(before) == 5
    imitated.storage.store("generation_config", "talk", configs("short", model="another"))
    imitated.storage.rows("DELETE FROM pipeline_history")

    recorded = record_all(imitated.instance, imitated.storage.database)
    assert not recorded.failures
    assert imitated.history() == before


def test_a_run_names_the_config_that_it_chose_itself_though_it_began_with_another(
    imitated: Imitated,
) -> None:
    imitated.with_config("talk")
    chosen = configs("short", model="another")
    running = imitated.pretend("talk", DagsterRunStatus.STARTED)
    record(imitated, running.run_id)
    shown = {"generation_config": {"config_hash": config_hash(chosen.generation)}}
    run_id = imitated.run(
        "talk",
        metadata=shown,
        tags={CONFIG_TAG: config_hash(configs().generation)},
    )
    imitated.storage.store("generation_config", "talk", chosen)
    record(imitated, running.run_id, run_id)

    hashes = imitated.storage.rows(
        "SELECT c.config_hash FROM pipeline_history h "
        "JOIN generation_configs c ON c.id = h.generation_config_id ORDER BY h.id"
    )
    assert hashes == [
        (config_hash(configs().generation),),
        (config_hash(chosen.generation),),
    ]


def test_a_run_that_is_executed_again_has_a_row_of_its_own(imitated: Imitated) -> None:
    imitated.with_config("talk")
    failing = {"moments": "The engine is not there."}
    first = imitated.run("talk", "moments_only", failing=failing)
    [failed] = record(imitated, first)
    parent = imitated.instance.get_run_by_id(first)
    assert parent is not None

    # Dagster hands the tags of a run on to the one that repeats it.
    again = imitated.run("talk", "moments_only", tags=parent.tags)
    rows = record(imitated, again, first, again)

    assert [row["status"] for row in rows] == ["failed", "completed"]
    assert rows[0] == failed
    repeated = imitated.instance.get_run_by_id(again)
    assert repeated is not None
    assert repeated.tags["videomoments/pipeline"] == rows[1]["identifier"]
