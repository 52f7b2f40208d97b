"""Running a job for many videos: which, through whom, and what came of it.

Where a daemon runs, the backfill is one of Dagster's own: it shows in the UI, outlives this
process, and a daemon that dies goes on with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from db.session import Database
from videomoments_dagster.base.failures import SourceRejected, VideoMomentsError
from videomoments_dagster.base.text import folded
from videomoments_dagster.cli.dagster_instance import write_workspace
from videomoments_dagster.cli.running import Reporter, row_of, run_job, took
from videomoments_dagster.core.dagster_internals import heartbeat
from videomoments_dagster.core.run_tags import CODE_LOCATION, PROFILE_TAG
from videomoments_dagster.core.runs import BACKFILL_GOES_ON, BACKFILL_TAG, PARTITION_TAG
from videomoments_dagster.moments.backlog import (
    registered_videos,
    unfinished_assets,
    videos_in_flight,
)
from videomoments_dagster.moments.stored_videos import HistoryRow
from videomoments_dagster.moments.system import MOMENTS, VIDEO_PARTITIONS

_HEARTBEAT_SECONDS = 90.0
_SUBMIT_SECONDS = 300.0
_LOOK_SECONDS = 2.0

_WAITING = {DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED}


class BackfillRefused(VideoMomentsError):
    """Dagster did not take a backfill."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill would do.

    Attributes:
        job: Name of the job.
        profile: Generation profile for its runs; None for each video's own.
        videos: Videos that it would run, the newest first.
        in_flight: Videos that are left out, since a run of theirs is waiting or under way.
        assets: What is made of a video, where that is not all that the job makes.
    """

    job: str
    profile: str | None
    videos: tuple[str, ...]
    in_flight: tuple[str, ...]
    assets: Mapping[str, frozenset[str]] = field(default_factory=dict)


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


class BackfillReporter:
    """Prints how far a backfill is, with the time that is left by the pace so far."""

    def __init__(self) -> None:
        """Begin to measure the pace."""
        self._begun = time.monotonic()

    def counted(self, count: Count) -> None:
        """The numbers changed."""
        left = count.under_way + count.waiting
        parts = [f"{count.done} of {count.done + left} done"]
        parts += [f"{count.failed} failed"] if count.failed else []
        parts += [f"{count.under_way} under way", f"{count.waiting} waiting"]
        if count.done and left:
            minutes = (time.monotonic() - self._begun) / count.done * left / 60
            parts.append(f"about {minutes:.0f} min left" if minutes >= 1 else "a minute left")
        click.echo(", ".join(parts), err=True)

    def video_ended(self, video: str, row: HistoryRow) -> None:
        """One video's run ended, in this process."""
        click.echo(f"{video}: {row.status}{took(row)}", err=True)


def planned(
    instance: DagsterInstance, database: Database, *, job: str, profile: str | None, only: str
) -> Plan:
    """Choose the videos of a backfill.

    Args:
        instance: Dagster's instance.
        database: Our database.
        job: Name of a job.
        profile: Generation profile for its runs.
        only: `missing` for videos that lack something that the job makes, `stale` for those of
            which something was made from what is another by now, `failed` for those whose last run
            failed or did a part, `unfinished` for all three, `all`, or the path of a file with an
            identifier a line; `#` begins a comment.

    Raises:
        SourceRejected: The file cannot be read, or names videos that are not registered.
    """
    match only:
        case "missing" | "stale" | "unfinished" | "all":
            chosen = registered_videos(database, only, job=job)
        case "failed":
            chosen = registered_videos(database, "failed", job=job)
            # A run that failed before the video was stored is known to Dagster alone.
            failed = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE]))
            without_row = {run.tags.get(PARTITION_TAG) for run in failed} - set(chosen)
            unfinished = registered_videos(database, "unfinished", job=job)
            chosen += [video for video in unfinished if video in without_row]
        case _:
            chosen = _named_in(Path(only), set(registered_videos(database, "all", job=job)))
    busy = videos_in_flight(instance)
    # What stands is not looked at, so that a profile that somebody chose for one run is not taken
    # back; a profile that is given now is for all of the job, as is the job's own run config.
    is_plain = profile is None and not MOMENTS.jobs[job].config
    in_part = is_plain and only in ("missing", "stale", "unfinished")
    instance.add_dynamic_partitions(VIDEO_PARTITIONS, chosen)
    free = tuple(video for video in chosen if video not in busy)
    return Plan(
        job,
        profile,
        free,
        in_flight=tuple(video for video in chosen if video in busy),
        assets=unfinished_assets(database, free, job=job) if in_part else {},
    )


