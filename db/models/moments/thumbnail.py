"""Table `thumbnails`: one image of a video or of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CloudUrl, CreatedAt, FileSize, Id, OfVideo

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

    id: Mapped[Id]
    video_id: Mapped[OfVideo | None]
    clip_id: Mapped[int | None] = mapped_column(
        ForeignKey("clips.id", ondelete="CASCADE"), index=True
    )
    cloud_url: Mapped[CloudUrl]
    file_size_kb: Mapped[FileSize]
    created_at: Mapped[CreatedAt]

    video: Mapped[Video | None] = relationship(back_populates="thumbnails")
    clip: Mapped[Clip | None] = relationship(back_populates="thumbnail")
