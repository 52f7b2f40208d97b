"""Writes runs into `pipeline_history`.

Belongs here: the one function that everything calls which keeps the table current: the sensor,
the command line, and a rebuild. Does not belong here: what a row says (`run_facts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from dagster import DagsterInstance, RunRecord, RunsFilter
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from db.session import Database
from videomoments_dagster.defs.run_tags import CONFIG_TAG, PIPELINE_TAG
from videomoments_dagster.history.dagster_runs import PARTITION_TAG, run_facts
from videomoments_dagster.history.run_facts import HistoryRow, RunFacts, history_row

EARLIER_RUNS = 25
"""How many earlier runs of a video are looked at when its first row is written."""


def record_runs(instance: DagsterInstance, database: Database, records: Iterable[RunRecord]) -> int:
    """Bring the rows of these runs up to date; each run in a transaction of its own.

    A run whose video or config is not stored yet has no row; the columns are NOT NULL. It gets
    its row as soon as they are there: with its own next change, or when a later run of the same
    video writes its first row.

    Returns:
        How many rows were written.
    """
    written = 0
    for record in records:
        facts = run_facts(instance, record)
        if facts is None:
            continue
        outcome = _record(instance, database, facts)
        written += outcome.written
        if outcome.first_of_video:
            for earlier in _earlier_runs(instance, facts):
                earlier_facts = run_facts(instance, earlier)
                if earlier_facts is not None:
                    written += _record(instance, database, earlier_facts).written
    return written


def record_run(instance: DagsterInstance, database: Database, run_id: str) -> int:
    """The same for one run by its id."""
    return record_runs(instance, database, instance.get_run_records(RunsFilter(run_ids=[run_id])))


class _Outcome:
    def __init__(self, *, written: bool, first_of_video: bool) -> None:
        self.written = written
        self.first_of_video = first_of_video


def _record(instance: DagsterInstance, database: Database, facts: RunFacts) -> _Outcome:
    row = history_row(facts)
    if row is None:
        return _Outcome(written=False, first_of_video=False)
    with database.transaction() as session:
        target = _target(session, facts)
        if target is None:
            return _Outcome(written=False, first_of_video=False)
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
        instance.add_run_tags(facts.run_id, new)
    return _Outcome(written=True, first_of_video=first)


def _target(session: Session, facts: RunFacts) -> tuple[int, int, str] | None:
    """Ids of the run's video and config, and the config's hash; None where one is missing.

    The config is the one that the run is tagged with, which a rebuild goes by, else the one that
    the video uses now.
    """
    video_id = session.scalar(select(models.Video.id).where(models.Video.identifier == facts.video))
    if video_id is None:
        return None
    tagged = facts.tags.get(CONFIG_TAG)
    config = None
    # A run that chooses a config anew may be tagged with the one before; it follows the choice
    # until it ends.
    settled = "generation_config" not in facts.assets or facts.ended_at is not None
    if tagged is not None and settled:
        config = session.execute(
            select(models.GenerationConfig.id, models.GenerationConfig.config_hash).where(
                models.GenerationConfig.config_hash == tagged
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
    changing = {key: value for key, value in values.items() if key != "identifier"}
    session.execute(
        insert(models.PipelineHistory)
        .values(**values)
        .on_conflict_do_update(index_elements=[models.PipelineHistory.identifier], set_=changing)
    )


def _earlier_runs(instance: DagsterInstance, facts: RunFacts) -> Sequence[RunRecord]:
    records = instance.get_run_records(
        RunsFilter(tags={PARTITION_TAG: facts.video}), limit=EARLIER_RUNS
    )
    return [record for record in records if record.dagster_run.run_id != facts.run_id]
