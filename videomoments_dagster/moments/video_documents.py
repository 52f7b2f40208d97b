"""What is stored of a video as plain data, ready for JSON.

Belongs here: reading many tables at once for a person or a program to look at. Does not belong
here: reading for assets (the IO managers do), or how any of it is shown.

Every document takes a fixed number of queries, whatever it holds, and the same rows give the same
document: lists have a total order, times are ISO 8601 in UTC, numbers are as stored.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, literal, select, text
from sqlalchemy.orm import Session, aliased

from db.models.moments.clip import Clip
from db.models.moments.generation_config import GenerationConfig
from db.models.moments.moment import Moment
from db.models.moments.pipeline_history import PipelineHistory
from db.models.moments.thumbnail import Thumbnail
from db.models.moments.transcript import Transcript
from db.models.moments.video import Video
from db.models.pipeline.selected_config import SelectedConfig
from db.models.pipeline.source import Source

Document = dict[str, Any]
State = Literal["registered", "materialised"]

EXCERPT_CHARACTERS = 200

_VIDEO_COLUMNS = (
    Video.source_url,
    Video.cloud_url,
    Video.title,
    Video.duration_seconds,
    Video.file_size_kb,
    Video.video_codec,
    Video.audio_codec,
    Video.resolution,
    Video.frame_rate,
    Video.created_at,
)


def video_document(session: Session, identifier: str) -> Document | None:
    """Give all that is stored of a video, or None where nobody has heard of it.

    A video that was registered and never materialised has `state` "registered", its source, and
    nothing else. Moments are in time order, history is newest first.

    Args:
        session: A session that sees one moment of the database.
        identifier: The video's business identifier.
    """
    source = _source(session, identifier)
    video = session.execute(
        select(Video.id, *_VIDEO_COLUMNS).where(Video.identifier == identifier)
    ).one_or_none()
    identity: Document = {"identifier": identifier}
    if video is None:
        if source is None:
            return None
        nothing = {column.key: None for column in _VIDEO_COLUMNS}
        known = {"title": source["title"], "source_url": source["location"]}
        return {**identity, **_state("registered", source), **nothing, **known, **_NOTHING_STORED}
    facts = _plain(video)
    video_id: int = facts.pop("id")
    thumbnails = _thumbnails(session, video_id)
    clips = _clips(session, video_id, thumbnails)
    refined = _moments(session, video_id, refined=True)
    refined_of = {moment["parent"]: moment for moment in refined}
    clip_of = {clip["moment"]: clip for clip in clips}
    return {
        **identity,
        **_state("materialised", source),
        **facts,
        "transcript": _transcript(session, video_id),
        "generation_config": _generation_config(session, video_id),
        "moments": [
            {
                **moment,
                "refined": refined_of.get(moment["identifier"]),
                "clip": clip_of.get(moment["identifier"]),
            }
            for moment in _moments(session, video_id, refined=False)
        ],
        "refined_moments": refined,
        "clips": clips,
        "thumbnails": thumbnails,
        "history": _history(session, video_id),
    }


_NOTHING_STORED: Document = {
    "transcript": None,
    "generation_config": None,
    "moments": [],
    "refined_moments": [],
    "clips": [],
    "thumbnails": [],
    "history": [],
}


def _state(state: State, source: Document | None) -> Document:
    return {"state": state, "source": source}


# One statement: at most `limit` videos are looked up in the other tables, each by an index.
_LIST = text(
    """
    WITH listed AS (
        SELECT
            coalesce(videos.identifier, sources.identifier) AS identifier,
            videos.id,
            coalesce(videos.title, sources.title) AS title,
            videos.duration_seconds,
            coalesce(sources.created_at, videos.created_at) AS created_at
        FROM videos
        FULL JOIN pipeline.sources AS sources ON sources.identifier = videos.identifier
        ORDER BY created_at DESC, identifier
        LIMIT :limit
    )
    SELECT
        listed.identifier,
        CASE WHEN listed.id IS NULL THEN 'registered' ELSE 'materialised' END AS state,
        listed.title,
        listed.duration_seconds,
        (
            SELECT count(*) FROM moments
            WHERE moments.video_id = listed.id AND moments.is_refined IS NOT TRUE
        ) AS moments,
        (SELECT count(*) FROM clips WHERE clips.video_id = listed.id) AS clips,
        run.status AS last_status,
        run.pipeline_type AS last_pipeline_type,
        run.started_at AS last_started_at,
        listed.created_at
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


def video_list(session: Session, *, limit: int | None = None) -> list[Document]:
    """Give a line for each video, the newest first, registered ones included.

    Args:
        session: A session on the database.
        limit: How many at most; None for all.
    """
    return [_plain(row) for row in session.execute(_LIST, {"limit": limit})]


def _source(session: Session, identifier: str) -> Document | None:
    row = session.execute(
        select(
            Source.location,
            Source.title,
            Source.captions,
            Source.transcription_engine,
            Source.profile,
            Source.created_at,
        ).where(Source.identifier == identifier)
    ).one_or_none()
    return None if row is None else _plain(row)


def _transcript(session: Session, video_id: int) -> Document | None:
    row = session.execute(
        select(
            Transcript.language,
            Transcript.number_of_words,
            Transcript.number_of_segments,
            Transcript.transcription_service,
            Transcript.processing_time_seconds,
            func.left(Transcript.full_text, EXCERPT_CHARACTERS).label("text_begins"),
            Transcript.created_at,
        ).where(Transcript.video_id == video_id)
    ).one_or_none()
    return None if row is None else _plain(row)


