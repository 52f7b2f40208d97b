"""Table `pipeline.transcript_segments`: the words of each segment, for the search."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base


class TranscriptSegment(Base):
    """What the segment at a position of `transcripts.segment_timestamps` says, as search words.

    Nobody writes here but the trigger `pipeline.index_segments`, so that transcripts that came by
    plain SQL are found as well.
    """

    __tablename__ = "transcript_segments"
    __table_args__ = (
        Index("idx_transcript_segments_words", "words", postgresql_using="gin"),
        {"schema": PIPELINE_SCHEMA},
    )

    transcript_id: Mapped[int] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    position: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment="In the array, from 0"
    )
    words: Mapped[str] = mapped_column(TSVECTOR, comment="English search words of its text")
