"""Table `clips`: the cut video of a root moment, at most one a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CloudUrl, Codec, CreatedAt, FileSize, Id, OfVideo, dependents

if TYPE_CHECKING:
    from db.models.moments.moment import Moment
    from db.models.moments.thumbnail import Thumbnail
    from db.models.moments.video import Video


class Clip(Base):
    """A clip whose bytes are in the object store. Its length is `end_time - start_time`."""

    __tablename__ = "clips"
    __table_args__ = (CheckConstraint("end_time > start_time", name="end_after_start"),)

    id: Mapped[Id]
    moment_id: Mapped[int] = mapped_column(
        ForeignKey("moments.id", ondelete="CASCADE"),
        unique=True,
        comment="Root moment, never a refined one",
    )
    video_id: Mapped[OfVideo]
    cloud_url: Mapped[CloudUrl]
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
    file_size_kb: Mapped[FileSize]
    format: Mapped[str | None] = mapped_column(String(20), comment="Container, such as mp4")
    video_codec: Mapped[Codec | None]
    audio_codec: Mapped[Codec | None]
    resolution: Mapped[str | None] = mapped_column(
        String(20), comment="Width x height as presented"
    )
    created_at: Mapped[CreatedAt]

    moment: Mapped[Moment] = relationship(back_populates="clip")
    video: Mapped[Video] = relationship(back_populates="clips")
    thumbnail: Mapped[Thumbnail | None] = dependents(back_populates="clip")
