"""Table `pipeline.sources`: where a registered partition's bytes come from."""

from __future__ import annotations

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, CreatedAt, Identifier, Name


class Source(Base):
    """A registered source, which lets its partition be materialised with no run config."""

    __tablename__ = "sources"
    __table_args__ = (
        # A hash index: signed URLs can be longer than a B-tree's 2,704 bytes.
        Index("idx_sources_location", "location", postgresql_using="hash"),
        {"schema": PIPELINE_SCHEMA},
    )

    identifier: Mapped[Identifier] = mapped_column(primary_key=True, comment="Partition key")
    location: Mapped[str] = mapped_column(comment="A URL or an absolute local path")
    title: Mapped[str | None] = mapped_column(String(500))
    captions: Mapped[str | None] = mapped_column(comment="URL or absolute path of a caption file")
    transcription_engine: Mapped[str | None] = mapped_column(
        String(50), comment="Engine for this video, where it differs from the settings"
    )
    profile: Mapped[Name | None] = mapped_column(
        comment="Generation profile for this video, where it differs from the default"
    )
    audio_track: Mapped[int | None] = mapped_column(
        comment="Number of the sound track to work on, from 1, where somebody chose one"
    )
    subtitle_track: Mapped[int | None] = mapped_column(
        comment="Number of the subtitle track to read, from 1, where somebody chose one"
    )
    created_at: Mapped[CreatedAt]
