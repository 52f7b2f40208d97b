"""The sensor that keeps `pipeline_history` in step with Dagster's runs."""

# Dagster compares `updated_after` with the class in the caller's module; `import datetime` there
# made it raise TypeError.
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from videomoments_dagster.core.resources import DatabaseResource
from videomoments_dagster.moments.history.recording import Recorded, record_runs

RUNS_PER_TICK = 500
_SECONDS_PER_TICK = 25.0
"""Dagster ends a tick after 60 s; a tick that ends before has lost nothing."""

_OVERLAP = timedelta(minutes=2)
"""How far behind the cursor a run may turn up.

It is stamped before its transaction commits, by the clock of whatever machine changed it.
"""


@dataclass(frozen=True, slots=True)
class HistoryCursor:
    """How far the table follows Dagster's runs.

    Attributes:
        after: When the last run changed that was looked at; None for none.
        seen: Those that were looked at and changed within the overlap before it, by id, with the
            time of their change in microseconds since 1970.
        again: Ids of runs that could not be recorded, to be tried again.
    """

    after: datetime | None = None
    seen: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    again: tuple[str, ...] = ()

    @classmethod
    def parsed(cls, text: str | None) -> "HistoryCursor":
        """Read what `text` wrote; anything else means to start from the first run again."""
        try:
            body = json.loads(text or "{}")
            after = body.get("after")
            return cls(
                after=None if after is None else _utc(datetime.fromisoformat(after)),
                seen={str(run): int(at) for run, at in body.get("seen", {}).items()},
                again=tuple(map(str, body.get("again", ()))),
            )
        except (ValueError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """Write it for Dagster to keep."""
        return json.dumps(
            {
                "after": None if self.after is None else self.after.isoformat(),
                "seen": dict(self.seen),
                "again": list(self.again),
            }
        )

    def advanced(self, looked_at: Iterable[RunRecord], *, again: Iterable[str]) -> "HistoryCursor":
        """The cursor after these runs were looked at."""
        seen = {**self.seen, **{_id(record): _changed_at(record) for record in looked_at}}
        latest = max(seen.values(), default=None)
        if latest is None:
            return HistoryCursor(after=self.after, again=tuple(again))
        after = max(filter(None, (self.after, _EPOCH + timedelta(microseconds=latest))))
        oldest = (after - _OVERLAP - _EPOCH) // _MICROSECOND
        return HistoryCursor(
            after=after,
            seen={run: at for run, at in seen.items() if at > oldest},
            again=tuple(again),
        )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dg.sensor(
    name="pipeline_history",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="""Keeps the table `pipeline_history` in step with Dagster's runs.

Reads all runs by the time of their last change, whoever launched them, and writes a row for each;
those of runs in progress are brought up to date. It launches nothing. If it fails, the next tick
goes on from where the last good one stopped; a single run that cannot be recorded is tried again at
every tick.""",
)
def pipeline_history(
    context: dg.SensorEvaluationContext, database: DatabaseResource
) -> dg.SkipReason:
    """Record what changed since the cursor, what is still running, and what failed before."""
    cursor = HistoryCursor.parsed(context.cursor)
    deadline = time.monotonic() + _SECONDS_PER_TICK
    changed = _changed(context.instance, cursor)
    others = [
        *_runs(context.instance, statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]),
        *(_runs(context.instance, run_ids=list(cursor.again)) if cursor.again else ()),
    ]
    known = {_id(record) for record in changed}
    recorded = Recorded()
    failures: dict[str, Exception] = {}
    looked_at: list[RunRecord] = []
    for record in (*changed, *(one for one in others if _id(one) not in known)):
        if looked_at and time.monotonic() > deadline:
            break
        one = record_runs(context.instance, database.database, [record])
        recorded = replace(recorded, runs=recorded.runs + one.runs)
        failures.update(one.failures)
        looked_at.append(record)
    if len(failures) > RUNS_PER_TICK:
        raise dg.DagsterInvariantViolationError(
            f"{len(failures)} runs could not be written into pipeline_history; the log "
            "says why. The cursor stays where it is."
        )
    unfinished = [run for run in cursor.again if run not in {_id(one) for one in looked_at}]
    # A run that is under way is looked at by its status; only its changes move the cursor.
    advanced = [one for one in looked_at if _id(one) in known]
    context.update_cursor(
        cursor.advanced(advanced, again=dict.fromkeys([*failures, *unfinished])).text()
    )
    said = f"{recorded.runs} rows of pipeline_history are up to date."
    for run_id, error in failures.items():
        said += f" The run {run_id} is tried again, since {type(error).__name__}: {error}."
    return dg.SkipReason(said)


def _changed(instance: DagsterInstance, cursor: HistoryCursor) -> Sequence[RunRecord]:
    """The next runs that changed, in order of their change, without those that were looked at.

    No more than a tick's worth, also where thousands changed at once, a backfill's, say: those of
    the overlap that were looked at are left out, so that each tick comes further.
    """
    records = instance.get_run_records(
        RunsFilter(updated_after=cursor.after - _OVERLAP) if cursor.after else None,
        order_by="update_timestamp",
        ascending=True,
        limit=len(cursor.seen) + RUNS_PER_TICK,
    )
    new = [record for record in records if cursor.seen.get(_id(record)) != _changed_at(record)]
    return new[:RUNS_PER_TICK]


def _id(record: RunRecord) -> str:
    return record.dagster_run.run_id


def _changed_at(record: RunRecord) -> int:
    """Microseconds since 1970."""
    return (_utc(record.update_timestamp) - _EPOCH) // _MICROSECOND


def _runs(
    instance: DagsterInstance,
    *,
    statuses: list[DagsterRunStatus] | None = None,
    run_ids: list[str] | None = None,
) -> Sequence[RunRecord]:
    return instance.get_run_records(RunsFilter(statuses=statuses, run_ids=run_ids))


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
