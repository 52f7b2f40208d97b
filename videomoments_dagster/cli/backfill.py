"""Running a job for many videos: which, through whom, and what came of it.

Belongs here: the plan, Dagster's own backfill where a daemon runs, one run after the other where
none does, and the summary. Does not belong here: printing, which a `Progress` is told to do.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemotePartitionSetOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.utils import make_new_backfill_id

from db.session import Database
from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.cli.running import Reporter, run_job
from videomoments_dagster.core.run_facts import run_facts
from videomoments_dagster.core.run_tags import CODE_LOCATION, PROFILE_TAG
from videomoments_dagster.core.runs import PARTITION_TAG
from videomoments_dagster.moments.backlog import FAILED, states_of, unfinished, videos_in_flight
from videomoments_dagster.moments.history.history_row import HistoryRow, history_row
from videomoments_dagster.moments.system import MOMENTS, VIDEO_PARTITIONS

BACKFILL_TAG = "dagster/backfill"
_DAEMON = "BACKFILL"
_HEARTBEAT_SECONDS = 90.0
_LOOK_SECONDS = 2.0
_MOST_LINES = 1_000_000

_ENDED = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
_WAITING = {DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill would do.

    Attributes:
        job: Name of the job.
        profile: Generation profile for its runs; None for each video's own.
        videos: Videos that it would run, the newest first.
        in_flight: Videos that are left out, since a run of theirs is waiting or under way.
    """

    job: str
    profile: str | None
    videos: tuple[str, ...]
    in_flight: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How far a backfill is, in videos."""

    done: int
    failed: int
    under_way: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a backfill.

    Attributes:
        completed: How many videos are done.
        partial: Videos of which a part could not be done, and why.
        failed: Videos that failed, and why.
        left: Videos whose run has not ended, after the backfill was cancelled, say.
    """

    completed: int
    partial: Mapping[str, str]
    failed: Mapping[str, str]
    left: tuple[str, ...] = ()


class Progress(Protocol):
    """Is told how far a backfill is."""

    def counted(self, count: Count) -> None:
        """The numbers changed."""

    def video_ended(self, video: str, row: HistoryRow) -> None:
        """One video's run ended, in this process."""


def planned(
    instance: DagsterInstance, database: Database, *, job: str, profile: str | None, only: str
) -> Plan:
    """Choose the videos of a backfill.

    Args:
        instance: Dagster's instance.
        database: Our database.
        job: Name of a job.
        profile: Generation profile for its runs.
        only: `missing` for videos that lack something that the job makes, `failed` for those
            whose last run failed or did a part, `all`, or the path of a file with an identifier a
            line; `#` begins a comment.

    Raises:
        SourceRejected: The file cannot be read, or names videos that are not registered.
    """
    states = states_of(database, job=job)
    if only == "missing":
        chosen = [state.identifier for state in states if state.missing]
    elif only == "failed":
        chosen = [state.identifier for state in states if state.last_status in FAILED]
        chosen += _failed_before_their_first_row(instance, unfinished(states), chosen)
    elif only == "all":
        chosen = [state.identifier for state in states]
    else:
        chosen = _named_in(Path(only), {state.identifier for state in states})
    busy = videos_in_flight(instance)
    instance.add_dynamic_partitions(VIDEO_PARTITIONS, chosen)
    return Plan(
        job=job,
        profile=profile,
        videos=tuple(video for video in chosen if video not in busy),
        in_flight=tuple(video for video in chosen if video in busy),
    )


def daemon_is_there(instance: DagsterInstance) -> bool:
    """Whether Dagster's daemon, which works on backfills, has shown itself lately."""
    beat = instance.get_daemon_heartbeats().get(_DAEMON)
    return beat is not None and beat.timestamp > time.time() - _HEARTBEAT_SECONDS


def launch(instance: DagsterInstance, plan: Plan) -> str:
    """Hand the plan to Dagster's daemon as a backfill of its own; give its id.

    It shows in the UI and outlives this process; a daemon that dies goes on with it.
    """
    backfill_id = make_new_backfill_id()
    instance.add_backfill(
        PartitionBackfill(
            backfill_id=backfill_id,
            # Looked up by the location's name alone, however the daemon reaches it.
            partition_set_origin=RemotePartitionSetOrigin(
                repository_origin=RemoteRepositoryOrigin(
                    code_location_origin=RegisteredCodeLocationOrigin(CODE_LOCATION),
                    repository_name="__repository__",
                ),
                partition_set_name=f"{plan.job}_partition_set",
            ),
            status=BulkActionStatus.REQUESTED,
            partition_names=list(plan.videos),
            from_failure=False,
            tags={PROFILE_TAG: plan.profile} if plan.profile else {},
            backfill_timestamp=time.time(),
            title=f"videomoments backfill, {plan.job}, {len(plan.videos)} videos",
        )
    )
    return backfill_id


