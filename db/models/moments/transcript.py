"""Table `transcripts`: what is said in a video, at most one row a video, written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CreatedAt, Id, dependents

if TYPE_CHECKING:
    from db.models.moments.generation_config import GenerationConfig
    from db.models.moments.video import Video


class Transcript(Base):
    """A transcript. Never updated: transcribing again replaces the row.

    A trigger (`pipeline.detach_shared_configs`) lets go of the configs that name a transcript
    before it is deleted, so that the foreign key's cascade finds none to delete.
    """

    __tablename__ = "transcripts"
    __table_args__ = (
        Index(
            "idx_transcripts_full_text",
            text("to_tsvector('english'::regconfig, full_text)"),
            postgresql_using="gin",
        ),
    )

    id: Mapped[Id]
    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), unique=True)
    full_text: Mapped[str] = mapped_column(comment="All segments joined by single spaces")
    word_timestamps: Mapped[list[dict[str, Any]]] = mapped_column(
        comment="Array of {word, start, end}, seconds of the presented timeline"
    )
    segment_timestamps: Mapped[list[dict[str, Any]]] = mapped_column(
        comment="Array of {text, start, end}, seconds of the presented timeline"
    )
    language: Mapped[str | None] = mapped_column(
        String(10), server_default=text("'en'"), comment="ISO 639-1 code"
    )
    number_of_words: Mapped[int | None]
    number_of_segments: Mapped[int | None]
    transcription_service: Mapped[str | None] = mapped_column(
        String(50), comment="Engine and model"
    )
    processing_time_seconds: Mapped[float | None] = mapped_column(
        comment="Wall-clock time of the engine, seconds"
    )
    created_at: Mapped[CreatedAt]

    video: Mapped[Video] = relationship(back_populates="transcripts")
    generation_configs: Mapped[list[GenerationConfig]] = dependents(back_populates="transcript")
