"""Table `pipeline_history`: one row a run and video, mirroring the orchestrator's record."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CreatedAt, Id, Name, OfConfig, OfVideo

if TYPE_CHECKING:
    from db.models.moments.generation_config import GenerationConfig
    from db.models.moments.video import Video


class PipelineHistory(Base):
    """A run for one video. Status goes from running to completed, failed or partial."""

    __tablename__ = "pipeline_history"
    __table_args__ = (Index("idx_pipeline_history_config_id", "generation_config_id"),)

    id: Mapped[Id]
    identifier: Mapped[Name] = mapped_column(
        unique=True, comment="pipeline:<video>:<epoch milliseconds>, also a tag of the run"
    )
    video_id: Mapped[OfVideo]
    generation_config_id: Mapped[OfConfig]
    pipeline_type: Mapped[str] = mapped_column(
        String(50), comment="full, moments_only, clips_only, ..."
    )
    status: Mapped[str] = mapped_column(
        String(20), index=True, comment="running, completed, failed or partial"
    )
    started_at: Mapped[datetime] = mapped_column(index=True, comment="UTC")
    completed_at: Mapped[datetime | None] = mapped_column(comment="UTC")
    duration_seconds: Mapped[float | None]
    total_moments_generated: Mapped[int | None]
    total_clips_created: Mapped[int | None]
    error_stage: Mapped[str | None] = mapped_column(String(50), comment="Asset that failed")
    error_message: Mapped[str | None]
    created_at: Mapped[CreatedAt]

    video: Mapped[Video] = relationship(back_populates="pipeline_runs")
    generation_config: Mapped[GenerationConfig] = relationship(back_populates="pipeline_runs")
