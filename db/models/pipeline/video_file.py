"""Table `pipeline.video_files`: what probing found in each stored video's bytes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base


class VideoFile(Base):
    """The content hash and media facts of a video, beyond the columns of `videos`."""

    __tablename__ = "video_files"
    __table_args__ = ({"schema": PIPELINE_SCHEMA},)

    video_id: Mapped[int] = mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    content_hash: Mapped[str] = mapped_column(String(64), comment="SHA-256 of the bytes")
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="Streams, times and sizes")
