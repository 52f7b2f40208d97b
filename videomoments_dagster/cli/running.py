"""Running a job for one video in this process, without a daemon.

Belongs here: launching, following and closing such a run. Does not belong here: printing
(`printing.py`); a `Reporter` is told what happens.
"""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, EventLogEntry

from db.session import Database
from videomoments_dagster.base.failures import DatabaseProblem
from videomoments_dagster.core.run_facts import (
    RECORDED_EVENTS,
    RunFacts,
    blocking_sentence,
    metadata_of,
    recorded_events,
    root_cause,
    run_facts,
)
from videomoments_dagster.core.run_tags import PROFILE_TAG, TRANSCRIPTION_TAG
from videomoments_dagster.core.runs import close_abandoned_runs
from videomoments_dagster.definitions import current_definitions
from videomoments_dagster.moments.history.history_row import HistoryRow, changes_row, history_row
from videomoments_dagster.moments.history.recording import record_run
from videomoments_dagster.moments.system import MOMENTS


class Reporter(Protocol):
    """Is told what happens in a run, as it happens."""

    def step_started(self, step: str) -> None:
        """A step began."""

    def step_said(self, step: str, message: str) -> None:
        """A step logged a sentence."""

    def step_finished(self, step: str, *, seconds: float, unchanged: bool) -> None:
        """A step ended well."""

    def step_failed(self, step: str, message: str) -> None:
        """A step ended badly."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        run_id: Dagster's id of the run.
        row: What its row of `pipeline_history` says, whether or not there is one yet.
        facts: What Dagster knows of it.
    """

    run_id: str
    row: HistoryRow
    facts: RunFacts


def run_job(
    instance: DagsterInstance,
    database: Database,
    *,
    video: str,
    job: str,
    reporter: Reporter,
    profile: str | None = None,
    transcription_engine: str | None = None,
    force: bool = False,
) -> RunOutcome:
    """Materialise the assets of `job` for `video`, in this process, and record the run.

    Args:
        instance: Dagster's instance; the run shows in its UI like any other.
        database: Our database.
        video: Partition key; registered.
        job: Name of a job.
        reporter: Is told what happens.
        profile: Generation profile for this run.
        transcription_engine: Transcription engine for this run.
        force: Compute again even where nothing has changed.
    """
    tags = {
        key: value
        for key, value in ((PROFILE_TAG, profile), (TRANSCRIPTION_TAG, transcription_engine))
        if value
    }
    for dead in close_abandoned_runs(instance, database):
        record_run(instance, database, dead)
    run_id = str(uuid.uuid4())
    follower = _Follower(reporter, instance, database, run_id)
    instance.add_event_listener(run_id, follower)
    with _terminated_as_interrupted():
        current_definitions().resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=video,
            run_config=_run_config(job, force=force),
            tags=tags,
            run_id=run_id,
            raise_on_error=False,
        )
    events = recorded_events(instance, run_id)
    record_run(instance, database, run_id, events=events)
    record = instance.get_run_record_by_id(run_id)
    facts = None if record is None else run_facts(instance, record, MOMENTS, events=events)
    row = None if facts is None else history_row(facts)
    if facts is None or row is None:
        raise RuntimeError(f"Dagster has no record of the run {run_id} that just ended")
    return RunOutcome(run_id=run_id, row=row, facts=facts)


def _run_config(job: str, *, force: bool) -> Mapping[str, Any]:
    config: dict[str, Any] = {
        **MOMENTS.jobs[job].config,
        # Dagster's console log is for its daemons; the reporter speaks here.
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    if force and job != "scores_only":
        config["ops"] = {
            asset: {"config": {"force": True}} for asset in sorted(MOMENTS.jobs[job].assets)
        }
    return config


class _Follower:
    """Listens to the run's events: tells the reporter, and keeps the history row current."""

    def __init__(
        self, reporter: Reporter, instance: DagsterInstance, database: Database, run_id: str
    ) -> None:
        self._reporter = reporter
        self._instance = instance
        self._database = database
        self._run_id = run_id
        self._begun: set[str] = set()
        self._unchanged: set[str] = set()
        self._changed: set[str] = set()
        self._refused: dict[str, str] = {}
        self._events: list[DagsterEvent] = []
        self._has_row = False

    def __call__(self, entry: EventLogEntry) -> None:
        event, step = entry.dagster_event, entry.step_key
        if event is None:
            # Dagster also tells of each step that it does not even begin, once one has failed.
            if step in self._begun:
                self._reporter.step_said(step, entry.user_message)
            return
        if event.event_type in RECORDED_EVENTS:
            self._events.append(event)
        if step is None:
            return
        self._note(step, event)
        if event.event_type == DagsterEventType.STEP_START:
            self._begun.add(step)
            self._reporter.step_started(step)
        elif event.event_type == DagsterEventType.STEP_SUCCESS:
            self._reporter.step_finished(
                step,
                seconds=event.step_success_data.duration_ms / 1000,
                unchanged=step in self._unchanged,
            )
            if step in self._changed or not self._has_row:
                self._record(step)
        elif event.event_type == DagsterEventType.STEP_UP_FOR_RETRY:
            self._reporter.step_said(step, _why(event.step_retry_data) + " It is tried again.")
        elif event.is_step_failure:
            why = self._refused.get(step) or _why(event.step_failure_data)
            self._reporter.step_failed(step, why)

    def _note(self, step: str, event: DagsterEvent) -> None:
        """Keep what the end of the step is told with."""
        if event.is_step_materialization:
            if metadata_of(event).get("unchanged"):
                self._unchanged.add(step)
            if changes_row(metadata_of(event)):
                self._changed.add(step)
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            sentence = blocking_sentence(event)
            if sentence is not None:
                self._refused.setdefault(step, sentence)

    def _record(self, step: str) -> None:
        """Bring the row up to date; a step that went well does not fail for it.

        The closing call records the run in any case, and raises what keeps it from that.
        """
        try:
            rows = record_run(self._instance, self._database, self._run_id, events=self._events)
            self._has_row = self._has_row or rows > 0
        except DatabaseProblem as problem:
            self._reporter.step_said(step, f"The row of pipeline_history waits: {problem}")


def _why(data: Any) -> str:
    """The failure's own sentence, without a stack."""
    described = getattr(getattr(data, "user_failure_data", None), "description", None)
    if described:
        return str(described)
    return root_cause(data.error) or "It failed without saying why."


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let a SIGTERM end the run like Ctrl-C does: ffmpeg stopped, scratch removed, row closed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
