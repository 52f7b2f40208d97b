"""Table `clips`: the cut video of a root moment, at most one a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CreatedAt, dependents

if TYPE_CHECKING:
    from db.models.moments.moment import Moment
    from db.models.moments.thumbnail import Thumbnail
    from db.models.moments.video import Video


class Clip(Base):
    """A clip whose bytes are in the object store. Its length is `end_time - start_time`."""

    __tablename__ = "clips"
    __table_args__ = (
        UniqueConstraint("moment_id", name="idx_clips_moment_id"),
        CheckConstraint("end_time > start_time", name="end_after_start"),
        Index("idx_clips_video_id", "video_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    moment_id: Mapped[int] = mapped_column(
        ForeignKey("moments.id", ondelete="CASCADE"), comment="Root moment, never a refined one"
    )
    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    cloud_url: Mapped[str] = mapped_column(Text, comment="Where the bytes are")
    start_time: Mapped[float] = mapped_column(
        comment="Seconds of the video's presented timeline, padding included"
    )
    end_time: Mapped[float] = mapped_column(
        comment="Seconds of the video's presented timeline, padding included"
    )
    padding_left: Mapped[float] = mapped_column(
        comment="Seconds before the moment that the video had room for"
    )
    padding_right: Mapped[float] = mapped_column(
        comment="Seconds after the moment that the video had room for"
    )
    file_size_kb: Mapped[int | None] = mapped_column(BigInteger, comment="File size, kilobytes")
    format: Mapped[str | None] = mapped_column(String(20), comment="Container, such as mp4")
    video_codec: Mapped[str | None] = mapped_column(String(50))
    audio_codec: Mapped[str | None] = mapped_column(String(50))
    resolution: Mapped[str | None] = mapped_column(
        String(20), comment="Width x height as presented"
    )
    created_at: Mapped[CreatedAt]

    moment: Mapped[Moment] = relationship(back_populates="clip")
    video: Mapped[Video] = relationship(back_populates="clips")
    thumbnail: Mapped[Thumbnail | None] = dependents(back_populates="clip")
