"""Table `pipeline.pages`: the page that is stored beside a video's clips."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, Sha256, UpdatedAt, VideoAsKey


class StoredPage(Base):
    """The page of one video; its object stays as long as this row refers to it."""

    __tablename__ = "pages"
    __table_args__ = ({"schema": PIPELINE_SCHEMA},)

    video_id: Mapped[VideoAsKey]
    cloud_url: Mapped[str] = mapped_column(comment="Where the page is")
    fingerprint: Mapped[Sha256] = mapped_column(
        comment="SHA-256 over what it shows and how; the same needs no new page"
    )
    updated_at: Mapped[UpdatedAt]
