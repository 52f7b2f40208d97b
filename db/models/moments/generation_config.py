"""Table `generation_configs`: what moments are made with, shared by all videos that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.base import Base, CreatedAt, Id, Name, Sha256, dependents

if TYPE_CHECKING:
    from db.models.moments.moment import Moment
    from db.models.moments.pipeline_history import PipelineHistory
    from db.models.moments.prompt import Prompt
    from db.models.moments.transcript import Transcript


class GenerationConfig(Base):
    """A set of generation parameters.

    `config_hash` leaves `transcript_id` out, so one row serves many videos, while `transcript_id`
    names the transcript of one of them.
    """

    __tablename__ = "generation_configs"
    __table_args__ = (
        UniqueConstraint("config_hash", name="idx_generation_configs_hash"),
        Index("idx_generation_configs_operation", "operation_type"),
    )

    id: Mapped[Id]
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"), index=True)
    transcript_id: Mapped[int | None] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"),
        index=True,
        comment="Transcript of one video that uses this; repointed before that one is deleted",
    )
    model: Mapped[Name] = mapped_column(index=True, comment="Engine or model")
    operation_type: Mapped[str] = mapped_column(String(50), comment="generation or refinement")
    temperature: Mapped[float | None] = mapped_column(comment="0.0 to 2.0")
    top_p: Mapped[float | None]
    top_k: Mapped[int | None]
    min_moment_length: Mapped[float | None] = mapped_column(comment="Seconds")
    max_moment_length: Mapped[float | None] = mapped_column(comment="Seconds")
    min_moments: Mapped[int | None]
    max_moments: Mapped[int | None]
    config_hash: Mapped[Sha256] = mapped_column(
        comment="SHA-256 over all of the above but transcript_id, hexadecimal"
    )
    created_at: Mapped[CreatedAt]

    prompt: Mapped[Prompt] = relationship(back_populates="generation_configs")
    transcript: Mapped[Transcript | None] = relationship(back_populates="generation_configs")
    moments: Mapped[list[Moment]] = dependents(back_populates="generation_config")
    pipeline_runs: Mapped[list[PipelineHistory]] = dependents(back_populates="generation_config")
