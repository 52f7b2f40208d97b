"""The sensor that keeps `pipeline_history` in step with Dagster's runs."""

# Dagster compares `updated_after` with the class in the caller's module; `import datetime` there
# made it raise TypeError.
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from videomoments_dagster.core.resources import DatabaseResource
from videomoments_dagster.moments.history.recording import record_runs

RUNS_PER_TICK = 500
_SECONDS_PER_TICK = 25.0
"""Dagster ends a tick after 60 s; a tick that ends before has lost nothing."""

_OVERLAP = timedelta(minutes=2)
"""How far behind the cursor a run may turn up.

It is stamped before its transaction commits, by the clock of whatever machine changed it.
"""


class HistoryCursor(BaseModel):
    """How far the table follows Dagster's runs, as Dagster keeps it between ticks.

    Attributes:
        after: When the last run changed that was looked at; None for none.
        seen: Those that were looked at and changed within the overlap before it, by id, with the
            time of their change in microseconds since 1970.
        again: Ids of runs that could not be recorded, to be tried again.
    """

    model_config = ConfigDict(frozen=True)

    after: AwareDatetime | None = None
    seen: dict[str, int] = {}
    again: tuple[str, ...] = ()

    @classmethod
    def parsed(cls, text: str | None) -> "HistoryCursor":
        """Read what `text` wrote; anything else means to start from the first run again."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()

    def text(self) -> str:
        """Write it for Dagster to keep."""
        return self.model_dump_json()

    def advanced(self, looked_at: Iterable[RunRecord], *, again: Iterable[str]) -> "HistoryCursor":
        """The cursor after these runs were looked at."""
        seen = self.seen | {_id(record): _changed_at(record) for record in looked_at}
        after = self.after
        if seen:
            latest = _EPOCH + timedelta(microseconds=max(seen.values()))
            after = latest if after is None else max(after, latest)
            oldest = (after - _OVERLAP - _EPOCH) // _MICROSECOND
            seen = {run: at for run, at in seen.items() if at > oldest}
        return HistoryCursor(after=after, seen=seen, again=tuple(again))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dg.sensor(
    name="pipeline_history",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="""Keeps the table 'pipeline_history' in step with Dagster's runs.

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
    records = {_id(record): record for record in changed}
    others = [RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])]
    if cursor.again:
        others.append(RunsFilter(run_ids=list(cursor.again)))
    for runs in others:
        for record in context.instance.get_run_records(runs):
            records.setdefault(_id(record), record)
    written = 0
    failures: dict[str, Exception] = {}
    looked_at: list[RunRecord] = []
    for record in records.values():
        if looked_at and time.monotonic() > deadline:
            break
        recorded = record_runs(context.instance, database.database, [record])
        written += recorded.runs
        failures.update(recorded.failures)
        looked_at.append(record)
    if len(failures) > RUNS_PER_TICK:
        raise dg.DagsterInvariantViolationError(
            f"{len(failures)} runs could not be written into pipeline_history; the log "
            "says why. The cursor stays where it is."
        )
    not_tried = [run for run in cursor.again if run not in {_id(one) for one in looked_at}]
    # A run that is under way is looked at by its status; only its changes move the cursor.
    again = dict.fromkeys([*failures, *not_tried])
    context.update_cursor(cursor.advanced(looked_at[: len(changed)], again=again).text())
    said = f"{written} rows of pipeline_history are up to date."
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
    at = record.update_timestamp
    # Dagster's own is UTC, with or without saying so.
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
