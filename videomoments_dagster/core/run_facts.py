"""What Dagster knows of one run, as plain values: what every system's history is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster import (
    AssetCheckSeverity,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    RunRecord,
)

from videomoments_dagster.core.dagster_internals import ErrorInfo, events_of_run
from videomoments_dagster.core.runs import PARTITION_TAG, assets_of
from videomoments_dagster.core.systems import System, find_registered

RECORDED_EVENTS = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.ASSET_CHECK_EVALUATION,
}
"""What a run's facts are read from."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What Dagster knows of one run of one partition.

    Attributes:
        run_id: Dagster's id of the run.
        partition: Partition key.
        status: Name of Dagster's status, such as "SUCCESS".
        assets: Names of the system's assets that the run was to materialise.
        created_at: When the run record was made, seconds since the epoch.
        job: Name of the job that it ran.
        jobs: Assets of each job that the system has, by its name.
        started_at: When it began to execute, seconds since the epoch; None if it never did.
        ended_at: When it ended, seconds since the epoch; None while it has not.
        materialised: Metadata of the materialisations so far, by asset.
        failed_step: Step that failed, if one did.
        failure: What the failed step or run said.
        tags: The run's tags.
    """

    run_id: str
    partition: str
    status: str
    assets: frozenset[str]
    created_at: float
    job: str = ""
    jobs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    materialised: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failed_step: str | None = None
    failure: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def run_facts(
    instance: DagsterInstance,
    record: RunRecord,
    system: System,
    *,
    events: Iterable[DagsterEvent] | None = None,
) -> RunFacts | None:
    """The facts of one run, or None for a run that is not one partition's of this system.

    Args:
        instance: Where the run is.
        record: The run.
        system: Whose assets count.
        events: Its `RECORDED_EVENTS` so far, in order, where they are at hand; else they are read.
    """
    run = record.dagster_run
    partition = run.tags.get(PARTITION_TAG)
    assets = frozenset(one.name for one in assets_of(run) if one.system is system)
    if partition is None or not assets:
        return None
    materialised: dict[str, Mapping[str, Any]] = {}
    refused: dict[str | None, str] = {}
    failed_step: str | None = None
    failure: str | None = None
    if events is None:
        events = events_of_run(instance, run.run_id, RECORDED_EVENTS)
    for event in events:
        if event.is_step_materialization:
            # Another code location may have an asset `other/moments`, which is not ours.
            asset = find_registered(event.asset_key) if event.asset_key else None
            if asset is not None and asset.system is system:
                materialised[asset.name] = metadata_of(event)
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            if (sentence := blocking_sentence(event)) is not None:
                refused.setdefault(event.step_key, sentence)
        elif event.is_step_failure and failed_step is None:
            failed_step = event.step_key
            data = event.step_failure_data
            described = data.user_failure_data.description if data.user_failure_data else None
            failure = described or refused.get(event.step_key) or root_cause(data.error)
        elif event.event_type == DagsterEventType.RUN_FAILURE and failure is None:
            # A run that never began has no such data: Dagster's daemon failed it.
            error = getattr(event.event_specific_data, "error", None)
            failure = root_cause(error) or event.message
    return RunFacts(
        run_id=run.run_id,
        partition=partition,
        status=run.status.name,
        assets=assets,
        created_at=record.create_timestamp.timestamp(),
        job=run.job_name,
        jobs={name: job.assets for name, job in system.jobs.items()},
        started_at=record.start_time,
        ended_at=record.end_time,
        materialised=materialised,
        failed_step=failed_step,
        failure=failure,
        tags=dict(run.tags),
    )


def metadata_of(event: DagsterEvent) -> Mapping[str, Any]:
    """Values of the metadata of a materialisation, by name."""
    metadata = event.step_materialization_data.materialization.metadata
    return {name: getattr(value, "value", None) for name, value in metadata.items()}


def blocking_sentence(event: DagsterEvent) -> str | None:
    """What a blocking check said that failed; None for any other evaluation of a check.

    Dagster fails the step with the check's name alone.
    """
    evaluation = event.asset_check_evaluation_data
    failed = not evaluation.passed and evaluation.severity is AssetCheckSeverity.ERROR
    return evaluation.description if failed and evaluation.blocking else None


def root_cause(error: ErrorInfo | None) -> str | None:
    """What the innermost exception said, without any stack; None where there is none."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return None
    said = error.message.strip()
    # Our own sentences need no name of a class before them; other exceptions do.
    return said.partition(": ")[2] if error.cls_name == "Failure" else said
