"""Table `videos`: the central entity, one row a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, CloudUrl, Codec, CreatedAt, FileSize, Id, Identifier, dependents

if TYPE_CHECKING:
    from db.models.moments.clip import Clip
    from db.models.moments.moment import Moment
    from db.models.moments.pipeline_history import PipelineHistory
    from db.models.moments.thumbnail import Thumbnail
    from db.models.moments.transcript import Transcript


class Video(Base):
    """A video whose bytes are in the object store.

    Deleting one deletes all that hangs on it, in the database itself.
    """

    __tablename__ = "videos"

    id: Mapped[Id]
    identifier: Mapped[Identifier] = mapped_column(
        unique=True, comment="Business identifier; the partition key"
    )
    source_url: Mapped[str | None] = mapped_column(
        index=True, comment="Where the bytes came from: a URL or an absolute local path"
    )
    cloud_url: Mapped[CloudUrl]
    title: Mapped[str | None] = mapped_column(String(500), comment="Human-readable title")
    duration_seconds: Mapped[float | None] = mapped_column(comment="Presented duration, seconds")
    file_size_kb: Mapped[FileSize]
    video_codec: Mapped[Codec | None] = mapped_column(comment="Such as h264")
    audio_codec: Mapped[Codec | None] = mapped_column(comment="Such as aac")
    resolution: Mapped[str | None] = mapped_column(
        String(20), comment="Width x height as presented, rotation applied"
    )
    frame_rate: Mapped[float | None] = mapped_column(comment="Frames per second")
    created_at: Mapped[CreatedAt] = mapped_column(index=True)

    transcripts: Mapped[list[Transcript]] = dependents(back_populates="video")
    moments: Mapped[list[Moment]] = dependents(back_populates="video")
    clips: Mapped[list[Clip]] = dependents(back_populates="video")
    thumbnails: Mapped[list[Thumbnail]] = dependents(back_populates="video")
    pipeline_runs: Mapped[list[PipelineHistory]] = dependents(back_populates="video")
