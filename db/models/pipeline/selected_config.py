"""Table `pipeline.selected_configs`: what each video's moments are made and scored with."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, Name, OfConfig, VideoAsKey


class SelectedConfig(Base):
    """The configs that a video uses; what `generation_configs.transcript_id` cannot say."""

    __tablename__ = "selected_configs"
    __table_args__ = ({"schema": PIPELINE_SCHEMA},)

    video_id: Mapped[VideoAsKey]
    generation_config_id: Mapped[OfConfig] = mapped_column(index=True)
    refinement_config_id: Mapped[OfConfig] = mapped_column(index=True)
    profile: Mapped[Name] = mapped_column(comment="Profile that they came from")
    max_shift_seconds: Mapped[float] = mapped_column(
        comment="How far refinement may move a boundary, seconds"
    )
    scoring: Mapped[dict[str, Any] | None] = mapped_column(
        comment="Model, prompt and sampling of scoring"
    )
