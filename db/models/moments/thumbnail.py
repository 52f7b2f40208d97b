"""Table `thumbnails`: one image of a video or of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CreatedAt

if TYPE_CHECKING:
    from db.models.moments.clip import Clip
    from db.models.moments.video import Video


class Thumbnail(Base):
    """A thumbnail of exactly one thing: either a video or a clip."""

    __tablename__ = "thumbnails"
    __table_args__ = (
        CheckConstraint(
            "(video_id IS NOT NULL AND clip_id IS NULL)"
            " OR (video_id IS NULL AND clip_id IS NOT NULL)",
            name="one_owner",
        ),
        Index("idx_thumbnails_video_id", "video_id"),
        Index("idx_thumbnails_clip_id", "clip_id"),
        Index(
            "idx_thumbnails_video_id_unique",
            "video_id",
            unique=True,
            postgresql_where=text("video_id IS NOT NULL"),
        ),
        Index(
            "idx_thumbnails_clip_id_unique",
            "clip_id",
            unique=True,
            postgresql_where=text("clip_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int | None] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    clip_id: Mapped[int | None] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"))
    cloud_url: Mapped[str] = mapped_column(Text, comment="Where the bytes are")
    file_size_kb: Mapped[int | None] = mapped_column(BigInteger, comment="File size, kilobytes")
    created_at: Mapped[CreatedAt]

    video: Mapped[Video | None] = relationship(back_populates="thumbnails")
    clip: Mapped[Clip | None] = relationship(back_populates="thumbnail")