_CONFIG_COLUMNS = (
    "model",
    "temperature",
    "top_p",
    "top_k",
    "min_moment_length",
    "max_moment_length",
    "min_moments",
    "max_moments",
    "config_hash",
)


def _generation_config(session: Session, video_id: int) -> Document | None:
    generation, refinement = aliased(GenerationConfig), aliased(GenerationConfig)

    def columns(config: type[GenerationConfig], prefix: str) -> list[ColumnElement[Any]]:
        return [getattr(config, name).label(f"{prefix}{name}") for name in _CONFIG_COLUMNS]

    row = session.execute(
        select(
            SelectedConfig.profile,
            *columns(generation, "generation_"),
            *columns(refinement, "refinement_"),
            SelectedConfig.max_shift_seconds,
        )
        .join(generation, generation.id == SelectedConfig.generation_config_id)
        .join(refinement, refinement.id == SelectedConfig.refinement_config_id)
        .where(SelectedConfig.video_id == video_id)
    ).one_or_none()
    if row is None:
        return None
    found = _plain(row)
    return {
        "profile": found["profile"],
        **{name: found[f"generation_{name}"] for name in _CONFIG_COLUMNS},
        "refinement": {
            **{name: found[f"refinement_{name}"] for name in _CONFIG_COLUMNS},
            "max_shift_seconds": found["max_shift_seconds"],
        },
    }


def _moments(session: Session, video_id: int, *, refined: bool) -> list[Document]:
    parent = aliased(Moment)
    rows = session.execute(
        select(
            Moment.identifier,
            *([parent.identifier.label("parent")] if refined else []),
            Moment.start_time,
            Moment.end_time,
            Moment.title,
            Moment.score,
            Moment.scoring_model,
            Moment.scored_at,
            Moment.generation_model,
            GenerationConfig.config_hash,
            Moment.created_at,
        )
        .outerjoin(parent, parent.id == Moment.parent_id)
        .outerjoin(GenerationConfig, GenerationConfig.id == Moment.generation_config_id)
        .where(
            Moment.video_id == video_id,
            Moment.is_refined.is_(True) if refined else Moment.is_refined.is_not(True),
        )
        .order_by(Moment.start_time, Moment.end_time, Moment.identifier)
    )
    return [_plain(row) for row in rows]


def _clips(session: Session, video_id: int, thumbnails: list[Document]) -> list[Document]:
    rows = session.execute(
        select(
            Moment.identifier.label("moment"),
            Clip.cloud_url,
            Clip.start_time,
            Clip.end_time,
            Clip.padding_left,
            Clip.padding_right,
            Clip.file_size_kb,
            Clip.format,
            Clip.video_codec,
            Clip.audio_codec,
            Clip.resolution,
            Clip.created_at,
        )
        .join(Moment, Moment.id == Clip.moment_id)
        .where(Clip.video_id == video_id)
        .order_by(Clip.start_time, Clip.end_time, Moment.identifier)
    )
    of_clip = {thumbnail["clip_of_moment"]: thumbnail["cloud_url"] for thumbnail in thumbnails}
    return [{**clip, "thumbnail_url": of_clip.get(clip["moment"])} for clip in map(_plain, rows)]


def _thumbnails(session: Session, video_id: int) -> list[Document]:
    """Give the video's own thumbnail first, then its clips' in time order."""
    shown = (Thumbnail.cloud_url, Thumbnail.file_size_kb, Thumbnail.created_at)
    own = session.execute(
        select(literal(None).label("clip_of_moment"), *shown).where(Thumbnail.video_id == video_id)
    )
    of_clips = session.execute(
        select(Moment.identifier.label("clip_of_moment"), *shown)
        .join(Clip, Clip.id == Thumbnail.clip_id)
        .join(Moment, Moment.id == Clip.moment_id)
        .where(Clip.video_id == video_id)
        .order_by(Clip.start_time, Clip.end_time, Moment.identifier)
    )
    return [_plain(row) for row in (*own, *of_clips)]


def _history(session: Session, video_id: int) -> list[Document]:
    rows = session.execute(
        select(
            PipelineHistory.identifier,
            PipelineHistory.pipeline_type,
            PipelineHistory.status,
            GenerationConfig.config_hash,
            PipelineHistory.started_at,
            PipelineHistory.completed_at,
            PipelineHistory.duration_seconds,
            PipelineHistory.total_moments_generated,
            PipelineHistory.total_clips_created,
            PipelineHistory.error_stage,
            PipelineHistory.error_message,
        )
        .join(GenerationConfig, GenerationConfig.id == PipelineHistory.generation_config_id)
        .where(PipelineHistory.video_id == video_id)
        .order_by(PipelineHistory.started_at.desc(), PipelineHistory.id.desc())
    )
    return [_plain(row) for row in rows]


def _plain(row: Any) -> Document:
    # SQLAlchemy 2.0 and 2.1 give rows different generic types.
    return {
        name: f"{value.isoformat(timespec='milliseconds')}Z"
        if isinstance(value, datetime)
        else value
        for name, value in row._mapping.items()  # noqa: SLF001 - the documented way to the names
    }
