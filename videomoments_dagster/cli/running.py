"""Running a job for one video in this process, without a daemon, and what that looks like."""

from __future__ import annotations

import shutil
import signal
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import click
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, EventLogEntry, RunRecord

from db.run_claims import run_announced
from db.session import Database
from videomoments_dagster.base.failures import DatabaseProblem
from videomoments_dagster.base.progress import is_progress
from videomoments_dagster.cli.context import interrupted_by
from videomoments_dagster.core.dagster_internals import events_of_run, follow_run
from videomoments_dagster.core.run_facts import (
    RECORDED_EVENTS,
    blocking_sentence,
    metadata_of,
    root_cause,
    run_facts,
)
from videomoments_dagster.core.run_tags import PROFILE_TAG, TRANSCRIPTION_TAG
from videomoments_dagster.core.runs import close_abandoned_runs
from videomoments_dagster.moments.history.history_row import changes_row, history_row
from videomoments_dagster.moments.history.recording import record_run
from videomoments_dagster.moments.stored_videos import HistoryRow
from videomoments_dagster.moments.system import MOMENTS

_INDENT = "    "
_LINE_ABOVE_ERASED = "\x1b[1A\x1b[2K"


class Reporter:
    """Follows a run while it happens; this one prints nothing."""

    def step_started(self, step: str) -> None:
        """A step began."""

    def step_said(self, step: str, message: str) -> None:
        """A step logged a sentence."""

    def step_finished(self, step: str, *, seconds: float, unchanged: bool) -> None:
        """A step ended well."""

    def step_failed(self, step: str, message: str) -> None:
        """A step ended badly."""


class RunReporter(Reporter):
    """Prints a line when a step begins, what it says meanwhile, and how it ended.

    To standard error, so that standard output stays free for results. In a terminal, how far a
    step is takes the place of how far it was; elsewhere every sentence is a line.
    """

    def __init__(self, *, in_place: bool = False) -> None:
        """Prepare to print; `in_place` on a terminal that can erase what is on it."""
        self._in_place = in_place
        self._progress_is_last = False

    def step_started(self, step: str) -> None:
        """Print the step's name."""
        self._say(f"{step} ...")

    def step_said(self, step: str, message: str) -> None:  # noqa: ARG002 - it is the last that began
        """Print a sentence below the step's name."""
        if not (self._in_place and is_progress(message)):
            self._say(f"{_INDENT}{message}")
            return
        # A line that wraps would be erased in part.
        shown = f"{_INDENT}{message}"[: shutil.get_terminal_size().columns - 1]
        self._say(shown, instead=self._progress_is_last)
        self._progress_is_last = True

    def step_finished(self, step: str, *, seconds: float, unchanged: bool) -> None:
        """Print that the step is done, or that there was nothing to do."""
        self._say(f"{step} {'unchanged' if unchanged else 'done'} in {seconds:.1f} s")

    def step_failed(self, step: str, message: str) -> None:
        """Print why the step failed."""
        self._say(f"{step} FAILED: {message}")

    def run_finished(self, row: HistoryRow, *, video: str) -> None:
        """Print the run's outcome in one sentence."""
        counted = {"moments": row.total_moments_generated, "clips": row.total_clips_created}
        counts = [f"{count} {name}" for name, count in counted.items() if count is not None]
        made = f": {', '.join(counts)}" if counts and row.status != "failed" else ""
        self._say(f"{row.pipeline_type} of '{video}' {row.status}{took(row)}{made}.")
        # A failed step has said why already.
        if row.error_message and (row.error_stage is None or row.status == "partial"):
            self._say(row.error_message)

    def _say(self, text: str, *, instead: bool = False) -> None:
        """Print a line, `instead` of the last one."""
        printable = "".join(c if c.isprintable() else "?" for c in text.replace("\n", " "))
        # Only a terminal is given the marks; elsewhere click would take them out.
        click.echo(f"{_LINE_ABOVE_ERASED if instead else ''}{printable}", err=True, color=True)
        self._progress_is_last = False


