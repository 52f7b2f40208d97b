"""From a run to its row of `pipeline_history`: one pure function.

Belongs here: every decision about what a row says. Does not belong here: Dagster, SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

HistoryStatus = Literal["running", "completed", "failed", "partial"]

MAX_IDENTIFIER_LENGTH = 100
MAX_PIPELINE_TYPE_LENGTH = 50
_HASH_LENGTH = 16

_RUNNING = frozenset({"STARTED", "STARTING", "CANCELING"})
WAITING_STATUSES = frozenset({"NOT_STARTED", "QUEUED", "MANAGED"})
"""Dagster's statuses of runs that have not begun and have no row yet."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What Dagster knows of a run, as far as its row needs it.

    Attributes:
        run_id: Dagster's id of the run.
        video: Partition key.
        status: Name of Dagster's status, such as "SUCCESS".
        assets: Names of the assets that the run was to materialise.
        job: Name of the job that it ran; empty where it was none of ours.
        jobs: Assets of each job that there is, by its name.
        created_at: When the run record was made, seconds since the epoch.
        started_at: When it began to execute, seconds since the epoch; None if it never did.
        ended_at: When it ended, seconds since the epoch; None while it has not.
        moments: Root moments that this run's `moments` came to, or None if it has not.
        clips: Clips that this run's `clips` came to, or None if it has not.
        failed_clips: Clips that this run could not cut.
        failed_parts: How many parts of its work an asset could not do, by asset, such as windows
            that a language model gave no answer for.
        failed_step: Asset whose step failed, if one did.
        failure: What the failed step or run said.
        config_hash: Generation config that this run's `generation_config` came to, if it has.
        identifier: Identifier that the run was given earlier, if any.
        tags: The run's tags.
    """

    run_id: str
    video: str
    status: str
    assets: frozenset[str]
    created_at: float
    job: str = ""
    jobs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    moments: int | None = None
    clips: int | None = None
    failed_clips: int = 0
    failed_parts: Mapping[str, int] = field(default_factory=dict)
    failed_step: str | None = None
    failure: str | None = None
    config_hash: str | None = None
    identifier: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One row of `pipeline_history`, without its ids. Times are UTC without zone."""

    identifier: str
    pipeline_type: str
    status: HistoryStatus
    started_at: datetime
    completed_at: datetime | None
    duration_seconds: float | None
    total_moments_generated: int | None
    total_clips_created: int | None
    error_stage: str | None
    error_message: str | None


def pipeline_identifier(*, video: str, created_at: float) -> str:
    """`pipeline:<video>:<epoch ms>`, with long video identifiers shortened to fit 100 characters.

    A shortened one ends with 16 hexadecimal characters of its SHA-256, so that two long
    identifiers with the same beginning stay apart.

    Args:
        video: Identifier of the video.
        created_at: When the run record was made, seconds since the epoch.
    """
    milliseconds = str(int(created_at * 1000))
    room = MAX_IDENTIFIER_LENGTH - len("pipeline::") - len(milliseconds)
    if len(video) > room:
        mark = hashlib.sha256(video.encode()).hexdigest()[:_HASH_LENGTH]
        video = f"{video[: room - _HASH_LENGTH - 1]}-{mark}"
    return f"pipeline:{video}:{milliseconds}"


def pipeline_type(
    assets: frozenset[str], *, job: str = "", jobs: Mapping[str, frozenset[str]]
) -> str:
    """Name of what a run selected.

    A job's name where the selection is a job's, the run's own job before others with the same;
    `<asset>_only` for a single asset; else the assets' names joined by `+` in alphabetical order,
    or `custom` where that is too long.
    """
    if jobs.get(job) == assets:
        return job
    for name, of_job in jobs.items():
        if assets == of_job:
            return name
    if len(assets) == 1:
        return f"{next(iter(assets))}_only"[:MAX_PIPELINE_TYPE_LENGTH]
    joined = "+".join(sorted(assets))
    return joined if 0 < len(joined) <= MAX_PIPELINE_TYPE_LENGTH else "custom"


def history_row(facts: RunFacts) -> HistoryRow | None:
    """The row that a run should have now, or None while it waits to start."""
    if facts.status in WAITING_STATUSES:
        return None
    status = _status(facts)
    began = facts.started_at if facts.started_at is not None else facts.created_at
    ended = facts.ended_at if status != "running" else None
    stage, message = _error(facts, status)
    return HistoryRow(
        identifier=facts.identifier
        or pipeline_identifier(video=facts.video, created_at=facts.created_at),
        pipeline_type=pipeline_type(facts.assets, job=facts.job, jobs=facts.jobs),
        status=status,
        started_at=_utc(began),
        completed_at=None if ended is None else _utc(ended),
        duration_seconds=None if ended is None else max(0.0, ended - began),
        total_moments_generated=facts.moments,
        total_clips_created=facts.clips,
        error_stage=stage,
        error_message=message,
    )


def _status(facts: RunFacts) -> HistoryStatus:
    if facts.status in _RUNNING:
        return "running"
    if facts.status == "SUCCESS":
        return "partial" if facts.failed_clips or facts.failed_parts else "completed"
    return "failed"


def _error(facts: RunFacts, status: HistoryStatus) -> tuple[str | None, str | None]:
    if status == "partial":
        return _what_is_missing(facts)
    if status != "failed":
        return None, None
    if facts.status == "CANCELED":
        return facts.failed_step, "The run was cancelled."
    return facts.failed_step, facts.failure or "The run failed without saying why."


def _what_is_missing(facts: RunFacts) -> tuple[str, str]:
    """The first asset that is incomplete, and a sentence about all that are."""
    missing = {
        asset: f"{count} parts of {asset} could not be done"
        for asset, count in sorted(facts.failed_parts.items())
    }
    if facts.failed_clips:
        missing["clips"] = f"{facts.failed_clips} clips could not be cut"
    return next(iter(missing)), f"{', '.join(missing.values())}; the run's log says why."


def _utc(epoch_seconds: float) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, tz=UTC).replace(tzinfo=None)
