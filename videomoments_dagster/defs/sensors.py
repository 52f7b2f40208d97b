"""Sensors: what happens without anybody asking.

Belongs here: one sensor per thing that is watched, and its cursor. Does not belong here: what is
done about it.
"""

# Dagster compares `updated_after` with the class in the caller's module; `import datetime` there
# made it raise TypeError.
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from videomoments_dagster.history.recording import record_runs
from videomoments_dagster.resources.database import DatabaseResource

RUNS_PER_TICK = 200
_OVERLAP = timedelta(seconds=2)
"""Runs are stamped before their transaction commits, so one may turn up behind the cursor."""


@dataclass(frozen=True, slots=True)
class HistoryCursor:
    """How far the table follows Dagster's runs.

    Attributes:
        after: Runs that changed later than this are to be looked at; None for all.
        again: Ids of runs that could not be recorded, to be tried again.
    """

    after: datetime | None = None
    again: tuple[str, ...] = ()

    @classmethod
    def parsed(cls, text: str | None) -> "HistoryCursor":
        """Read what `text` wrote; anything else means to start from the first run again."""
        try:
            body = json.loads(text or "{}")
            after = body.get("after")
            return cls(
                after=None if after is None else _utc(datetime.fromisoformat(after)),
                again=tuple(map(str, body.get("again", ()))),
            )
        except (ValueError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """Write it for Dagster to keep."""
        return json.dumps(
            {
                "after": None if self.after is None else self.after.isoformat(),
                "again": list(self.again),
            }
        )


@dg.sensor(
    name="pipeline_history",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="""Keeps the table `pipeline_history` in step with Dagster's runs.

Follows all runs by the time of their last change, whoever launched them, and brings the rows of
runs in progress up to date. It launches nothing. If it fails, the next tick goes on from where
the last good one stopped; a single run that cannot be recorded is tried again at every tick.""",
)
def pipeline_history(
    context: dg.SensorEvaluationContext, database: DatabaseResource
) -> dg.SkipReason:
    """Record what changed since the cursor, what is still running, and what failed before."""
    cursor = HistoryCursor.parsed(context.cursor)
    changed = _changed(context.instance, cursor.after)
    others = [
        *_runs(context.instance, statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]),
        *(_runs(context.instance, run_ids=list(cursor.again)) if cursor.again else ()),
    ]
    # By id, since a run can be in several of these.
    records = {record.dagster_run.run_id: record for record in (*others, *changed)}
    recorded = record_runs(context.instance, database.database, records.values())
    if len(recorded.failures) > RUNS_PER_TICK:
        raise dg.DagsterInvariantViolationError(
            f"{len(recorded.failures)} runs could not be written into pipeline_history; the log "
            "says why. The cursor stays where it is."
        )
    after = max((_utc(record.update_timestamp) for record in changed), default=cursor.after)
    context.update_cursor(HistoryCursor(after=after, again=tuple(recorded.failures)).text())
    said = f"{recorded.runs} rows of pipeline_history are up to date."
    for run_id, error in recorded.failures.items():
        said += f" The run {run_id} is tried again, since {type(error).__name__}: {error}."
    return dg.SkipReason(said)


def _changed(instance: DagsterInstance, after: datetime | None) -> Sequence[RunRecord]:
    """The next runs that changed after `after`, in order of their change, and the overlap.

    Many runs can change at once, a backfill's when it is launched; where all that fit lie in the
    overlap, more are taken, else the cursor would never move.
    """
    limit = RUNS_PER_TICK
    while True:
        records = instance.get_run_records(
            RunsFilter(updated_after=after - _OVERLAP) if after else None,
            order_by="update_timestamp",
            ascending=True,
            limit=limit,
        )
        if len(records) < limit or after is None or _utc(records[-1].update_timestamp) > after:
            return records
        limit *= 2


def _runs(
    instance: DagsterInstance,
    *,
    statuses: list[DagsterRunStatus] | None = None,
    run_ids: list[str] | None = None,
) -> Sequence[RunRecord]:
    return instance.get_run_records(RunsFilter(statuses=statuses, run_ids=run_ids))


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


SENSORS = [pipeline_history]
