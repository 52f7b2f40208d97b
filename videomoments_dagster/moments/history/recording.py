"""Writing runs into `pipeline_history`, and reading that table across videos."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any

from dagster import DagsterEvent, DagsterInstance, DagsterRun, RunRecord, RunsFilter
from sqlalchemy import exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from db.session import Database
from videomoments_dagster.base.failures import DatabaseProblem
from videomoments_dagster.core.dagster_internals import add_run_tags, hidden_tag
from videomoments_dagster.core.run_facts import RunFacts, run_facts
from videomoments_dagster.core.run_tags import FORGOTTEN_TAG, PIPELINE_TAG
from videomoments_dagster.core.runs import PARTITION_TAG, systems_of
from videomoments_dagster.moments.history.history_row import (
    WAITING_STATUSES,
    config_hash_of,
    history_row,
    own_identifier,
    pipeline_identifier,
)
from videomoments_dagster.moments.stored_videos import HistoryRow
from videomoments_dagster.moments.system import MOMENTS

CONFIG_TAG = hidden_tag("videomoments/config")
"""`config_hash` of the generation config that the run used."""

_CONFIG_TAG_BEFORE = "videomoments/config"
"""Its name in records from before it was hidden."""

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

    def is_first_of_video(record: RunRecord) -> bool:
        run_id = record.dagster_run.run_id
        try:
            first = _record(instance, database, record, events.get(run_id))
        except DatabaseProblem:
            raise
        except Exception as error:
            _logger.exception("The run %s could not be written into pipeline_history.", run_id)
            failures[run_id] = error
            return False
        if first is not None:
            written.add(run_id)
        return bool(first)

    for record in records:
        if is_first_of_video(record):
            for other in _others_of_video(instance, record):
                is_first_of_video(other)
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
    cursor: str | None = None
    while page := instance.get_run_records(limit=RUNS_PER_PAGE, cursor=cursor, ascending=True):
        recorded = record_runs(instance, database, page)
        runs += recorded.runs
        failures.update(recorded.failures)
        cursor = page[-1].dagster_run.run_id
    return Recorded(runs=runs, failures=failures)


def forget_runs(instance: DagsterInstance, video: str) -> int:
    """Mark the runs of a video that is deleted, so that they get no row again; how many.

    Dagster keeps its records of them. A video that is added again under the name has a history of
    its own, also after `history rebuild`.
    """
    cursor, marked = None, 0
    of_video = RunsFilter(tags={PARTITION_TAG: video})
    while page := instance.get_runs(of_video, limit=RUNS_PER_PAGE, cursor=cursor):
        for run in page:
            if MOMENTS in systems_of(run) and not _is_forgotten(run):
                add_run_tags(instance, run.run_id, {FORGOTTEN_TAG: run.run_id})
                marked += 1
        cursor = page[-1].run_id
    return marked


def _is_forgotten(run: DagsterRun) -> bool:
    return run.tags.get(FORGOTTEN_TAG) == run.run_id


def _others_of_video(instance: DagsterInstance, record: RunRecord) -> list[RunRecord]:
    """The newest other runs of the same video, which had to wait for its first row.

    A page of them: more would be longer than a tick of the sensor may take, which comes to later
    runs by itself; a rebuild comes to all.
    """
    run = record.dagster_run
    of_video = RunsFilter(tags={PARTITION_TAG: run.tags[PARTITION_TAG]})
    newest = instance.get_run_records(of_video, limit=RUNS_PER_PAGE)
    return [other for other in reversed(newest) if other.dagster_run.run_id != run.run_id]


def _record(
    instance: DagsterInstance,
    database: Database,
    record: RunRecord,
    events: Sequence[DagsterEvent] | None,
) -> bool | None:
    """Whether it is the first row of its video; None where the run gets no row yet."""
    if record.dagster_run.status.name in WAITING_STATUSES:
        # Thousands of these wait while a backfill runs; their events need not be read.
        return None
    if _is_forgotten(record.dagster_run):
        return None
    facts = run_facts(instance, record, MOMENTS, events=events)
    if facts is None:
        return None
    row = history_row(facts, identifier=own_identifier(facts) or _free_identifier(instance, facts))
    if row is None:
        return None
    with database.transaction() as session:
        target = _target(session, facts)
        if target is None:
            return None
        video_id, config_id, config_hash = target
        rows = exists().where(models.PipelineHistory.video_id == video_id)
        first = not session.scalar(select(rows))
        _upsert(session, row, video_id=video_id, config_id=config_id)
    tags = {PIPELINE_TAG: row.identifier, CONFIG_TAG: config_hash}
    new = {key: value for key, value in tags.items() if facts.tags.get(key) != value}
    if new:
        add_run_tags(instance, facts.run_id, new)
    return first


def _free_identifier(instance: DagsterInstance, facts: RunFacts) -> str:
    """The run's identifier; some milliseconds later where another run was made in the same one.

    How many is drawn from a range that doubles, so that each of thousands that were made at once
    asks a dozen times; the draw is the run's own.
    """
    draw = random.Random(facts.run_id)  # noqa: S311
    latest = 1
    while True:
        later = draw.randrange(latest) * _MILLISECOND
        identifier = pipeline_identifier(video=facts.partition, created_at=facts.created_at + later)
        holders = instance.get_run_records(RunsFilter(tags={PIPELINE_TAG: identifier}), limit=2)
        if all(record.dagster_run.run_id == facts.run_id for record in holders):
            return identifier
        latest *= 2


def _target(session: Session, facts: RunFacts) -> tuple[int, int, str] | None:
    """Ids of the run's video and config, and the config's hash; None where one is missing.

    The config is the one that the run itself chose, else the one that it is tagged with, which
    is the one that the video used when the run was first recorded.
    """
    video, config, choice = models.Video, models.GenerationConfig, models.SelectedConfig
    video_id = session.scalar(select(video.id).where(video.identifier == facts.partition))
    if video_id is None:
        return None
    configs = select(config.id, config.config_hash)
    tagged = facts.tags.get(CONFIG_TAG) or facts.tags.get(_CONFIG_TAG_BEFORE)
    its_own = configs.where(config.config_hash == (config_hash_of(facts) or tagged))
    selected = configs.join(choice, choice.generation_config_id == config.id).where(
        choice.video_id == video_id
    )
    found = session.execute(its_own).one_or_none() or session.execute(selected).one_or_none()
    return None if found is None else (video_id, found.id, found.config_hash)


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


def run_history(
    session: Session, *, video: str | None = None, status: str | None = None, limit: int
) -> list[dict[str, Any]]:
    """Runs, the newest first.

    Args:
        session: A session.
        video: Identifier of one video; None for all.
        status: Only runs of this status; None for all.
        limit: How many at most.

    Returns:
        A document a run, with times as ISO 8601 in UTC.
    """
    columns = (getattr(models.PipelineHistory, column.name) for column in fields(HistoryRow))
    wanted = (
        select(models.Video.identifier.label("video"), *columns)
        .join(models.Video, models.Video.id == models.PipelineHistory.video_id)
        .order_by(models.PipelineHistory.started_at.desc(), models.PipelineHistory.id.desc())
        .limit(limit)
    )
    if video is not None:
        wanted = wanted.where(models.Video.identifier == video)
    if status is not None:
        wanted = wanted.where(models.PipelineHistory.status == status)
    return [
        {
            name: f"{value.isoformat(timespec='milliseconds')}Z"
            if isinstance(value, datetime)
            else value
            for name, value in row.items()
        }
        for row in session.execute(wanted).mappings()
    ]


def with_run_ids(
    runs: Sequence[dict[str, Any]], instance: DagsterInstance, *, ui_url: str
) -> list[dict[str, Any]]:
    """Rows of the history with Dagster's id of each run, and where the UI shows it.

    Args:
        runs: What `run_history` gave.
        instance: Dagster's instance. Of a run that it has forgotten, both are None.
        ui_url: Address of the UI.
    """
    wanted = RunsFilter(tags={PIPELINE_TAG: [run["identifier"] for run in runs]})
    known = instance.get_runs(wanted) if runs else []
    ids = {run.tags[PIPELINE_TAG]: run.run_id for run in known}
    return [
        {**run, "run_id": run_id, "run_url": run_id and f"{ui_url.rstrip('/')}/runs/{run_id}"}
        for run in runs
        for run_id in [ids.get(run["identifier"])]
    ]
