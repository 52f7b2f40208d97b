"""Runs of partitions: whose they are, which are in flight, and those whose process is gone.

Dagster fails a run whose process died if its code server saw it die. After a power cut, or where a
run was a process of the command line, nobody did: the record says STARTED for ever, or NOT_STARTED
where the process got no further, and keeps its place in the queue.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter

from db.run_claims import living_runs
from db.session import Database
from videomoments_dagster.core.dagster_internals import code_location_of, fail_dead_run
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.run_tags import CODE_LOCATION
from videomoments_dagster.core.systems import RegisteredAsset, System, all_systems, find_registered

PARTITION_TAG = "dagster/partition"
BACKFILL_TAG = "dagster/backfill"

BACKFILL_GOES_ON = {"REQUESTED", "CANCELING", "FAILING"}
"""Dagster's statuses of a backfill that is not over."""

IN_FLIGHT = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
"""Dagster's statuses of runs that are waiting or under way."""


def assets_of(run: DagsterRun) -> list[RegisteredAsset]:
    """The assets that a run selected, of those that are ours."""
    if run.asset_selection:
        # Another code location may have an asset `other/video`, which is not ours.
        return [asset for key in run.asset_selection if (asset := find_registered(key))]
    return [
        system.assets[name]
        for system in all_systems()
        if run.job_name in system.jobs
        for name in system.jobs[run.job_name].assets
    ]


def systems_of(run: DagsterRun) -> list[System]:
    """The systems whose partitions a run works on or looks at."""
    selected = {asset.system for asset in assets_of(run)}
    return [one for one in all_systems() if one in selected or one.check_job == run.job_name]


def may_work_on(run: DagsterRun, system: str) -> bool:
    """Whether a run works on a partition of that system, or nobody can tell of which."""
    systems = systems_of(run)
    return not systems or any(one.name == system for one in systems)


def run_in_flight(instance: DagsterInstance, partition: Partition) -> str | None:
    """Id of a run of the partition that is waiting or under way; None if there is none."""
    running = instance.get_runs(RunsFilter(tags={PARTITION_TAG: partition.key}, statuses=IN_FLIGHT))
    return next((run.run_id for run in running if may_work_on(run, partition.system)), None)


PATIENCE_SECONDS = 90.0
"""How long a run may seem dead: PostgreSQL may restart, a step of its own may be starting."""

MESSAGE = "The process of this run is gone: it was killed, or its machine went down."

LAUNCH_SECONDS = 600.0
"""How long a daemon may take over one step of a launch: Dagster itself gives up after 180."""

START_SECONDS = 30.0
"""How long a launched run may take from its start to its claim, on a machine that is busy."""

# A run in the queue is the queue's: it begins when there is a daemon again.
_MAY_BE_DEAD = [status for status in IN_FLIGHT if status is not DagsterRunStatus.QUEUED]

_ONE_LOOK_SECONDS = 4.0
"""Longer than a living run takes to be seen again after the database was away."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a look at the runs found.

    Attributes:
        silent_since: Runs that seem dead, and since when, in seconds since 1970.
        closed: Ids of those that were dead for long enough, and are failed now.
    """

    silent_since: Mapping[str, float]
    closed: tuple[str, ...]


def watch_runs(
    instance: DagsterInstance, database: Database, *, silent_since: Mapping[str, float], now: float
) -> Watch:
    """Look at all runs of partitions that somebody should be at, and fail those that are long dead.

    Args:
        instance: Dagster's instance.
        database: Our database.
        silent_since: What the look before found.
        now: Seconds since 1970.
    """
    silent = _silent(instance, database, now=now)
    since = {run.run_id: silent_since.get(run.run_id, now) for run in silent}
    dead = [run for run in silent if now - since[run.run_id] >= PATIENCE_SECONDS]
    closed = _fail(instance, dead)
    return Watch({run_id: at for run_id, at in since.items() if run_id not in closed}, closed)


def close_abandoned_runs(instance: DagsterInstance, database: Database) -> tuple[str, ...]:
    """Fail runs whose process is gone; for somebody who is about to run something.

    Takes a few seconds where there is one, for a second look, and none where there is none. Runs of
    other partitions count too: a dead one may have a pool's last place.

    Returns:
        Ids of the runs that were failed.
    """
    silent = {run.run_id for run in _silent(instance, database, now=time.time())}
    if not silent:
        return ()
    time.sleep(_ONE_LOOK_SECONDS)
    still = _silent(instance, database, now=time.time())
    return _fail(instance, [run for run in still if run.run_id in silent])


def _silent(instance: DagsterInstance, database: Database, *, now: float) -> list[DagsterRun]:
    """Runs of our partitions that a process should be at, and none seems to be."""
    records = instance.get_run_records(RunsFilter(statuses=_MAY_BE_DEAD))
    runs = [
        record.dagster_run
        for record in records
        # Another project's job may be called the same. Those of the command line have no location.
        if PARTITION_TAG in record.dagster_run.tags
        and systems_of(record.dagster_run)
        and code_location_of(record.dagster_run) in (None, CODE_LOCATION)
        and not _is_being_launched(instance, record, now=now)
    ]
    living = living_runs(database, [run.run_id for run in runs])
    return [run for run in runs if run.run_id not in living]


def _is_being_launched(instance: DagsterInstance, record: RunRecord, *, now: float) -> bool:
    """Whether a daemon or webserver may be at a run that has no process of its own yet, or no more.

    Also where its process has said that it begins, and may be on the way to its claim. One of the
    command line says that it lives before there is a record of its run.
    """
    run = record.dagster_run
    if code_location_of(run) is None:
        return False
    silent_seconds = now - record.update_timestamp.timestamp()
    if run.status is DagsterRunStatus.STARTED:
        return silent_seconds < START_SECONDS
    backfill = instance.get_backfill(run.tags[BACKFILL_TAG]) if BACKFILL_TAG in run.tags else None
    is_submitting = backfill is not None and backfill.status.name in BACKFILL_GOES_ON
    if run.status is DagsterRunStatus.NOT_STARTED and is_submitting:
        return True
    return silent_seconds < LAUNCH_SECONDS


def _fail(instance: DagsterInstance, runs: Sequence[DagsterRun]) -> tuple[str, ...]:
    for run in runs:
        fail_dead_run(instance, run, MESSAGE)
    return tuple(run.run_id for run in runs)
