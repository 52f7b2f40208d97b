"""Table `pipeline.pages`: the page that is stored beside a video's clips."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base


class StoredPage(Base):
    """The page of one video; its object stays as long as this row refers to it."""

    __tablename__ = "pages"
    __table_args__ = ({"schema": PIPELINE_SCHEMA},)

    video_id: Mapped[int] = mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    cloud_url: Mapped[str] = mapped_column(Text, comment="Where the page is")
    fingerprint: Mapped[str] = mapped_column(
        String(64), comment="SHA-256 over what it shows and how; the same needs no new page"
    )
    # An upsert sets this itself: SQLAlchemy applies `onupdate` to UPDATE, not to ON CONFLICT.
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(), server_default=func.now(), onupdate=func.now(), comment="UTC"
    )
