"""Reads a run's facts out of Dagster's own records.

Belongs here: Dagster's event log and run storage, as far as `pipeline_history` needs them. Does
not belong here: what a row says (`run_facts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagster import (
    AssetCheckSeverity,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    RunRecord,
)
from dagster_shared.error import SerializableErrorInfo

from videomoments_dagster.core.run_tags import FAILED_PARTS_KEY, PIPELINE_TAG
from videomoments_dagster.core.runs import PARTITION_TAG, assets_of
from videomoments_dagster.core.system import find_registered
from videomoments_dagster.moments.history.run_facts import RunFacts
from videomoments_dagster.moments.system import MOMENTS

RECORDED_EVENTS = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.ASSET_CHECK_EVALUATION,
}
"""What a run's facts are read from."""

_SHOWN_IN_ROW = frozenset({"config_hash", "moments", "clips"})


def changes_row(event: DagsterEvent) -> bool:
    """Whether an event says something that the row of a run that goes on shows."""
    return event.is_step_materialization and bool(_SHOWN_IN_ROW & metadata_of(event).keys())


def metadata_of(event: DagsterEvent) -> Mapping[str, Any]:
    """Values of the metadata of a materialisation, by name."""
    metadata = event.step_materialization_data.materialization.metadata
    return {name: getattr(value, "value", None) for name, value in metadata.items()}


def recorded_events(instance: DagsterInstance, run_id: str) -> list[DagsterEvent]:
    """The events of a run that its facts are read from, in order."""
    found = instance.get_records_for_run(run_id, of_type=RECORDED_EVENTS).records
    return [event for one in found if (event := one.event_log_entry.dagster_event) is not None]


def run_facts(
    instance: DagsterInstance, record: RunRecord, *, events: Iterable[DagsterEvent] | None = None
) -> RunFacts | None:
    """The facts of one run, or None for a run that is not one video's through our assets.

    Args:
        instance: Where the run is.
        record: The run.
        events: Its `RECORDED_EVENTS` so far, in order, where they are at hand; else they are read.
    """
    run = record.dagster_run
    video = run.tags.get(PARTITION_TAG)
    assets = frozenset(one.name for one in assets_of(run) if one.system is MOMENTS)
    if video is None or not assets:
        return None
    noted: dict[str, Any] = {
        "moments": None,
        "clips": None,
        "failed_clips": 0,
        "failed_parts": {},
        "config_hash": None,
    }
    refused: dict[str | None, str] = {}
    failed_step: str | None = None
    failure: str | None = None
    for event in recorded_events(instance, run.run_id) if events is None else events:
        if event.is_step_materialization:
            # Another code location may have an asset `other/moments`, which is not ours.
            asset = find_registered(event.asset_key) if event.asset_key else None
            if asset is not None and asset.system is MOMENTS:
                _note(noted, asset.name, metadata_of(event))
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            sentence = blocking_sentence(event)
            if sentence is not None:
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
        video=video,
        status=run.status.name,
        assets=assets,
        job=run.job_name,
        jobs={name: job.assets for name, job in MOMENTS.jobs.items()},
        created_at=record.create_timestamp.timestamp(),
        started_at=record.start_time,
        ended_at=record.end_time,
        failed_step=failed_step,
        failure=failure,
        identifier=_own_identifier(record),
        tags=dict(run.tags),
        **noted,
    )


def blocking_sentence(event: DagsterEvent) -> str | None:
    """What a blocking check said that failed; None for any other evaluation of a check.

    Dagster fails the step with the check's name alone.
    """
    evaluation = event.asset_check_evaluation_data
    failed = not evaluation.passed and evaluation.severity is AssetCheckSeverity.ERROR
    return evaluation.description if failed and evaluation.blocking else None


def _own_identifier(record: RunRecord) -> str | None:
    """The identifier that the run was given, or None if it has none yet.

    A run that is executed again hands its tags on, this one among them: an identifier from before
    the run was made is another run's.
    """
    identifier = record.dagster_run.tags.get(PIPELINE_TAG)
    made = (identifier or "").rpartition(":")[2]
    if made.isdigit() and int(made) < int(record.create_timestamp.timestamp() * 1000):
        return None
    return identifier


def root_cause(error: SerializableErrorInfo | None) -> str | None:
    """What the innermost exception said, without any stack; None where there is none."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return None
    said = error.message.strip()
    # Our own sentences need no name of a class before them; other exceptions do.
    return said.partition(": ")[2] if error.cls_name == "Failure" else said


def _note(noted: dict[str, Any], asset: str, metadata: Mapping[str, Any]) -> None:
    def number(key: str) -> int | None:
        value = metadata.get(key)
        return int(value) if isinstance(value, int | float) else None

    failed_parts = number(FAILED_PARTS_KEY)
    if failed_parts:
        noted["failed_parts"][asset] = failed_parts
    for key in ("moments", "clips"):
        if key in metadata:
            noted[key] = number(key)
    if "config_hash" in metadata:
        noted["config_hash"] = metadata["config_hash"]
    if "clips" in metadata:
        noted["failed_clips"] = number("failed") or 0
