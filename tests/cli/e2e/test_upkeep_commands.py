"""Deleting one video of several, and looking back at runs."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dagster import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from pipeline import Pipeline

from videomoments_dagster.base.failures import IdentifierRejected, ResultMissing, VideoBusy
from videomoments_dagster.cli.main import main
from videomoments_dagster.cli.video_commands import deletable, delete_video
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.moments.history.recording import record_all, run_history

TABLES = (
    "videos",
    "transcripts",
    "moments",
    "clips",
    "thumbnails",
    "pipeline_history",
    "generation_configs",
    "prompts",
    "pipeline.sources",
    "pipeline.video_files",
    "pipeline.materialisations",
    "pipeline.selected_configs",
    "pipeline.object_origins",
    "pipeline.pages",
)


def store_of(pipeline: Pipeline) -> LocalFolderStore:
    return LocalFolderStore(pipeline.home / "objects")


def delete(pipeline: Pipeline, identifier: str) -> int:
    store = store_of(pipeline)
    what = deletable(pipeline.instance, store, identifier)
    delete_video(pipeline.instance, pipeline.database, store, what)
    return len(what.objects)


def rows_of_others(pipeline: Pipeline, gone: str) -> dict[str, list[Any]]:
    """Every row of every table but those of one video, and of what is shared only its identity."""
    owned = {
        "videos": "identifier <> :gone",
        "pipeline.sources": "identifier <> :gone",
        "clips": "moment_id IN (SELECT m.id FROM moments m JOIN videos v ON v.id = m.video_id "
        "WHERE v.identifier <> :gone)",
        "thumbnails": "cloud_url NOT LIKE '%thumbnails/' || :gone || '/%'",
        "pipeline.object_origins": "url NOT LIKE '%/' || :gone || '/%'",
        "pipeline.materialisations": "partition_key <> :gone",
        "prompts": ":gone = :gone",
    }
    found: dict[str, list[Any]] = {}
    for table in TABLES:
        if table == "generation_configs":
            query = "SELECT id, config_hash FROM generation_configs WHERE :gone = :gone ORDER BY 1"
        else:
            where = owned.get(
                table, "video_id IN (SELECT id FROM videos WHERE identifier <> :gone)"
            )
            query = f"SELECT * FROM {table} WHERE {where} ORDER BY 1"  # noqa: S608 - names of ours
        found[table] = sorted(pipeline.rows(query, gone=gone), key=repr)
    return found


def test_deleting_one_of_three_videos_that_share_a_config_changes_nothing_of_the_others(
    pipeline: Pipeline, talk_video: Path
) -> None:
    for name in ("first", "second", "third"):
        assert pipeline.run(pipeline.add_copy(name, talk_video)).row.status == "completed"
    [(shared,)] = pipeline.rows(
        "SELECT count(DISTINCT generation_config_id) FROM moments m WHERE NOT is_refined"
    )
    assert shared == 1
    others = rows_of_others(pipeline, "first")
    objects = {path for path in pipeline.objects() if "/first/" not in path}

    assert (
        delete(pipeline, "first")
        == len([url for url in others["clips"] if "/second/" in str(url)]) * 2 + 3
    )
    assert rows_of_others(pipeline, "first") == others
    assert set(pipeline.objects()) == objects
    for table in ("videos", "pipeline.sources"):
        query = f"SELECT 1 FROM {table} WHERE identifier = 'first'"  # noqa: S608 - likewise
        assert pipeline.rows(query) == []
    assert pipeline.rows("SELECT 1 FROM transcripts") == [(1,), (1,)]
    assert not pipeline.instance.has_dynamic_partition("videos", "first")
    assert pipeline.instance.has_dynamic_partition("videos", "second")
    for name in ("second", "third"):
        assert pipeline.run(name).row.status == "completed"
        assert all(pipeline.last.unchanged.values())


def test_a_deleted_video_can_be_added_again(
    pipeline: Pipeline, talk: str, talk_video: Path
) -> None:
    pipeline.run(talk)
    delete(pipeline, talk)
    assert pipeline.objects() == {}
    again = pipeline.add_copy(talk, talk_video)
    assert pipeline.run(again).row.status == "completed"
    # Dagster still has the old run; the history of the new video has its own alone.
    assert len(pipeline.instance.get_runs()) == 2
    record_all(pipeline.instance, pipeline.database)
    assert pipeline.rows("SELECT status FROM pipeline_history") == [("completed",)]


@pytest.mark.parametrize(
    "arguments",
    [["delete", "talk", "--yes"], ["gc"], ["backfill", "--dry-run"], ["history"], ["doctor"]],
)
def test_a_run_that_was_killed_before_it_began_is_closed_by_the_next_command(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    dead = create_run_for_test(
        pipeline.instance,
        job_name="full",
        status=DagsterRunStatus.NOT_STARTED,
        tags={"dagster/partition": talk},
    )
    monkeypatch.setattr(
        "videomoments_dagster.cli.context.opened_instance", lambda _: nullcontext(pipeline.instance)
    )
    done = CliRunner().invoke(main, arguments)
    assert f"The run {dead.run_id} is failed: its process is gone." in done.output
    closed = pipeline.instance.get_run_by_id(dead.run_id)
    assert closed is not None
    assert closed.status is DagsterRunStatus.FAILURE
    if arguments[0] == "delete":
        assert f"Deleted '{talk}'" in done.output


def test_what_an_interrupted_deletion_left_is_deleted_by_the_next(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    pipeline.rows("DELETE FROM videos")
    pipeline.rows("DELETE FROM pipeline.sources")

    assert delete(pipeline, talk) > 0
    assert pipeline.objects() == {}
    assert not pipeline.instance.has_dynamic_partition("videos", talk)
    with pytest.raises(ResultMissing, match="there is no video"):
        delete(pipeline, talk)


def test_a_video_whose_name_begins_like_another_keeps_its_objects(
    pipeline: Pipeline, talk_video: Path
) -> None:
    for name in ("vid1", "vid10"):
        pipeline.run(pipeline.add_copy(name, talk_video))
    kept = {path for path in pipeline.objects() if "/vid10/" in path}
    delete(pipeline, "vid1")
    assert set(pipeline.objects()) == kept


@pytest.mark.parametrize(
    "status",
    [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING],
)
def test_a_video_with_a_run_in_flight_is_not_deleted(
    pipeline: Pipeline, talk: str, status: DagsterRunStatus
) -> None:
    create_run_for_test(
        pipeline.instance, job_name="full", status=status, tags={"dagster/partition": talk}
    )
    with pytest.raises(VideoBusy, match="under way"):
        delete(pipeline, talk)
    assert pipeline.rows("SELECT identifier FROM pipeline.sources") == [(talk,)]


@pytest.mark.parametrize("name", ["../objects", "a/b", ""])
def test_only_identifiers_can_be_deleted(pipeline: Pipeline, name: str) -> None:
    with pytest.raises(IdentifierRejected):
        delete(pipeline, name)


# Looking back.


def test_history_is_the_newest_first_and_can_be_narrowed(
    pipeline: Pipeline, talk_video: Path
) -> None:
    for name in ("first", "second"):
        pipeline.run(pipeline.add_copy(name, talk_video))
    pipeline.run("first", "clips_only")

    with pipeline.database.read() as session:
        runs = run_history(session, limit=10)
        assert [(run["video"], run["pipeline_type"]) for run in runs] == [
            ("first", "clips_only"),
            ("second", "full"),
            ("first", "full"),
        ]
        assert [run["video"] for run in run_history(session, video="second", limit=10)] == [
            "second"
        ]
        assert run_history(session, status="failed", limit=10) == []
        assert len(run_history(session, limit=1)) == 1
    assert runs[0]["started_at"].endswith("Z")


def test_history_names_the_runs_and_where_the_ui_shows_them(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOMOMENTS_UI_URL", "https://ui.example.org/")
    monkeypatch.setattr(
        "videomoments_dagster.cli.context.opened_instance", lambda _: nullcontext(pipeline.instance)
    )
    run_id = pipeline.run(talk).run_id
    address = f"https://ui.example.org/runs/{run_id}"

    shown = CliRunner().invoke(main, ["history"], terminal_width=200).stdout
    assert run_id[:8] in shown
    assert address in shown
    [run] = json.loads(CliRunner().invoke(main, ["history", "--json"]).stdout)
    assert (run["run_id"], run["run_url"]) == (run_id, address)


def test_the_table_can_be_written_anew_from_the_runs(pipeline: Pipeline, talk: str) -> None:
    pipeline.run(talk)
    pipeline.run(talk, "moments_only")
    query = (
        "SELECT identifier, pipeline_type, status, started_at, completed_at, error_stage "
        "FROM pipeline_history ORDER BY identifier"
    )
    before = pipeline.rows(query)
    pipeline.rows("DELETE FROM pipeline_history")

    recorded = record_all(pipeline.instance, pipeline.database)
    assert (recorded.runs, dict(recorded.failures)) == (2, {})
    assert pipeline.rows(query) == before


@pytest.mark.parametrize("arguments", [["history", "--help"], ["delete", "--help"]])
def test_the_commands_explain_themselves(arguments: list[str]) -> None:
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0
    assert "Usage" in shown.output
