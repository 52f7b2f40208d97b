"""Storage of the `transcript` asset: the one row of `transcripts` that a video has."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db import models
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import AssetStorage, Uploads
from videomoments_dagster.core.text_columns import fitted, storable
from videomoments_dagster.moments.storage.video_rows import locked_video
from videomoments_dagster.moments.versions import transcript_version
from videomoments_dagster.speech.transcript import Segment, Transcript, Word

LANGUAGE_CHARACTERS = 10
SERVICE_CHARACTERS = 50


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
        if self.read(session, partition) == made:
            return
        session.execute(delete(models.Transcript).where(models.Transcript.video_id == video_id))
        row = models.Transcript(
            video_id=video_id,
            full_text=made.full_text,
            word_timestamps=[
                {"word": word.text, "start": word.start, "end": word.end} for word in made.words
            ],
            segment_timestamps=[
                {"text": segment.text, "start": segment.start, "end": segment.end}
                for segment in made.segments
            ],
            language=made.language,
            number_of_words=len(made.words),
            number_of_segments=len(made.segments),
            transcription_service=made.transcription_service,
            processing_time_seconds=made.processing_time_seconds,
        )
        session.add(row)
        session.flush()
        selected = select(models.SelectedConfig).where(models.SelectedConfig.video_id == video_id)
        choice = session.scalar(selected)
        if choice is not None:
            session.execute(
                update(models.GenerationConfig)
                .where(
                    models.GenerationConfig.id.in_(
                        [choice.generation_config_id, choice.refinement_config_id]
                    ),
                    models.GenerationConfig.transcript_id.is_(None),
                )
                .values(transcript_id=row.id)
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
                Word(text=str(word["word"]), start=float(word["start"]), end=float(word["end"]))
                for word in row.word_timestamps
            ),
            segments=tuple(
                Segment(
                    text=str(segment["text"]),
                    start=float(segment["start"]),
                    end=float(segment["end"]),
                )
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
        language=fitted(transcript.language, LANGUAGE_CHARACTERS),
        transcription_service=fitted(transcript.transcription_service, SERVICE_CHARACTERS),
        notes=(),
    )
