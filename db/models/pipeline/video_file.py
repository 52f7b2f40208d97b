"""Table `pipeline.video_files`: what probing found in each stored video's bytes."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, Sha256, VideoAsKey


class VideoFile(Base):
    """The content hash and media facts of a video, beyond the columns of `videos`."""

    __tablename__ = "video_files"
    __table_args__ = ({"schema": PIPELINE_SCHEMA},)

    video_id: Mapped[VideoAsKey]
    content_hash: Mapped[Sha256] = mapped_column(comment="SHA-256 of the bytes")
    facts: Mapped[dict[str, Any]] = mapped_column(comment="Streams, times and sizes")
