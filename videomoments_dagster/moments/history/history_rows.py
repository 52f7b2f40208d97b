"""Runs as `pipeline_history` has them, ready for a person or a program to look at.

Belongs here: reading that table across videos. Does not belong here: writing it, or one video's
stored values (`videomoments_dagster.moments.reading`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.moments.pipeline_history import PipelineHistory
from db.models.moments.video import Video


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
    wanted = (
        select(
            Video.identifier.label("video"),
            PipelineHistory.identifier,
            PipelineHistory.pipeline_type,
            PipelineHistory.status,
            PipelineHistory.started_at,
            PipelineHistory.completed_at,
            PipelineHistory.duration_seconds,
            PipelineHistory.total_moments_generated,
            PipelineHistory.total_clips_created,
            PipelineHistory.error_stage,
            PipelineHistory.error_message,
        )
        .join(Video, Video.id == PipelineHistory.video_id)
        .order_by(PipelineHistory.started_at.desc(), PipelineHistory.id.desc())
        .limit(limit)
    )
    if video is not None:
        wanted = wanted.where(Video.identifier == video)
    if status is not None:
        wanted = wanted.where(PipelineHistory.status == status)
    return [
        {
            name: f"{value.isoformat(timespec='milliseconds')}Z"
            if isinstance(value, datetime)
            else value
            for name, value in row._mapping.items()  # noqa: SLF001 - the documented way to the names
        }
        for row in session.execute(wanted)
    ]
