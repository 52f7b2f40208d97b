"""Writes runs into `pipeline_history`.

Belongs here: the one function that everything calls which keeps the table current: the sensor,
the command line, and a rebuild. Does not belong here: what a row says (`run_facts`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

from dagster import DagsterEvent, DagsterInstance, RunRecord, RunsFilter
from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from db.session import Database
from videomoments_dagster.base.failures import DatabaseProblem
from videomoments_dagster.core.dagster_internals import add_run_tags
from videomoments_dagster.core.run_facts import RunFacts, run_facts
from videomoments_dagster.core.run_tags import CONFIG_TAG, PIPELINE_TAG
from videomoments_dagster.core.runs import PARTITION_TAG
from videomoments_dagster.moments.history.history_row import (
    WAITING_STATUSES,
    config_hash_of,
    history_row,
    own_identifier,
    pipeline_identifier,
)
from videomoments_dagster.moments.stored_videos import HistoryRow
from videomoments_dagster.moments.system import MOMENTS

RUNS_PER_PAGE = 200

_MILLISECOND = 0.001

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of some runs.

    Attributes:
        runs: How many runs have a row that is up to date.
        failures: Why others have none, by run id; each is worth another attempt.
    """

    runs: int = 0
    failures: Mapping[str, Exception] = field(default_factory=lambda: MappingProxyType({}))


def record_runs(
    instance: DagsterInstance,
    database: Database,
    records: Iterable[RunRecord],
    *,
    events: Mapping[str, Sequence[DagsterEvent]] = MappingProxyType({}),
) -> Recorded:
    """Bring the rows of these runs up to date; each run in a transaction of its own.

    A run whose video or config is not stored yet has no row; the columns are NOT NULL. It gets
    its row as soon as they are there: with its own next change, or when a later run of the same
    video writes its first row.

    A run that cannot be recorded does not keep the others from it.

    Args:
        instance: Where the runs are.
        database: Our database.
        records: The runs.
        events: Their `RECORDED_EVENTS` by run id, of those where they are at hand.

    Raises:
        DatabaseProblem: If the database cannot be worked with at all, which is no run's fault.
    """
    written: set[str] = set()
    failures: dict[str, Exception] = {}

    def attempt(record: RunRecord) -> _Outcome:
        run_id = record.dagster_run.run_id
        try:
            outcome = _record(instance, database, record, events.get(run_id))
        except DatabaseProblem:
            raise
        except Exception as error:
            _logger.exception("The run %s could not be written into pipeline_history.", run_id)
            failures[run_id] = error
            return _Outcome()
        if outcome.written:
            written.add(run_id)
        return outcome

    for record in records:
        if attempt(record).first_of_video:
            for other in _others_of_video(instance, record):
                attempt(other)
    return Recorded(runs=len(written), failures=failures)


def record_run(
    instance: DagsterInstance,
    database: Database,
    run_id: str,
    *,
    events: Sequence[DagsterEvent] | None = None,
) -> int:
    """Bring the row of one run up to date, and say how many rows that concerned.

    Args:
        instance: Where the run is.
        database: Our database.
        run_id: The run.
        events: Its `RECORDED_EVENTS` so far, where they are at hand.

    Raises:
        DatabaseProblem: If the database cannot be worked with.
        Exception: Whatever kept this run from being recorded.
    """
    recorded = record_runs(
        instance,
        database,
        instance.get_run_records(RunsFilter(run_ids=[run_id])),
        events={} if events is None else {run_id: events},
    )
    if run_id in recorded.failures:
        raise recorded.failures[run_id]
    return recorded.runs


def record_all(instance: DagsterInstance, database: Database) -> Recorded:
    """Bring the rows of all runs that Dagster knows up to date, oldest first.

    This is how the table is rebuilt, whatever happened to it. Rows of runs that Dagster has
    forgotten are left alone.
    """
    runs = 0
    failures: dict[str, Exception] = {}
    for page in _pages(instance, RunsFilter()):
        recorded = record_runs(instance, database, page)
        runs += recorded.runs
        failures.update(recorded.failures)
    return Recorded(runs=runs, failures=failures)


