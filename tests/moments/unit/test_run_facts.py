"""From a run to its row of pipeline_history."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imitated_runs import JOB_ASSETS

from videomoments_dagster.core.run_facts import RunFacts
from videomoments_dagster.moments.history.history_row import (
    history_row,
    pipeline_identifier,
    pipeline_type,
)

FACTS = RunFacts(
    run_id="r",
    partition="motivation",
    status="SUCCESS",
    assets=JOB_ASSETS["full"],
    jobs=JOB_ASSETS,
    created_at=1767610697.193,
    started_at=1767610700.0,
    ended_at=1767611600.0,
    materialised={"moments": {"moments": 5}, "clips": {"clips": 5}},
)


def with_metadata(**more: dict[str, int]) -> RunFacts:
    """The same run, whose assets said more."""
    said = {
        asset: dict(FACTS.materialised.get(asset, {})) | more.get(asset, {})
        for asset in {*FACTS.materialised, *more}
    }
    return replace(FACTS, materialised=said)


def test_a_successful_run_is_completed_with_its_duration_and_counts() -> None:
    row = history_row(FACTS)
    assert row is not None
    assert (row.identifier, row.status) == ("pipeline:motivation:1767610697193", "completed")
    assert (row.duration_seconds, row.total_moments_generated, row.total_clips_created) == (
        900.0,
        5,
        5,
    )
    assert (row.error_stage, row.error_message) == (None, None)
    assert row.started_at.isoformat() == "2026-01-05T10:58:20"
    assert row.started_at.tzinfo is None


def test_a_run_in_progress_has_no_end() -> None:
    row = history_row(replace(FACTS, status="STARTED", ended_at=None))
    assert row is not None
    assert (row.status, row.completed_at, row.duration_seconds) == ("running", None, None)


@pytest.mark.parametrize("status", ["QUEUED", "NOT_STARTED"])
def test_a_run_that_waits_has_no_row(status: str) -> None:
    assert history_row(replace(FACTS, status=status, started_at=None, ended_at=None)) is None


def test_a_clip_that_could_not_be_cut_makes_a_run_partial() -> None:
    row = history_row(with_metadata(clips={"clips": 4, "failed": 1}))
    assert row is not None
    assert (row.status, row.error_stage) == ("partial", "clips")
    assert "1 clips could not be cut" in str(row.error_message)


def test_a_failed_run_names_its_stage_and_what_it_said() -> None:
    row = history_row(
        replace(FACTS, status="FAILURE", failed_step="transcript", failure="No model.")
    )
    assert row is not None
    assert (row.status, row.error_stage, row.error_message) == (
        "failed",
        "transcript",
        "No model.",
    )


def test_a_cancelled_run_is_failed_and_says_so() -> None:
    row = history_row(replace(FACTS, status="CANCELED"))
    assert row is not None
    assert (row.status, row.error_message) == ("failed", "The run was cancelled.")


def test_a_run_that_failed_before_it_started_counts_from_its_creation() -> None:
    row = history_row(replace(FACTS, status="FAILURE", started_at=None))
    assert row is not None
    assert row.duration_seconds == pytest.approx(1767611600.0 - 1767610697.193)


def test_the_identifier_that_a_run_was_given_stays() -> None:
    row = history_row(FACTS, identifier="pipeline:motivation:1")
    assert row is not None
    assert row.identifier == "pipeline:motivation:1"


@pytest.mark.parametrize("job", JOB_ASSETS)
def test_a_selection_like_a_jobs_is_called_like_the_job(job: str) -> None:
    assert pipeline_type(JOB_ASSETS[job], job=job, jobs=JOB_ASSETS) == job


def test_a_selection_made_by_hand_is_called_like_the_first_job_that_has_it() -> None:
    selection = JOB_ASSETS["moments_only"]
    assert pipeline_type(selection, jobs=JOB_ASSETS) == "moments_only"
    assert pipeline_type(selection, job="__ASSET_JOB", jobs=JOB_ASSETS) == "moments_only"
    assert pipeline_type(selection, job="full", jobs=JOB_ASSETS) == "moments_only"


def test_a_run_with_unanswered_windows_is_partial_and_says_where() -> None:
    row = history_row(with_metadata(moments={"failed_parts": 2}))
    assert row is not None
    assert row.status == "partial"
    assert row.error_stage == "moments"
    assert row.error_message == "2 parts of moments could not be done; the run's log says why."


def test_failed_windows_and_failed_clips_are_told_together() -> None:
    row = history_row(with_metadata(moments={"failed_parts": 2}, clips={"failed": 1}))
    assert row is not None
    assert row.error_stage == "moments"
    assert row.error_message == (
        "2 parts of moments could not be done, 1 clips could not be cut; the run's log says why."
    )


def test_other_selections_are_named_by_their_assets() -> None:
    assert pipeline_type(frozenset({"transcript"}), jobs=JOB_ASSETS) == "transcript_only"
    assert pipeline_type(frozenset({"video", "transcript"}), jobs=JOB_ASSETS) == "transcript+video"


@given(st.sets(st.sampled_from(sorted(JOB_ASSETS["full"])), min_size=1))
def test_every_selection_has_a_type_that_fits_its_column(assets: set[str]) -> None:
    assert 0 < len(pipeline_type(frozenset(assets), jobs=JOB_ASSETS)) <= 50


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}", fullmatch=True),
    st.floats(0, 4_000_000_000),
)
def test_every_identifier_fits_its_column(video: str, created_at: float) -> None:
    made = pipeline_identifier(video=video, created_at=created_at)
    assert len(made) <= 100
    assert made.endswith(f":{int(created_at * 1000)}")


def test_long_identifiers_with_one_beginning_stay_apart() -> None:
    a, b = ("x" * 254 + last for last in "ab")
    assert pipeline_identifier(video=a, created_at=1) != pipeline_identifier(video=b, created_at=1)
