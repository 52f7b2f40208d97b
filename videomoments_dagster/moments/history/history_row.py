"""From a run to its row of `pipeline_history`: one pure function."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from videomoments_dagster.core.run_facts import RunFacts
from videomoments_dagster.core.run_tags import FAILED_PARTS_KEY, PIPELINE_TAG
from videomoments_dagster.moments.stored_videos import HistoryRow, HistoryStatus

MAX_IDENTIFIER_LENGTH = 100
MAX_PIPELINE_TYPE_LENGTH = 50
_HASH_LENGTH = 16

_RUNNING = frozenset({"STARTED", "STARTING", "CANCELING"})
WAITING_STATUSES = frozenset({"NOT_STARTED", "QUEUED", "MANAGED"})
"""Dagster's statuses of runs that have not begun and have no row yet."""


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


def history_row(facts: RunFacts, *, identifier: str | None = None) -> HistoryRow | None:
    """The row that a run should have now, or None while it waits to start.

    Args:
        facts: What Dagster knows of it.
        identifier: Its identifier, where it is not the usual one.
    """
    if facts.status in WAITING_STATUSES:
        return None
    status = _status(facts)
    began = facts.started_at if facts.started_at is not None else facts.created_at
    ended = facts.ended_at if status != "running" else None
    stage, message = _error(facts, status)
    return HistoryRow(
        identifier=identifier
        or own_identifier(facts)
        or pipeline_identifier(video=facts.partition, created_at=facts.created_at),
        pipeline_type=pipeline_type(facts.assets, job=facts.job, jobs=facts.jobs),
        status=status,
        started_at=_utc(began),
        completed_at=None if ended is None else _utc(ended),
        duration_seconds=None if ended is None else max(0.0, ended - began),
        total_moments_generated=_number(facts, "moments", "moments"),
        total_clips_created=_number(facts, "clips", "clips"),
        error_stage=stage,
        error_message=message,
    )


def _status(facts: RunFacts) -> HistoryStatus:
    if facts.status in _RUNNING:
        return "running"
    if facts.status == "SUCCESS":
        return "partial" if _missing(facts) else "completed"
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
    missing = _missing(facts)
    return next(iter(missing)), f"{', '.join(missing.values())}; the run's log says why."


def _missing(facts: RunFacts) -> dict[str, str]:
    """What this run could not do, by asset."""
    missing = {
        asset: f"{count} parts of {asset} could not be done"
        for asset in sorted(facts.materialised)
        if (count := _number(facts, asset, FAILED_PARTS_KEY))
    }
    clips = _number(facts, "clips", "failed")
    return missing | ({"clips": f"{clips} clips could not be cut"} if clips else {})


def changes_row(metadata: Mapping[str, Any]) -> bool:
    """Whether metadata of a materialisation says something that the row shows."""
    return any(key in metadata for key in ("config_hash", "moments", "clips"))


def config_hash_of(facts: RunFacts) -> str | None:
    """Generation config that the run's `generation_config` came to, if it has."""
    found = _value(facts, "generation_config", "config_hash")
    return found if isinstance(found, str) else None


def own_identifier(facts: RunFacts) -> str | None:
    """The identifier that the run was given, or None if it has none yet.

    A run that is executed again hands its tags on, this one among them: an identifier from before
    the run was made is another run's.
    """
    identifier = facts.tags.get(PIPELINE_TAG)
    made = (identifier or "").rpartition(":")[2]
    return None if made.isdigit() and int(made) < int(facts.created_at * 1000) else identifier


def _number(facts: RunFacts, asset: str, key: str) -> int | None:
    value = _value(facts, asset, key)
    return int(value) if isinstance(value, int | float) else None


def _value(facts: RunFacts, asset: str, key: str) -> Any:
    return facts.materialised.get(asset, {}).get(key)


def _utc(epoch_seconds: float) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, tz=UTC).replace(tzinfo=None)