def _others_of_video(instance: DagsterInstance, record: RunRecord) -> list[RunRecord]:
    """The newest other runs of the same video, which had to wait for its first row.

    A page of them: more would be longer than a tick of the sensor may take, which comes to later
    runs by itself; a rebuild comes to all.
    """
    run = record.dagster_run
    of_video = RunsFilter(tags={PARTITION_TAG: run.tags[PARTITION_TAG]})
    newest = instance.get_run_records(of_video, limit=RUNS_PER_PAGE)
    return [other for other in reversed(newest) if other.dagster_run.run_id != run.run_id]


@dataclass(frozen=True, slots=True)
class _Outcome:
    written: bool = False
    first_of_video: bool = False


def _record(
    instance: DagsterInstance,
    database: Database,
    record: RunRecord,
    events: Sequence[DagsterEvent] | None,
) -> _Outcome:
    if record.dagster_run.status.name in WAITING_STATUSES:
        # Thousands of these wait while a backfill runs; their events need not be read.
        return _Outcome()
    facts = run_facts(instance, record, MOMENTS, events=events)
    if facts is None:
        return _Outcome()
    row = history_row(facts, identifier=own_identifier(facts) or _free_identifier(instance, facts))
    if row is None:
        return _Outcome()
    with database.transaction() as session:
        target = _target(session, facts)
        if target is None:
            return _Outcome()
        video_id, config_id, config_hash = target
        first = (
            session.scalar(
                select(models.PipelineHistory.id)
                .where(models.PipelineHistory.video_id == video_id)
                .limit(1)
            )
            is None
        )
        _upsert(session, row, video_id=video_id, config_id=config_id)
    tags = {PIPELINE_TAG: row.identifier, CONFIG_TAG: config_hash}
    new = {key: value for key, value in tags.items() if facts.tags.get(key) != value}
    if new:
        add_run_tags(instance, facts.run_id, new)
    return _Outcome(written=True, first_of_video=first)


def _free_identifier(instance: DagsterInstance, facts: RunFacts) -> str:
    """The run's identifier; a millisecond later where another run was made in the same one."""
    created_at = facts.created_at
    while True:
        identifier = pipeline_identifier(video=facts.partition, created_at=created_at)
        holders = instance.get_run_records(RunsFilter(tags={PIPELINE_TAG: identifier}), limit=2)
        if all(record.dagster_run.run_id == facts.run_id for record in holders):
            return identifier
        created_at += _MILLISECOND


def _target(session: Session, facts: RunFacts) -> tuple[int, int, str] | None:
    """Ids of the run's video and config, and the config's hash; None where one is missing.

    The config is the one that the run itself chose, else the one that it is tagged with, which
    is the one that the video used when the run was first recorded.
    """
    video_id = session.scalar(
        select(models.Video.id).where(models.Video.identifier == facts.partition)
    )
    if video_id is None:
        return None
    hashed = config_hash_of(facts) or facts.tags.get(CONFIG_TAG)
    config = None
    if hashed is not None:
        config = session.execute(
            select(models.GenerationConfig.id, models.GenerationConfig.config_hash).where(
                models.GenerationConfig.config_hash == hashed
            )
        ).one_or_none()
    if config is None:
        config = session.execute(
            select(models.GenerationConfig.id, models.GenerationConfig.config_hash)
            .join(
                models.SelectedConfig,
                models.SelectedConfig.generation_config_id == models.GenerationConfig.id,
            )
            .where(models.SelectedConfig.video_id == video_id)
        ).one_or_none()
    return None if config is None else (video_id, config.id, config.config_hash)


def _upsert(session: Session, row: HistoryRow, *, video_id: int, config_id: int) -> None:
    values = {**asdict(row), "video_id": video_id, "generation_config_id": config_id}
    statement = insert(models.PipelineHistory).values(**values)
    changing = {name: statement.excluded[name] for name in values if name != "identifier"}
    columns = models.PipelineHistory.__table__.c
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[models.PipelineHistory.identifier],
            set_=changing,
            # A row that is right already is not written again every few seconds.
            where=or_(*(columns[name].is_distinct_from(new) for name, new in changing.items())),
        )
    )


def _pages(instance: DagsterInstance, filters: RunsFilter) -> Iterator[list[RunRecord]]:
    """All runs of a filter, oldest first, a page at a time."""
    cursor: str | None = None
    while True:
        page = list(
            instance.get_run_records(filters, limit=RUNS_PER_PAGE, cursor=cursor, ascending=True)
        )
        if page:
            yield page
        if len(page) < RUNS_PER_PAGE:
            return
        cursor = page[-1].dagster_run.run_id
