"""Which videos still need a run.

Belongs here: the choice, from what is stored and from the runs that Dagster has. Does not belong
here: SQL, launching runs, or when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from itertools import islice

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from db.session import Database
from videomoments_dagster.core.runs import IN_FLIGHT, PARTITION_TAG
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.moments.unfinished_videos import (
    VideoState,
    unfinished_videos,
    video_states,
)

FAILED = ("failed", "partial")


def unfinished(states: Iterable[VideoState]) -> list[str]:
    """Videos that something is missing of, or whose last run did not do all; in their order."""
    return [state.identifier for state in states if state.missing or state.last_status in FAILED]


def states_of(database: Database, *, job: str) -> list[VideoState]:
    """The states of all registered videos with regard to a job's assets, the newest first."""
    with database.read() as session:
        return list(video_states(session, MOMENTS.jobs[job].assets))


def videos_in_flight(instance: DagsterInstance) -> set[str]:
    """Videos with a run that is waiting or under way."""
    return _videos(instance, RunsFilter(statuses=IN_FLIGHT))


def videos_failed_since(instance: DagsterInstance, since: datetime) -> set[str]:
    """Videos with a run that failed or was cancelled lately.

    A run that failed before its video was stored has no row in `pipeline_history`; Dagster knows it
    all the same.

    Args:
        instance: Dagster's instance.
        since: Runs that changed after this time count.
    """
    ended = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
    return _videos(instance, RunsFilter(statuses=ended, updated_after=since))


def videos_to_finish(database: Database, *, job: str) -> list[str]:
    """The same of all registered videos, without reading those that are done; newest first."""
    with database.read() as session:
        return unfinished_videos(session, MOMENTS.jobs[job].assets, failed=FAILED)


def due_videos(
    candidates: Iterable[str],
    *,
    excluded: Collection[str],
    is_registered: Callable[[str], bool],
    most: int,
) -> list[str]:
    """The first videos that are to be run now.

    Args:
        candidates: Videos that need a run, the most urgent first.
        excluded: Videos that are worked on, or were tried lately.
        is_registered: Whether Dagster has a partition of that key. It is asked one by one, since
            reading all keys of a large archive takes longer than all else.
        most: How many at most.
    """
    wanted = (video for video in candidates if video not in excluded and is_registered(video))
    return list(islice(wanted, most))


def _videos(instance: DagsterInstance, runs: RunsFilter) -> set[str]:
    tags = (record.dagster_run.tags for record in instance.get_run_records(runs))
    return {one[PARTITION_TAG] for one in tags if PARTITION_TAG in one}
