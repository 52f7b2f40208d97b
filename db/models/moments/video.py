"""Table `videos`: the central entity, one row a video."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CloudUrl, Codec, CreatedAt, FileSize, Id, Identifier
from db.models.moments.moment import Moment
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

    # The database deletes these rows with their owner: the mapper must not do it a second time.
    transcripts: Mapped[list[Transcript]] = relationship(passive_deletes="all")
    moments: Mapped[list[Moment]] = relationship(passive_deletes="all")
