"""Table `moments`: stretches of a video worth watching, roots and their refined children."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CreatedAt, Id, Name, OfConfig, OfVideo, UpdatedAt, dependents

if TYPE_CHECKING:
    from db.models.moments.clip import Clip
    from db.models.moments.generation_config import GenerationConfig
    from db.models.moments.video import Video


class Moment(Base):
    """A moment. The length is `end_time - start_time` and never stored.

    No check demands a parent of a refined moment: deleting a root sets its children's `parent_id`
    to null, which such a check would forbid.
    """

    __tablename__ = "moments"
    __table_args__ = (
        CheckConstraint("end_time > start_time", name="end_after_start"),
        CheckConstraint("score >= 0 AND score <= 10", name="score_range"),
        Index("idx_moments_score", "score", postgresql_where=text("score IS NOT NULL")),
        Index("idx_moments_timestamps", "start_time", "end_time"),
    )

    id: Mapped[Id]
    identifier: Mapped[str] = mapped_column(
        String(20), unique=True, comment="Business identifier, derived from what the moment is"
    )
    video_id: Mapped[OfVideo]
    start_time: Mapped[float] = mapped_column(comment="Seconds of the presented timeline")
    end_time: Mapped[float] = mapped_column(comment="Seconds of the presented timeline")
    title: Mapped[str] = mapped_column(String(500))
    is_refined: Mapped[bool | None] = mapped_column(server_default=false(), index=True)
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("moments.id", ondelete="SET NULL"),
        index=True,
        comment="Root moment that this one refines",
    )
    generation_model: Mapped[Name | None] = mapped_column(comment="Engine or model that found it")
    generation_config_id: Mapped[OfConfig | None]
    score: Mapped[int | None] = mapped_column(comment="0 (dull) to 10 (best); null before scoring")
    scoring_model: Mapped[Name | None]
    scored_at: Mapped[datetime | None] = mapped_column(comment="UTC")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt | None] = mapped_column(
        comment="When the row was last changed, UTC"
    )

    video: Mapped[Video] = relationship(back_populates="moments")
    parent: Mapped[Moment | None] = relationship(back_populates="children", remote_side="Moment.id")
    children: Mapped[list[Moment]] = dependents(back_populates="parent")
    generation_config: Mapped[GenerationConfig | None] = relationship(back_populates="moments")
    clip: Mapped[Clip | None] = dependents(back_populates="moment")