def _named_in(path: Path, registered: set[str]) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceRejected(
            f"the list of videos {path} cannot be read: {getattr(error, 'strerror', error)}",
            remedy="Give missing, stale, failed, unfinished, all, or a text file with an "
            "identifier a line",
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


def daemon_is_there(instance: DagsterInstance) -> bool:
    """Whether Dagster's daemon, which works on backfills, has shown itself lately."""
    return (heartbeat(instance, "BACKFILL") or 0.0) > time.time() - _HEARTBEAT_SECONDS


def launch(plan: Plan) -> list[str]:
    """Hand the plan to Dagster as backfills of its own, and give their ids.

    It is one for all videos of which the same assets are to be made; one, mostly.

    By the command `dagster-graphql`, which needs no webserver. `dagster job backfill` would make
    every run before it returns, so that a backfill that is interrupted meanwhile is not gone on
    with, and takes the videos as one argument: 128 KiB of them on Linux.

    Raises:
        BackfillRefused: Dagster did not take it, or did not answer in time.
    """
    program = [sys.executable, "-c", "from dagster_graphql.cli import main; main()"]
    with tempfile.TemporaryDirectory(prefix="videomoments-backfill-") as folder:
        workspace, mutation, answer, log = (Path(folder, name) for name in "wmal")
        write_workspace(workspace)
        mutation.write_text(_mutation(plan))
        options = [f"--workspace={workspace}", f"--file={mutation}", f"--output={answer}"]
        try:
            # Not a pipe: what the program started may hold it open after its end.
            with log.open("w") as output:
                subprocess.run(
                    [*program, *options],
                    env={**os.environ, "PYTHONSAFEPATH": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=_SUBMIT_SECONDS,
                    check=True,
                )
            result = json.loads(answer.read_text())
            launched = list((result.get("data") or {}).values())
            if launched and all("backfillId" in one for one in launched):
                return [str(one["backfillId"]) for one in launched]
            why = next((one["message"] for one in launched if "message" in one), result)
        except (OSError, ValueError, AttributeError) as error:
            why = f"its answer cannot be read: {error}"
        except subprocess.TimeoutExpired:
            why = f"no answer within {_SUBMIT_SECONDS:.0f} s"
        except subprocess.CalledProcessError:
            why = log.read_text(errors="replace").strip().rpartition("\n")[2]
    raise BackfillRefused(
        f"Dagster did not take the backfill: {folded(why)}",
        remedy="See `videomoments doctor`, or run it with --here, in this process",
    )


def _mutation(plan: Plan) -> str:
    alike: dict[frozenset[str], list[str]] = {}
    for video in plan.videos:
        alike.setdefault(plan.assets.get(video, frozenset()), []).append(video)
    launches = [_launch(plan, videos, assets) for assets, videos in alike.items()]
    numbered = (f"_{number}: {one}" for number, one in enumerate(launches))
    return f"mutation {{ {' '.join(numbered)} }}"


def _launch(plan: Plan, videos: Sequence[str], assets: Collection[str]) -> str:
    # Strings and lists of strings are written in GraphQL as in JSON.
    profile = f"{{key: {json.dumps(PROFILE_TAG)}, value: {json.dumps(plan.profile)}}}"
    title = f"videomoments backfill, {plan.job}, {len(videos)} videos"
    ours = f'{{repositoryName: "__repository__", repositoryLocationName: "{CODE_LOCATION}"}}'
    keys = (MOMENTS.assets[name].key.path for name in sorted(assets))
    selection = " ".join(f"{{path: {json.dumps(path)}}}" for path in keys)
    return f"""launchPartitionBackfill(backfillParams: {{
            selector: {{partitionSetName: "{plan.job}_partition_set", repositorySelector: {ours}}}
            partitionNames: {json.dumps(videos)}
            {f"assetSelection: [{selection}]" if selection else ""}
            tags: [{profile if plan.profile else ""}]
            title: {json.dumps(title)}
        }}) {{
            ... on LaunchBackfillSuccess {{ backfillId }}
            ... on Error {{ message }}
        }}"""


def followed(
    instance: DagsterInstance, backfills: Sequence[str], plan: Plan, *, reporter: BackfillReporter
) -> Summary:
    """Wait until the daemon is done with the backfills of a plan, and sum up."""
    of_backfill = RunsFilter(tags={BACKFILL_TAG: list(backfills)})
    last: Count | None = None
    while True:
        found = [instance.get_backfill(one) for one in backfills]
        # Of a video that was run again, the last run.
        records = instance.get_run_records(of_backfill, ascending=True)
        runs = {record.dagster_run.tags[PARTITION_TAG]: record for record in records}
        over = {video: one for video, one in runs.items() if one.dagster_run.is_finished}
        begun = [one for one in runs.values() if one.dagster_run.status not in _WAITING]
        count = Count(
            done=len(over),
            failed=sum(not one.dagster_run.is_success for one in over.values()),
            under_way=len(begun) - len(over),
            waiting=len(plan.videos) - len(begun),
        )
        if count != last:
            reporter.counted(count)
            last = count
        goes_on = any(one is not None and one.status.name in BACKFILL_GOES_ON for one in found)
        if not goes_on or len(over) == len(plan.videos):
            rows = {video: row_of(instance, record) for video, record in over.items()}
            return _summary(rows, left=tuple(one for one in plan.videos if one not in over))
        time.sleep(_LOOK_SECONDS)


def run_here(
    instance: DagsterInstance, database: Database, plan: Plan, *, reporter: BackfillReporter
) -> Summary:
    """Run the videos of a plan one after the other in this process; no daemon is needed.

    A video that fails does not keep the others from their turn.
    """
    rows: dict[str, HistoryRow | None] = {}
    for number, video in enumerate(plan.videos):
        failed = len(_summary(rows).failed)
        reporter.counted(Count(number, failed, under_way=1, waiting=len(plan.videos) - number - 1))
        rows[video] = row = run_job(
            instance,
            database,
            video=video,
            job=plan.job,
            reporter=Reporter(),
            profile=plan.profile,
            assets=plan.assets.get(video, ()),
        ).row
        reporter.video_ended(video, row)
    summary = _summary(rows)
    reporter.counted(Count(len(plan.videos), len(summary.failed), under_way=0, waiting=0))
    return summary


def _summary(rows: Mapping[str, HistoryRow | None], *, left: tuple[str, ...] = ()) -> Summary:
    partial: dict[str, str] = {}
    failed: dict[str, str] = {}
    for video, row in rows.items():
        if row is None:
            failed[video] = "it failed before its first step"
        elif row.status != "completed":
            kind = partial if row.status == "partial" else failed
            kind[video] = row.error_message or "it did not say why"
    return Summary(len(rows) - len(partial) - len(failed), partial, failed, left)
