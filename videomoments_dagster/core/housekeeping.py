"""Housekeeping: what is removed for its age, and runs that are closed after their process."""

import json
import time

import dagster as dg

from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.resources import (
    DatabaseResource,
    GarbageResource,
    LanguageModelsResource,
)
from videomoments_dagster.core.runs import run_in_flight, watch_runs


@dg.op(retry_policy=RETRY_OUTSIDE)
def remove_old_model_calls(
    context: dg.OpExecutionContext, language_models: LanguageModelsResource
) -> None:
    """Removes records of model calls, and answers kept for resuming, for their age.

    They are older than VIDEOMOMENTS_MODEL_LOG_DAYS.
    """
    with failures_reported(None, step="remove_old_model_calls"):
        removed = language_models.remove_old_records()
        forgotten = language_models.forget_old_answers()
    context.log.info("Removed %d records of model calls and %d kept answers.", removed, forgotten)


@dg.op(retry_policy=RETRY_OUTSIDE)
def collect_garbage(context: dg.OpExecutionContext, garbage: GarbageResource) -> None:
    """Removes objects that no row refers to, older than VIDEOMOMENTS_GC_GRACE_HOURS.

    Nothing goes of a partition that is being worked on.
    """
    with failures_reported(None, step="collect_garbage"):
        found = garbage.found()
        removed = garbage.removed(
            found, in_flight=lambda one: run_in_flight(context.instance, one) is not None
        )
    context.log.info(
        "Looked at %d objects; removed %d of %d bytes together, and %d unfinished files; %d are too"
        " young to tell; spared while they run: %s.",
        *(found.looked_at, removed.objects, removed.size_bytes, removed.unfinished),
        *(found.too_young, ", ".join(removed.spared) or "none"),
    )


@dg.job(executor_def=dg.in_process_executor)
def housekeeping() -> None:
    """Removes what has passed its age, and what nothing refers to.

    Reads rows and lists objects; removes records of model calls and kept answers that are older
    than VIDEOMOMENTS_MODEL_LOG_DAYS, and objects that no row names. Writes nothing, and spares
    partitions that are being worked on. If it fails, the database or the object store is away;
    nothing is lost, and the next run removes the rest.
    """
    remove_old_model_calls()
    collect_garbage()


def nightly_housekeeping(cron: str) -> dg.ScheduleDefinition:
    """The schedule of it; off until somebody switches it on."""
    return dg.ScheduleDefinition(
        name="nightly_housekeeping",
        job=housekeeping,
        cron_schedule=cron,
        execution_timezone="UTC",
        description="""Runs 'housekeeping' every night.

The time is VIDEOMOMENTS_HOUSEKEEPING_CRON. It reads and writes nothing itself. If it fails, no run
was requested; the next night asks again, and the job can be launched by hand. Off until it is
switched on.""",
    )


@dg.sensor(
    name="abandoned_runs",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="""Fails runs whose process is gone, after a power cut, say.

Every run holds a lock in our database while it lives. This reads the locks, and writes the end of
runs into Dagster's records and 'pipeline_history'. One that is under way and has held none for
90 seconds is marked as failed, so that it takes no place in the queue any more and its
partition can be run again. It launches nothing. If it fails, the next tick looks again.""",
)
def abandoned_runs(
    context: dg.SensorEvaluationContext, database: DatabaseResource
) -> dg.SkipReason:
    """Look at all runs that are under way, and remember which of them seem dead."""
    before = _cursor(context.cursor)
    watch = watch_runs(context.instance, database.database, silent_since=before, now=time.time())
    context.update_cursor(json.dumps(dict(watch.silent_since)))
    said = f"{len(watch.silent_since)} runs that are under way seem dead, and are watched."
    for run_id in watch.closed:
        said += f" The run {run_id} is failed: its process is gone."
    return dg.SkipReason(said)


def _cursor(text: str | None) -> dict[str, float]:
    """What the last tick wrote; anything else means that nothing was seen before."""
    try:
        return {str(run_id): float(at) for run_id, at in json.loads(text or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
