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
    same = [name for name, of_job in jobs.items() if of_job == assets]
    if same:
        return job if job in same else same[0]
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
    status, stage, message = _outcome(facts)
    began = facts.created_at if facts.started_at is None else facts.started_at
    ended = None if status == "running" else facts.ended_at
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


def _outcome(facts: RunFacts) -> tuple[HistoryStatus, str | None, str | None]:
    """Status, and where and why a run did not do all."""
    if facts.status in _RUNNING:
        return "running", None, None
    if facts.status == "CANCELED":
        return "failed", facts.failed_step, "The run was cancelled."
    if facts.status != "SUCCESS":
        return "failed", facts.failed_step, facts.failure or "The run failed without saying why."
    missing = {
        asset: f"{count} parts of {asset} could not be done"
        for asset in sorted(facts.materialised)
        if (count := _number(facts, asset, FAILED_PARTS_KEY))
    }
    if clips := _number(facts, "clips", "failed"):
        missing["clips"] = f"{clips} clips could not be cut"
    if not missing:
        return "completed", None, None
    return "partial", next(iter(missing)), f"{', '.join(missing.values())}; the run's log says why."


def changes_row(metadata: Mapping[str, Any]) -> bool:
    """Whether metadata of a materialisation says something that the row shows."""
    return any(key in metadata for key in ("config_hash", "moments", "clips"))


def config_hash_of(facts: RunFacts) -> str | None:
    """Generation config that the run's `generation_config` came to, if it has."""
    found = facts.materialised.get("generation_config", {}).get("config_hash")
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
    value = facts.materialised.get(asset, {}).get(key)
    return int(value) if isinstance(value, int | float) else None


def _utc(epoch_seconds: float) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, tz=UTC).replace(tzinfo=None)
