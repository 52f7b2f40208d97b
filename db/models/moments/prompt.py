"""Table `prompts`: the two texts that a model is given, once for each distinct pair."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, CreatedAt, Id, Sha256


class Prompt(Base):
    """A pair of prompt texts. Never updated."""

    __tablename__ = "prompts"
    __table_args__ = (UniqueConstraint("prompt_hash", name="idx_prompts_hash"),)

    id: Mapped[Id]
    user_prompt: Mapped[str]
    system_prompt: Mapped[str]
    prompt_hash: Mapped[Sha256] = mapped_column(comment="SHA-256 over both prompts, hexadecimal")
    created_at: Mapped[CreatedAt]
