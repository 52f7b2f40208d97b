"""Table `prompts`: the two texts that a model is given, once for each distinct pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, CreatedAt, Id, Sha256, dependents

if TYPE_CHECKING:
    from db.models.moments.generation_config import GenerationConfig


class Prompt(Base):
    """A pair of prompt texts. Never updated."""

    __tablename__ = "prompts"
    __table_args__ = (UniqueConstraint("prompt_hash", name="idx_prompts_hash"),)

    id: Mapped[Id]
    user_prompt: Mapped[str]
    system_prompt: Mapped[str]
    prompt_hash: Mapped[Sha256] = mapped_column(comment="SHA-256 over both prompts, hexadecimal")
    created_at: Mapped[CreatedAt]

    generation_configs: Mapped[list[GenerationConfig]] = dependents(back_populates="prompt")
