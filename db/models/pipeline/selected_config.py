"""Table `pipeline.selected_configs`: what each video's moments are made and scored with."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import PIPELINE_SCHEMA, Base
from db.models.moments.generation_config import GenerationConfig


class SelectedConfig(Base):
    """The configs that a video uses; what `generation_configs.transcript_id` cannot say."""

    __tablename__ = "selected_configs"
    __table_args__ = (
        Index("idx_selected_configs_generation_config_id", "generation_config_id"),
        Index("idx_selected_configs_refinement_config_id", "refinement_config_id"),
        {"schema": PIPELINE_SCHEMA},
    )

    video_id: Mapped[int] = mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    generation_config_id: Mapped[int] = mapped_column(
        ForeignKey("generation_configs.id", ondelete="CASCADE")
    )
    refinement_config_id: Mapped[int] = mapped_column(
        ForeignKey("generation_configs.id", ondelete="CASCADE")
    )
    profile: Mapped[str] = mapped_column(String(100), comment="Profile that they came from")
    max_shift_seconds: Mapped[float] = mapped_column(
        comment="How far refinement may move a boundary, seconds"
    )
    scoring: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB, comment="Model, prompt and sampling of scoring"
    )

    generation_config: Mapped[GenerationConfig] = relationship(foreign_keys=[generation_config_id])
    refinement_config: Mapped[GenerationConfig] = relationship(foreign_keys=[refinement_config_id])