def followed(
    instance: DagsterInstance, backfill_id: str, plan: Plan, *, progress: Progress
) -> Summary:
    """Wait until the daemon is done with a backfill, and sum up."""
    last: Count | None = None
    while True:
        backfill = instance.get_backfill(backfill_id)
        runs = _runs(instance, backfill_id)
        states = Counter(record.dagster_run.status for record in runs.values())
        ended = sum(states[status] for status in _ENDED)
        waiting = sum(states[status] for status in _WAITING)
        count = Count(
            done=ended,
            failed=ended - states[DagsterRunStatus.SUCCESS],
            under_way=len(runs) - ended - waiting,
            waiting=waiting + len(plan.videos) - len(runs),
        )
        if count != last:
            progress.counted(count)
            last = count
        over = backfill is None or backfill.status not in (
            BulkActionStatus.REQUESTED,
            BulkActionStatus.CANCELING,
            BulkActionStatus.FAILING,
        )
        if over or ended == len(plan.videos):
            return _summary(instance, plan, runs)
        time.sleep(_LOOK_SECONDS)


def run_here(
    instance: DagsterInstance,
    database: Database,
    plan: Plan,
    *,
    reporter: Callable[[str], Reporter],
    progress: Progress,
) -> Summary:
    """Run the videos of a plan one after the other in this process; no daemon is needed.

    A video that fails does not keep the others from their turn.

    Args:
        instance: Dagster's instance.
        database: Our database.
        plan: What to do.
        reporter: Makes, for a video, what is told of its run.
        progress: Is told how far it is.
    """
    partial: dict[str, str] = {}
    failed: dict[str, str] = {}
    completed = 0
    for number, video in enumerate(plan.videos):
        progress.counted(
            Count(
                done=number, failed=len(failed), under_way=1, waiting=len(plan.videos) - number - 1
            )
        )
        outcome = run_job(
            instance,
            database,
            video=video,
            job=plan.job,
            reporter=reporter(video),
            profile=plan.profile,
        )
        progress.video_ended(video, outcome.row)
        if outcome.row.status == "completed":
            completed += 1
        else:
            worst = partial if outcome.row.status == "partial" else failed
            worst[video] = _why(outcome.row)
    progress.counted(Count(done=len(plan.videos), failed=len(failed), under_way=0, waiting=0))
    return Summary(completed=completed, partial=partial, failed=failed)


def _failed_before_their_first_row(
    instance: DagsterInstance, candidates: list[str], known: list[str]
) -> Iterator[str]:
    """Videos whose run failed before the video was stored: only Dagster knows of those."""
    failed = {
        run.tags.get(PARTITION_TAG)
        for run in instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE]))
    }
    yield from (video for video in candidates if video in failed and video not in known)


def _named_in(path: Path, registered: set[str]) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[:_MOST_LINES]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceRejected(
            f"the list of videos {path} cannot be read: {getattr(error, 'strerror', error)}",
            remedy="Give missing, failed, all, or a text file with an identifier a line",
        ) from error
    named = dict.fromkeys(name for line in lines if (name := line.partition("#")[0].strip()))
    unknown = [name for name in named if name not in registered]
    if unknown:
        shown = ", ".join(f"'{name}'" for name in unknown[:10])
        raise SourceRejected(
            f"{len(unknown)} of the videos in {path} are not registered: {shown}",
            remedy="Register them with `videomoments add`, or take them off the list",
        )
    return list(named)


def _runs(instance: DagsterInstance, backfill_id: str) -> dict[str, RunRecord]:
    """The last run of each video in a backfill, by video."""
    records = instance.get_run_records(RunsFilter(tags={BACKFILL_TAG: backfill_id}), ascending=True)
    return {
        record.dagster_run.tags[PARTITION_TAG]: record
        for record in records
        if PARTITION_TAG in record.dagster_run.tags
    }


def _summary(instance: DagsterInstance, plan: Plan, runs: Mapping[str, RunRecord]) -> Summary:
    partial: dict[str, str] = {}
    failed: dict[str, str] = {}
    completed = 0
    left = [video for video in plan.videos if video not in runs]
    for video, record in runs.items():
        if record.dagster_run.status not in _ENDED:
            left.append(video)
            continue
        facts = run_facts(instance, record, MOMENTS)
        row = None if facts is None else history_row(facts)
        if row is not None and row.status == "completed":
            completed += 1
        elif row is not None and row.status == "partial":
            partial[video] = _why(row)
        else:
            failed[video] = "it failed before its first step" if row is None else _why(row)
    return Summary(completed=completed, partial=partial, failed=failed, left=tuple(left))


def _why(row: HistoryRow) -> str:
    return row.error_message or "it did not say why"
