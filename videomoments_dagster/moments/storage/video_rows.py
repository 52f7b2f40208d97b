"""Storage of `video` and `transcript`: rows of `videos` and `transcripts`, and a video's bytes."""

from __future__ import annotations

import mimetypes
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from videomoments_dagster.base.files import kibibytes
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import (
    WHOLE,
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
    storable,
)
from videomoments_dagster.media.facts import (
    AudioStream,
    MediaFacts,
    SoundTrack,
    SubtitleStream,
    VideoStream,
)
from videomoments_dagster.moments.identity import transcript_version, video_content, video_version
from videomoments_dagster.moments.object_keys import video_key
from videomoments_dagster.moments.records import FetchedVideo, Source, Video
from videomoments_dagster.moments.registration import register
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

CONTENT, ADDRESS, DURATION, IDENTIFIER = "content", "address", "duration", "identifier"
"""Parts of a video that others are made from."""

_LANGUAGE_CHARACTERS = 10
_SERVICE_CHARACTERS = 50


def file_columns(facts: MediaFacts) -> dict[str, Any]:
    """What rows of videos and of clips say alike of their files."""
    video, audio = facts.video, facts.audio
    return {
        "file_size_kb": kibibytes(facts.size_bytes),
        "video_codec": fitted(video.codec, CODEC_CHARACTERS) if video else None,
        "audio_codec": fitted(audio.codec, CODEC_CHARACTERS) if audio else None,
        "resolution": video.resolution if video else None,
    }


def _facts(document: dict[str, Any]) -> MediaFacts:
    """Rebuild `MediaFacts` from what `dataclasses.asdict` made of them."""
    video, audio = document["video"], document["audio"]
    rebuilt = {
        "video": video and VideoStream(**video),
        "audio": audio and AudioStream(**audio),
        "subtitles": tuple(
            SubtitleStream(**{"number": number, **one})
            for number, one in enumerate(document.get("subtitles", ()), start=1)
        ),
        "sound_tracks": tuple(SoundTrack(**one) for one in document.get("sound_tracks", ())),
        "silent_streams": tuple(document.get("silent_streams", ())),
    }
    facts = MediaFacts(**{**document, **rebuilt})
    if "origin_seconds" in document or not facts.streams:
        return facts
    # From when the first picture was taken for 0, also where sound comes earlier.
    return replace(facts, origin_seconds=facts.streams[0].start_seconds)


class VideoRows(AssetStorage[FetchedVideo, Video]):
    """One row and one object; the row's columns describe the file as presented."""

    name = "video"
    addresses = (models.Video.cloud_url,)

    def files(self, partition: Partition, made: FetchedVideo) -> list[FileToStore]:
        """The bytes under a key with their hash; the same bytes are not sent again."""
        extension = made.path.suffix.lstrip(".").lower() or "bin"
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
            "frame_rate": facts.video.frame_rate if facts.video else None,
            **file_columns(facts),
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
        source = Source(identifier=partition.key, location=made.source_url, title=made.title)
        register(session, source, replacing=False)

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
            facts=_facts(file.facts),
            title=row.title,
        )

    def version(self, stored: Video) -> str:
        """Over bytes, title and source."""
        return video_version(stored)

    def parts(self, stored: Video) -> dict[str, str]:
        """The bytes, where they lie, the length, the name: of the title nothing else is made."""
        return {
            WHOLE: video_version(stored),
            CONTENT: video_content(stored),
            ADDRESS: digest(stored.cloud_url),
            DURATION: digest(stored.facts.duration_seconds),
            IDENTIFIER: digest(stored.identifier),
        }

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


class TranscriptRows(AssetStorage[Transcript, Transcript]):
    """Write-once: another transcript replaces the row, it never changes one."""

    name = "transcript"

    def write(
        self,
        session: Session,
        partition: Partition,
        made: Transcript,
        uploads: Uploads,  # noqa: ARG002
    ) -> None:
        """Delete the old row and insert the new one; the very same transcript changes nothing.

        The delete detaches or repoints configs that named the old row (a trigger); configs that
        this video selected and that name no transcript any more are given the new one.
        """
        video_id = locked_video(session, partition, step=self.name)
        made = _storable(made)
        stored = self.read(session, partition)
        # How long it took is no part of what is said.
        seconds = made.processing_time_seconds
        if stored is not None and replace(stored, processing_time_seconds=seconds) == made:
            return
        session.execute(delete(models.Transcript).where(models.Transcript.video_id == video_id))
        row = models.Transcript(
            video_id=video_id,
            full_text=made.full_text,
            word_timestamps=[
                {"word": word.text, "start": word.start, "end": word.end} for word in made.words
            ],
            segment_timestamps=[asdict(segment) for segment in made.segments],
            language=made.language,
            number_of_words=len(made.words),
            number_of_segments=len(made.segments),
            transcription_service=made.transcription_service,
            processing_time_seconds=made.processing_time_seconds,
        )
        session.add(row)
        session.flush()
        choice = session.get(models.SelectedConfig, video_id)
        if choice is not None:
            config = models.GenerationConfig
            nameless = session.scalars(
                select(config.id)
                .where(
                    config.id.in_([choice.generation_config_id, choice.refinement_config_id]),
                    config.transcript_id.is_(None),
                )
                # In the order in which all take shared rows, so that two never wait for each other.
                .order_by(config.config_hash)
                .with_for_update()
            ).all()
            session.execute(
                update(config).where(config.id.in_(nameless)).values(transcript_id=row.id)
            )

    def read(self, session: Session, partition: Partition) -> Transcript | None:
        """The stored transcript, or None. Its notes are remembered with the materialisation."""
        row = session.scalar(
            select(models.Transcript)
            .join(models.Video, models.Video.id == models.Transcript.video_id)
            .where(models.Video.identifier == partition.key)
        )
        if row is None:
            return None
        return Transcript(
            full_text=row.full_text,
            words=tuple(
                Word(str(word["word"]), float(word["start"]), float(word["end"]))
                for word in row.word_timestamps
            ),
            segments=tuple(
                Segment(str(segment["text"]), float(segment["start"]), float(segment["end"]))
                for segment in row.segment_timestamps
            ),
            language=row.language or "",
            transcription_service=row.transcription_service or "",
            processing_time_seconds=row.processing_time_seconds or 0.0,
        )

    def version(self, stored: Transcript) -> str:
        """Over words, segments, language and service."""
        return transcript_version(stored)


def _storable(transcript: Transcript) -> Transcript:
    return replace(
        transcript,
        full_text=storable(transcript.full_text),
        words=tuple(replace(word, text=storable(word.text)) for word in transcript.words),
        segments=tuple(
            replace(segment, text=storable(segment.text)) for segment in transcript.segments
        ),
        language=fitted(transcript.language, _LANGUAGE_CHARACTERS),
        transcription_service=fitted(transcript.transcription_service, _SERVICE_CHARACTERS),
        notes=(),
    )
