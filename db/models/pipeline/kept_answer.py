"""Table `pipeline.kept_answers`: what language models answered, so that nothing is asked twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, Identifier, Sha256, SystemName


class KeptAnswer(Base):
    """One validated answer; a run that died finds it here and asks only for what is missing."""

    __tablename__ = "kept_answers"
    __table_args__ = ({"schema": PIPELINE_SCHEMA},)

    system: Mapped[SystemName] = mapped_column(primary_key=True)
    partition_key: Mapped[Identifier] = mapped_column(primary_key=True)
    key: Mapped[Sha256] = mapped_column(
        primary_key=True, comment="SHA-256 over everything that determines the answer"
    )
    answer: Mapped[dict[str, Any]] = mapped_column(comment="As validated")
    # No default: whoever writes it compares it with the start of its own run, by the same clock.
    created_at: Mapped[datetime] = mapped_column(index=True, comment="When it came, UTC")
