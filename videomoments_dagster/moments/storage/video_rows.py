"""Storage of the `video` asset: a row of `videos`, and its bytes as one object."""

from __future__ import annotations

import mimetypes
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from videomoments_dagster.base.files import kibibytes
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import (
    AssetStorage,
    FileToStore,
    Uploads,
    missing_result,
)
from videomoments_dagster.core.text_columns import (
    CODEC_CHARACTERS,
    TITLE_CHARACTERS,
    fitted,
    indexable_source_url,
)
from videomoments_dagster.media.facts import AudioStream, MediaFacts, SubtitleStream, VideoStream
from videomoments_dagster.moments.object_keys import video_key
from videomoments_dagster.moments.records import FetchedVideo, Source, Video
from videomoments_dagster.moments.registered_sources import register_if_new
from videomoments_dagster.moments.versions import video_version

DEFAULT_EXTENSION = "bin"


def facts_from_json(document: dict[str, object]) -> MediaFacts:
    """Rebuild `MediaFacts` from what `dataclasses.asdict` made of them."""
    body = dict(document)
    video, audio, subtitles = (body.pop(key, None) for key in ("video", "audio", "subtitles"))
    return MediaFacts(
        **body,  # type: ignore[arg-type]
        video=VideoStream(**video) if isinstance(video, dict) else None,
        audio=AudioStream(**audio) if isinstance(audio, dict) else None,
        subtitles=tuple(
            SubtitleStream(**stream) for stream in (subtitles or ()) if isinstance(stream, dict)
        )
        if isinstance(subtitles, list | tuple)
        else (),
    )


class VideoRows(AssetStorage[FetchedVideo, Video]):
    """One row and one object; the row's columns describe the file as presented."""

    name = "video"
    addresses = (models.Video.cloud_url,)

    def files(self, partition: Partition, made: FetchedVideo) -> list[FileToStore]:
        """The bytes under a key with their hash; the same bytes are not sent again."""
        extension = made.path.suffix.lstrip(".").lower() or DEFAULT_EXTENSION
        key = video_key(partition.key, made.content_hash, extension)
        content_type = mimetypes.guess_type(f"x.{extension}")[0] or "application/octet-stream"
        # With its hash, since the source may have changed since it was hashed.
        return [FileToStore(made.path, key, content_type, sha256=made.content_hash)]

    def write(
        self, session: Session, partition: Partition, made: FetchedVideo, uploads: Uploads
    ) -> None:
        """Insert the row, or update the one that there is.

        A source that came with run config is registered too, so that the partition can be
        materialised later without it.
        """
        facts = made.facts
        title = None if made.title is None else fitted(made.title, TITLE_CHARACTERS)
        values = {
            "source_url": indexable_source_url(made.source_url),
            "cloud_url": uploads[made.path].url,
            "title": title,
            "duration_seconds": facts.duration_seconds,
            "file_size_kb": kibibytes(facts.size_bytes),
            "video_codec": fitted(facts.video.codec, CODEC_CHARACTERS) if facts.video else None,
            "audio_codec": fitted(facts.audio.codec, CODEC_CHARACTERS) if facts.audio else None,
            "resolution": facts.video.resolution if facts.video else None,
            "frame_rate": facts.video.frame_rate if facts.video else None,
        }
        video_id = session.scalar(
            insert(models.Video)
            .values(identifier=partition.key, **values)
            .on_conflict_do_update(index_elements=[models.Video.identifier], set_=values)
            .returning(models.Video.id)
        )
        file = {"content_hash": made.content_hash, "facts": asdict(facts)}
        session.execute(
            insert(models.VideoFile)
            .values(video_id=video_id, **file)
            .on_conflict_do_update(index_elements=[models.VideoFile.video_id], set_=file)
        )
        register_if_new(
            session, Source(identifier=partition.key, location=made.source_url, title=made.title)
        )

    def read(self, session: Session, partition: Partition) -> Video | None:
        """The stored video, or None."""
        found = session.execute(
            select(models.Video, models.VideoFile, models.Source.location)
            .join(models.VideoFile, models.VideoFile.video_id == models.Video.id)
            .outerjoin(models.Source, models.Source.identifier == models.Video.identifier)
            .where(models.Video.identifier == partition.key)
        ).one_or_none()
        if found is None:
            return None
        row, file, location = found
        whole = location is not None and indexable_source_url(location) == row.source_url
        return Video(
            identifier=row.identifier,
            source_url=location if whole else row.source_url,
            cloud_url=row.cloud_url,
            content_hash=file.content_hash,
            facts=facts_from_json(dict(file.facts)),
            title=row.title,
        )

    def version(self, stored: Video) -> str:
        """Over bytes, title and source."""
        return video_version(stored)

    def object_urls(self, stored: Video) -> tuple[str, ...]:
        """The one object."""
        return (stored.cloud_url,)


def locked_video(session: Session, partition: Partition, *, step: str) -> int:
    """Id of the row of a video, locked until the transaction ends.

    The lock makes two runs of one video write one after the other.

    Raises:
        ResultMissing: If the video was never materialised.
    """
    found = session.scalar(
        select(models.Video.id)
        .where(models.Video.identifier == partition.key)
        # Rows of `pipeline_history` may still be written meanwhile.
        .with_for_update(key_share=True)
    )
    if found is None:
        raise missing_result(partition, asset="video", step=step)
    return found
