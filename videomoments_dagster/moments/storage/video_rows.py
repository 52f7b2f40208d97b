"""Storage of the `video` asset: a row of `videos`, and its bytes as one object."""

from __future__ import annotations

import mimetypes
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from videomoments_dagster.core.objects.interface import ObjectStore
from videomoments_dagster.core.objects.keys import video_key
from videomoments_dagster.core.storage import StoredAsset, Uploads
from videomoments_dagster.core.text_columns import (
    CODEC_CHARACTERS,
    TITLE_CHARACTERS,
    fitted,
    indexable_source_url,
)
from videomoments_dagster.media.facts import AudioStream, MediaFacts, SubtitleStream, VideoStream
from videomoments_dagster.moments.records import FetchedVideo, Source, Video
from videomoments_dagster.moments.registered_sources import register_if_new
from videomoments_dagster.moments.versions import video_version

DEFAULT_EXTENSION = "bin"


def kibibytes(size_bytes: int) -> int:
    """Size in units of 1,024 bytes, rounded up, so that no file has size 0."""
    return -(-size_bytes // 1024)


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


class VideoRows(StoredAsset[FetchedVideo, Video]):
    """One row and one object; the row's columns describe the file as presented."""

    name = "video"
    has_files = True

    def upload(self, store: ObjectStore, *, video: str, made: FetchedVideo) -> Uploads:
        """Store the bytes under a key with their hash; the same bytes are not sent again."""
        extension = made.path.suffix.lstrip(".").lower() or DEFAULT_EXTENSION
        key = video_key(video, made.content_hash, extension)
        content_type = mimetypes.guess_type(f"x.{extension}")[0] or "application/octet-stream"
        # The source may have changed since it was hashed.
        stored = store.put_file(
            made.path, key=key, content_type=content_type, sha256=made.content_hash
        )
        return {made.path: stored}

    def size_of_files(self, made: FetchedVideo) -> int:
        """Size of the one file."""
        return made.facts.size_bytes

    def write(self, session: Session, *, video: str, made: FetchedVideo, uploads: Uploads) -> None:
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
            .values(identifier=video, **values)
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
            session, Source(identifier=video, location=made.source_url, title=made.title)
        )

    def read(self, session: Session, *, video: str) -> Video | None:
        """The stored video, or None."""
        found = session.execute(
            select(models.Video, models.VideoFile, models.Source.location)
            .join(models.VideoFile, models.VideoFile.video_id == models.Video.id)
            .outerjoin(models.Source, models.Source.identifier == models.Video.identifier)
            .where(models.Video.identifier == video)
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