def took(row: HistoryRow) -> str:
    """How long a run took, to follow its status; empty while that is not known."""
    return "" if row.duration_seconds is None else f" after {row.duration_seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        run_id: Dagster's id of the run.
        row: What its row of `pipeline_history` says, whether or not there is one yet.
    """

    run_id: str
    row: HistoryRow


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
    assets: Collection[str] = (),
) -> RunOutcome:
    """Materialise the assets of `job` for `video`, in this process, and record the run.

    Args:
        instance: Dagster's instance; the run shows in its UI like any other.
        database: Our database.
        video: Partition key; registered.
        job: Name of a job.
        reporter: Follows it.
        profile: Generation profile for this run.
        transcription_engine: Transcription engine for this run.
        force: Compute again even where nothing has changed.
        assets: Only these of the job's; empty for all.
    """
    from videomoments_dagster.definitions import (  # noqa: PLC0415 - as in `context`
        current_definitions,
    )

    definition = current_definitions().resolve_job_def(job)
    chosen = MOMENTS.jobs[job]
    forced = {"ops": {name: {"config": {"force": True}} for name in sorted(chosen.assets)}}
    tags = {PROFILE_TAG: profile, TRANSCRIPTION_TAG: transcription_engine}
    heal_runs(instance, database)
    run_id = str(uuid.uuid4())

    def record(events: Sequence[DagsterEvent]) -> int:
        return record_run(instance, database, run_id, events=events)

    follow_run(instance, run_id, _Follower(reporter, record))
    # As after Ctrl-C, ffmpeg is stopped, scratch removed and the row closed.
    with run_announced(database, run_id), interrupted_by(signal.SIGTERM):
        definition.execute_in_process(
            instance=instance,
            partition_key=video,
            asset_selection=[MOMENTS.assets[name].key for name in sorted(assets)] or None,
            run_config={
                # What has a config of its own computes again in any case.
                **(chosen.config or (forced if force else {})),
                # Dagster's console log is for its daemons; the reporter speaks here.
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            tags={tag: value for tag, value in tags.items() if value},
            run_id=run_id,
            raise_on_error=False,
        )
    events = events_of_run(instance, run_id, RECORDED_EVENTS)
    record(events)
    ended = instance.get_run_record_by_id(run_id)
    row = None if ended is None else row_of(instance, ended, events=events)
    if row is None:
        raise RuntimeError(f"Dagster has no record of the run {run_id} that just ended")
    return RunOutcome(run_id=run_id, row=row)


def heal_runs(instance: DagsterInstance, database: Database) -> tuple[str, ...]:
    """Fail runs whose process is gone, record that, and give their ids; said for each.

    For commands that a run in flight keeps from their work: no daemon is needed.
    """
    dead = close_abandoned_runs(instance, database)
    for run_id in dead:
        record_run(instance, database, run_id)
        click.echo(f"The run {run_id} is failed: its process is gone.", err=True)
    return dead


def row_of(
    instance: DagsterInstance, record: RunRecord, *, events: Sequence[DagsterEvent] | None = None
) -> HistoryRow | None:
    """What the row of `pipeline_history` of a run says; None for one that has not begun."""
    facts = run_facts(instance, record, MOMENTS, events=events)
    return None if facts is None else history_row(facts)


class _Follower:
    """Listens to the run's events: hands them to the reporter, and keeps the row current."""

    def __init__(self, reporter: Reporter, record: Callable[[Sequence[DagsterEvent]], int]) -> None:
        self._reporter = reporter
        self._record = record
        self._begun: set[str] = set()
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
        match event.event_type:
            case DagsterEventType.STEP_START:
                self._begun.add(step)
                self._reporter.step_started(step)
            case DagsterEventType.STEP_SUCCESS:
                self._succeeded(step, event.step_success_data.duration_ms / 1000)
            case DagsterEventType.STEP_UP_FOR_RETRY:
                why = _why(event.step_retry_data)
                self._reporter.step_said(step, f"{why} It is tried again.")
            case DagsterEventType.STEP_FAILURE:
                checked = self._of(step, DagsterEventType.ASSET_CHECK_EVALUATION)
                refused = next(filter(None, map(blocking_sentence, checked)), None)
                self._reporter.step_failed(step, refused or _why(event.step_failure_data))

    def _of(self, step: str, kind: DagsterEventType) -> list[DagsterEvent]:
        return [one for one in self._events if (one.step_key, one.event_type) == (step, kind)]

    def _succeeded(self, step: str, seconds: float) -> None:
        """Report it, and bring the row up to date; a step that went well does not fail for it.

        The closing call records the run in any case, and raises what keeps it from that.
        """
        made = list(map(metadata_of, self._of(step, DagsterEventType.ASSET_MATERIALIZATION)))
        unchanged = any(metadata.get("unchanged") for metadata in made)
        self._reporter.step_finished(step, seconds=seconds, unchanged=unchanged)
        if self._has_row and not any(map(changes_row, made)):
            return
        try:
            self._has_row = self._record(self._events) > 0 or self._has_row
        except DatabaseProblem as problem:
            self._reporter.step_said(step, f"The row of pipeline_history waits: {problem}")


def _why(data: Any) -> str:
    """The failure's own sentence, without a stack."""
    described = getattr(getattr(data, "user_failure_data", None), "description", None)
    return str(described or root_cause(data.error) or "It failed without saying why.")
