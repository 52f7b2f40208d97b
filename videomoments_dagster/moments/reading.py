"""Reads what is stored of videos, in one look at the database.

The page, the exports, the command line and other systems read here, and only read.
"""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.models.moments.pipeline_history import PipelineHistory
from db.models.moments.video import Video as VideoRow
from videomoments_dagster.moments.records import Clips, Moments, Thumbnails
from videomoments_dagster.moments.registration import registered_source
from videomoments_dagster.moments.storage.clip_rows import ClipRows, ThumbnailRows
from videomoments_dagster.moments.storage.moment_rows import (
    GenerationConfigRows,
    RefinedMomentRows,
    RootMomentRows,
)
from videomoments_dagster.moments.storage.video_rows import TranscriptRows, VideoRows
from videomoments_dagster.moments.stored_videos import (
    HistoryRow,
    ListedVideo,
    RegisteredVideo,
    RowNote,
    StoredVideo,
)
from videomoments_dagster.moments.system import MOMENTS


def read_video(session: Session, identifier: str) -> StoredVideo | RegisteredVideo | None:
    """Read all that is stored of a video; None where it is neither registered nor stored.

    The number of queries is the same whatever is stored.

    Args:
        session: A session that sees one moment of the database.
        identifier: The video's business identifier.
    """
    source = registered_source(session, identifier=identifier)
    notes = {
        (kind, name): RowNote(written_at, config_hash)
        for kind, name, written_at, config_hash in session.execute(_NOTES, {"video": identifier})
    }
    partition = MOMENTS.partition(identifier)
    video = VideoRows().read(session, partition)
    if video is None:
        registered_at = notes.get(("source", None), RowNote()).written_at
        return None if source is None else RegisteredVideo(source, registered_at)
    moments = RootMomentRows().read(session, partition) or Moments(())
    refined = RefinedMomentRows().read(session, partition) or Moments(())
    clips = ClipRows().read(session, partition) or Clips(())
    thumbnails = ThumbnailRows().read(session, partition) or Thumbnails(())
    return StoredVideo(
        video=video,
        source=source,
        transcript=TranscriptRows().read(session, partition),
        configs=GenerationConfigRows().read(session, partition),
        moments=moments.moments,
        why_fewer=moments.why_fewer,
        refined=refined.moments,
        clips={one.moment_identifier: one for one in clips.clips},
        thumbnails={one.clip_of_moment: one for one in thumbnails.thumbnails},
        runs=_runs(session, identifier),
        notes=notes,
    )


def read_videos(session: Session, *, limit: int | None = None) -> list[ListedVideo]:
    """Read a line for each video, the newest first, registered ones included.

    Args:
        session: A session on the database.
        limit: How many at most; None for all.
    """
    return [ListedVideo(*row) for row in session.execute(_LIST, {"limit": limit})]


def _runs(session: Session, identifier: str) -> tuple[HistoryRow, ...]:
    rows = session.execute(
        select(*(getattr(PipelineHistory, one.name) for one in fields(HistoryRow)))
        .join(VideoRow, VideoRow.id == PipelineHistory.video_id)
        .where(VideoRow.identifier == identifier)
        .order_by(PipelineHistory.started_at.desc(), PipelineHistory.id.desc())
    )
    return tuple(HistoryRow(*row) for row in rows)


_NOTES = text(
    """
    WITH this AS (SELECT id, created_at FROM videos WHERE identifier = :video)
    SELECT 'source', NULL, created_at, NULL FROM pipeline.sources WHERE identifier = :video
    UNION ALL SELECT 'video', NULL, created_at, NULL FROM this
    UNION ALL SELECT 'transcript', NULL, made.created_at, NULL
        FROM transcripts AS made JOIN this ON this.id = video_id
    UNION ALL SELECT 'config', operation_type, config.created_at, config_hash
        FROM pipeline.selected_configs JOIN this ON this.id = video_id
        JOIN generation_configs AS config
        ON config.id IN (generation_config_id, refinement_config_id)
    UNION ALL SELECT 'made', asset, updated_at, NULL
        FROM pipeline.materialisations WHERE system = 'moments' AND partition_key = :video
    UNION ALL SELECT 'moment', moments.identifier, moments.created_at, config_hash
        FROM moments JOIN this ON this.id = video_id
        LEFT JOIN generation_configs AS config ON config.id = generation_config_id
    UNION ALL SELECT 'clip', moments.identifier, clips.created_at, NULL
        FROM clips JOIN this ON this.id = clips.video_id
        JOIN moments ON moments.id = moment_id
    UNION ALL SELECT 'thumbnail', NULL, own.created_at, NULL
        FROM thumbnails AS own JOIN this ON this.id = own.video_id
    UNION ALL SELECT 'thumbnail', moments.identifier, thumbnails.created_at, NULL
        FROM clips JOIN this ON this.id = clips.video_id
        JOIN moments ON moments.id = moment_id
        JOIN thumbnails ON clip_id = clips.id
    UNION ALL SELECT 'page', cloud_url, updated_at, NULL
        FROM pipeline.pages JOIN this ON this.id = video_id
    UNION ALL SELECT 'run', run.identifier, run.created_at, config_hash
        FROM pipeline_history AS run JOIN this ON this.id = video_id
        JOIN generation_configs AS config ON config.id = generation_config_id
    """
)

# One statement: at most `limit` videos are looked up in the other tables, each by an index.
_LIST = text(
    """
    WITH listed AS (
        SELECT
            coalesce(videos.identifier, sources.identifier) AS identifier, videos.id,
            coalesce(videos.title, sources.title) AS title, videos.duration_seconds,
            coalesce(sources.created_at, videos.created_at) AS created_at
        FROM videos
        FULL JOIN pipeline.sources AS sources ON sources.identifier = videos.identifier
        ORDER BY created_at DESC, identifier
        LIMIT :limit
    )
    SELECT
        listed.identifier,
        CASE WHEN listed.id IS NULL THEN 'registered' ELSE 'materialised' END,
        listed.title, listed.duration_seconds,
        (SELECT count(*) FROM moments WHERE video_id = listed.id AND is_refined IS NOT TRUE),
        (SELECT count(*) FROM clips WHERE video_id = listed.id),
        run.status, run.pipeline_type, run.started_at, listed.created_at
    FROM listed
    LEFT JOIN LATERAL (
        SELECT status, pipeline_type, started_at FROM pipeline_history
        WHERE pipeline_history.video_id = listed.id
        ORDER BY started_at DESC, id DESC
        LIMIT 1
    ) AS run ON true
    ORDER BY listed.created_at DESC, listed.identifier
    """
)
