"""Working through many videos: the schedule, and the command `backfill` without a daemon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from hypothesis import given
from hypothesis import strategies as st
from pipeline import Pipeline

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.cli.backfill import (
    BackfillRefused,
    Count,
    Plan,
    launch,
    planned,
    run_here,
)
from videomoments_dagster.cli.main import main
from videomoments_dagster.core.settings import load_settings
from videomoments_dagster.definitions import build_definitions, resources_for
from videomoments_dagster.moments.backlog import due_videos
from videomoments_dagster.moments.stored_videos import HistoryRow


@pytest.fixture
def kept(pipeline: Pipeline, tmp_path: Path) -> Iterator[Pipeline]:
    """The pipeline with an instance on disk: schedules open theirs anew by its reference."""
    folder = tmp_path / "dagster"
    folder.mkdir()
    with DagsterInstance.local_temp(str(folder)) as instance:
        pipeline.instance = instance
        yield pipeline


def requested(pipeline: Pipeline) -> list[str]:
    """Videos for which a tick of the schedule requests runs."""
    definitions = build_definitions()
    schedule = definitions.resolve_schedule_def("unfinished_videos")
    context = dg.build_schedule_context(
        instance=pipeline.instance,
        scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC),
        resources={"backlog": resources_for(load_settings())["backlog"]},
    )
    with context:
        result = schedule(context)
    if isinstance(result, dg.SkipReason):
        return []
    assert all(request.run_key for request in result)
    return [str(request.partition_key) for request in result]


def plan(pipeline: Pipeline, only: str, job: str = "full", profile: str | None = None) -> Plan:
    return planned(pipeline.instance, pipeline.database, job=job, profile=profile, only=only)


class Noted:
    """Keeps what a backfill told."""

    def __init__(self) -> None:
        self.counts: list[Count] = []
        self.ended: dict[str, str] = {}

    def counted(self, count: Count) -> None:
        self.counts.append(count)

    def video_ended(self, video: str, row: HistoryRow) -> None:
        self.ended[video] = row.status


# The schedule.


def test_the_schedule_requests_what_is_missing_newest_first_and_nothing_twice(
    kept: Pipeline, talk_video: Path
) -> None:
    for name in ("first", "second", "third"):
        kept.add_copy(name, talk_video)
    assert requested(kept) == ["third", "second", "first"]
    kept.run("second")
    assert requested(kept) == ["third", "first"]
    create_run_for_test(
        kept.instance,
        job_name="full",
        status=DagsterRunStatus.NOT_STARTED,
        tags={"dagster/partition": "third"},
    )
    assert requested(kept) == ["first"]


def test_a_missing_part_makes_a_video_due_again(kept: Pipeline, talk_video: Path) -> None:
    talk = kept.add_copy("talk", talk_video)
    kept.run(talk)
    assert requested(kept) == []
    kept.rows("DELETE FROM pipeline.materialisations WHERE asset = 'clips'")
    assert requested(kept) == [talk]


def test_what_failed_is_not_tried_again_at_once(
    kept: Pipeline, talk_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = kept.add_copy("talk", talk_video)
    [(location,)] = kept.rows("SELECT location FROM pipeline.sources")
    kept.rows("UPDATE pipeline.sources SET location = '/nowhere.mp4'")
    assert kept.run(talk).row.status == "failed"
    assert requested(kept) == []
    monkeypatch.setenv("VIDEOMOMENTS_BACKLOG_RETRY_HOURS", "0")
    assert requested(kept) == [talk]
    kept.rows("UPDATE pipeline.sources SET location = :location", location=location)
    assert kept.run(talk).row.status == "completed"
    assert requested(kept) == []


def test_a_tick_requests_no_more_than_it_is_told(
    kept: Pipeline, talk_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "third"):
        kept.add_copy(name, talk_video)
    monkeypatch.setenv("VIDEOMOMENTS_BACKLOG_RUNS", "2")
    assert requested(kept) == ["third", "second"]


@pytest.mark.parametrize("variable", ["BACKLOG", "HOUSEKEEPING"])
def test_the_clock_is_a_setting(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(f"VIDEOMOMENTS_{variable}_CRON", "15 3 * * 1")
    definitions = build_definitions()
    name = {"BACKLOG": "unfinished_videos", "HOUSEKEEPING": "nightly_housekeeping"}[variable]
    schedule = definitions.resolve_schedule_def(name)
    assert schedule.cron_schedule == "15 3 * * 1"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


names = st.lists(st.text("abc", min_size=1, max_size=2), max_size=12, unique=True)


@given(names, names, names, st.integers(0, 12))
def test_due_videos_keep_their_order_and_are_never_excluded_unregistered_or_too_many(
    candidates: list[str], excluded: list[str], registered: list[str], most: int
) -> None:
    due = due_videos(
        candidates, excluded=excluded, is_registered=registered.__contains__, most=most
    )
    allowed = [video for video in candidates if video in registered and video not in excluded]
    assert due == allowed[:most]


# The command.


def test_a_backfill_runs_what_is_missing_and_names_each_failure(
    pipeline: Pipeline, talk_video: Path
) -> None:
    for name in ("first", "second", "third"):
        pipeline.add_copy(name, talk_video)
    pipeline.run("first")
    (pipeline.home / "second.mp4").unlink()
    chosen = plan(pipeline, "missing")
    assert (chosen.videos, chosen.in_flight) == (("third", "second"), ())

    noted = Noted()
    summary = run_here(
        pipeline.instance,
        pipeline.database,
        chosen,
        reporter=noted,
    )
    assert summary.completed == 1
    assert list(summary.failed) == ["second"]
    assert "second.mp4" in summary.failed["second"]
    assert noted.ended == {"third": "completed", "second": "failed"}
    assert noted.counts[0] == Count(done=0, failed=0, under_way=1, waiting=1)
    assert noted.counts[-1] == Count(done=2, failed=1, under_way=0, waiting=0)
    assert plan(pipeline, "failed").videos == ("second",)
    assert plan(pipeline, "missing").videos == ("second",)
    assert set(plan(pipeline, "all").videos) == {"first", "second", "third"}


def test_a_backfill_with_another_profile_keeps_clips_of_moments_that_stay(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    before = dict(
        pipeline.rows("SELECT identifier, cloud_url FROM clips JOIN moments m ON m.id = moment_id")
    )
    objects = pipeline.objects()
    for job in ("moments_only", "clips_only"):
        summary = run_here(
            pipeline.instance,
            pipeline.database,
            plan(pipeline, "all", job, "short"),
            reporter=Noted(),
        )
        assert summary.completed == 1
    after = dict(
        pipeline.rows("SELECT identifier, cloud_url FROM clips JOIN moments m ON m.id = moment_id")
    )
    assert after
    assert set(after) != set(before)
    for same in set(after) & set(before):
        assert after[same] == before[same]
    assert all(pipeline.objects()[path] == time for path, time in objects.items())


def test_a_video_that_is_worked_on_is_left_out(pipeline: Pipeline, talk: str) -> None:
    create_run_for_test(
        pipeline.instance,
        job_name="full",
        status=DagsterRunStatus.STARTED,
        tags={"dagster/partition": talk},
    )
    assert plan(pipeline, "all") == Plan(job="full", profile=None, videos=(), in_flight=(talk,))


def test_a_list_may_have_comments_and_must_name_registered_videos(
    pipeline: Pipeline, talk: str, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"# these\n{talk}  # twice\n\n{talk}\n")
    assert plan(pipeline, str(listed)).videos == (talk,)
    listed.write_text("unknown\n")
    with pytest.raises(SourceRejected, match=r"1 of the videos .* not registered: 'unknown'"):
        plan(pipeline, str(listed))
    with pytest.raises(SourceRejected, match="cannot be read"):
        plan(pipeline, str(tmp_path / "none.txt"))


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "videomoments_dagster.cli.dagster_instance.prepare_instance", lambda _: None
    )
    monkeypatch.setattr("dagster.DagsterInstance.get", lambda: pipeline.instance)
    shown = CliRunner().invoke(main, ["backfill", "--dry-run", "--only", "all"])
    assert shown.exit_code == 0, shown.output
    assert "full for 1 videos, in this process, one by one." in shown.output
    assert f"  {talk}\n" in shown.output
    assert pipeline.rows("SELECT 1 FROM videos") == []


def test_dagster_takes_a_backfill_as_it_was_planned_or_says_why_not(
    pipeline: Pipeline, talk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("videos", [talk])
        [only] = launch(
            Plan(job="clips_only", profile='a "b" \u00fc', videos=(talk,), in_flight=())
        )
        backfill = instance.get_backfill(only)
        instance.add_dynamic_partitions("videos", ["other"])
        in_part = {"other": frozenset({"clips", "thumbnails"})}
        both = launch(
            Plan("full", profile=None, videos=(talk, "other"), in_flight=(), assets=in_part)
        )
        found = [one for name in both if (one := instance.get_backfill(name)) is not None]
    assert [(one.partition_names, one.asset_selection) for one in found] == [
        ([talk], None),
        (["other"], [dg.AssetKey("clips"), dg.AssetKey("thumbnails")]),
    ]
    assert backfill is not None
    assert backfill.partition_set_name == "clips_only_partition_set"
    assert backfill.partition_names == [talk]
    assert backfill.tags == {"videomoments/profile": 'a "b" \u00fc'}
    assert backfill.title == "videomoments backfill, clips_only, 1 videos"

    with pytest.raises(BackfillRefused, match=r"did not take the backfill: .*nobody"):
        launch(Plan(job="full", profile=None, videos=("nobody",), in_flight=()))
    (home / "dagster.yaml").write_text("storage: nonsense")
    with pytest.raises(BackfillRefused, match=r"did not take the backfill: .*storage"):
        launch(Plan(job="full", profile=None, videos=(talk,), in_flight=()))
