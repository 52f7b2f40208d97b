"""Registered videos that something is missing of.

Belongs here: the question which videos need a run. Does not belong here: whether one is under way
already, which Dagster knows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from db.models.moments.pipeline_history import PipelineHistory
from db.models.moments.video import Video
from db.models.pipeline.materialisation import Materialisation
from db.models.pipeline.source import Source
from videomoments_dagster.moments.system import MOMENTS


@dataclass(frozen=True, slots=True)
class VideoState:
    """What there is of a registered video.

    Attributes:
        identifier: The video.
        missing: How many of the assets asked about it lacks, or has only in part.
        last_status: Of its last run, as `pipeline_history` has it; None if it has none there.
    """

    identifier: str
    missing: int
    last_status: str | None


# Whole results are the many and partial ones the few: so the many are counted in the primary key's
# index alone, and the few are found by one of their own. An empty fingerprint stands for a result
# that is there in part.
_UNFINISHED = text(
    """
    SELECT sources.identifier
    FROM pipeline.sources AS sources
    LEFT JOIN videos ON videos.identifier = sources.identifier
    WHERE videos.id IS NULL
    OR sources.identifier NOT IN (
        SELECT partition_key FROM pipeline.materialisations
        WHERE system = :system AND asset = ANY(:assets)
        GROUP BY partition_key HAVING count(*) >= cardinality(CAST(:assets AS text[]))
    )
    OR sources.identifier IN (
        SELECT partition_key FROM pipeline.materialisations
        WHERE fingerprint = '' AND system = :system AND asset = ANY(:assets)
    )
    OR videos.id IN (
        SELECT run.video_id FROM pipeline_history AS run
        WHERE run.status = ANY(:failed) AND NOT EXISTS (
            SELECT 1 FROM pipeline_history AS later
            WHERE later.video_id = run.video_id
            AND (later.started_at, later.id) > (run.started_at, run.id)
        )
    )
    ORDER BY sources.created_at DESC, sources.identifier
    """
)


def unfinished_videos(
    session: Session, assets: Collection[str], *, failed: Collection[str]
) -> list[str]:
    """Registered videos that something is missing of, or whose last run failed, the newest first.

    Args:
        session: A session.
        assets: Names of the assets that a video should have.
        failed: Statuses of a last run that did not do all.
    """
    given = {"system": MOMENTS.name, "assets": sorted(assets), "failed": sorted(failed)}
    return list(session.scalars(_UNFINISHED, given))


def video_states(session: Session, assets: Collection[str]) -> Sequence[VideoState]:
    """The states of all registered videos, the newest first.

    Args:
        session: A session.
        assets: Names of the assets that a video should have.
    """
    whole = (
        select(Materialisation.partition_key, func.count().label("assets"))
        .where(
            Materialisation.system == MOMENTS.name,
            Materialisation.asset.in_(assets),
            # An empty fingerprint stands for a result that is there in part.
            Materialisation.fingerprint != "",
        )
        .group_by(Materialisation.partition_key)
        .subquery()
    )
    run = aliased(PipelineHistory)
    last = (
        select(run.video_id, run.status)
        .ext(distinct_on(run.video_id))
        .order_by(run.video_id, run.started_at.desc(), run.id.desc())
        .subquery()
    )
    rows = session.execute(
        select(Source.identifier, func.coalesce(whole.c.assets, 0), last.c.status)
        .outerjoin(Video, Video.identifier == Source.identifier)
        .outerjoin(whole, whole.c.partition_key == Video.identifier)
        .outerjoin(last, last.c.video_id == Video.id)
        .order_by(Source.created_at.desc(), Source.identifier)
    )
    return [
        VideoState(identifier=identifier, missing=len(assets) - there, last_status=status)
        for identifier, there, status in rows
    ]
