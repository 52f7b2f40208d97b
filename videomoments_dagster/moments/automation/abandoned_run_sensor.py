"""The sensor that closes the records of runs whose process is gone.

Belongs here: its cursor. Does not belong here: what a dead run is (`history.abandoned_runs`).
"""

import json
import time

import dagster as dg

from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.core.runs import watch_runs


@dg.sensor(
    name="abandoned_runs",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="""Fails runs whose process is gone, after a power cut, say.

Every run holds a lock in our database while it lives. This reads the locks, and writes the end of
runs into Dagster's records and `pipeline_history`. One that is under way and has held none for
90 seconds is marked as failed, so that it takes no place in the queue any more and its video can
be run again. It launches nothing. If it fails, the next tick looks again.""",
)
def abandoned_runs(
    context: dg.SensorEvaluationContext, database: DatabaseResource
) -> dg.SkipReason:
    """Look at all runs that are under way, and remember which of them seem dead."""
    watch = watch_runs(
        context.instance,
        database.database,
        silent_since=_cursor(context.cursor),
        now=time.time(),
    )
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
