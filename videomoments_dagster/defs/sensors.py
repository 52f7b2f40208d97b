"""Sensors: what happens without anybody asking.

Belongs here: one sensor per thing that is watched, and its cursor. Does not belong here: what is
done about it.
"""

# Dagster compares `updated_after` with the class in the caller's module; `import datetime` there
# made it raise TypeError.
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from videomoments_dagster.history.recording import record_runs
from videomoments_dagster.resources.database import DatabaseResource

RUNS_PER_TICK = 200
_OVERLAP = timedelta(seconds=2)
"""Runs are stamped before their transaction commits, so one may turn up behind the cursor."""


@dg.sensor(
    name="pipeline_history",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="""Keeps the table `pipeline_history` in step with Dagster's runs.

Follows all runs by the time of their last change, whoever launched them, and brings the rows of
runs in progress up to date. It launches nothing. If it fails, the next tick goes on from where
the last good one stopped.""",
)
def pipeline_history(
    context: dg.SensorEvaluationContext, database: DatabaseResource
) -> dg.SkipReason:
    """Record what changed since the cursor, and what is still running."""
    after = _parsed(context.cursor)
    changed = context.instance.get_run_records(
        RunsFilter(updated_after=after - _OVERLAP) if after else None,
        order_by="update_timestamp",
        ascending=True,
        limit=RUNS_PER_TICK,
    )
    seen = {record.dagster_run.run_id for record in changed}
    running = [
        record
        for record in context.instance.get_run_records(
            RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]),
            limit=RUNS_PER_TICK,
        )
        if record.dagster_run.run_id not in seen
    ]
    written = record_runs(context.instance, database.database, [*changed, *running])
    if changed:
        latest = max(record.update_timestamp for record in changed)
        context.update_cursor(_utc(latest).isoformat())
    return dg.SkipReason(f"{written} rows of pipeline_history are up to date.")


def _parsed(cursor: str | None) -> datetime | None:
    return datetime.fromisoformat(cursor) if cursor else None


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


SENSORS = [pipeline_history]
