"""Table `pipeline.materialisations`: what is remembered of each asset's last result."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, Identifier, Name, Sha256, SystemName, UpdatedAt


class Materialisation(Base):
    """The last stored result of one asset in one partition; unchanged inputs return it again."""

    __tablename__ = "materialisations"
    __table_args__ = (
        Index(
            "idx_materialisations_partial",
            "system",
            "partition_key",
            postgresql_where=text("fingerprint = ''"),
        ),
        {"schema": PIPELINE_SCHEMA},
    )

    system: Mapped[SystemName] = mapped_column(primary_key=True)
    partition_key: Mapped[Identifier] = mapped_column(primary_key=True)
    asset: Mapped[Name] = mapped_column(primary_key=True)
    fingerprint: Mapped[Sha256] = mapped_column(
        comment="SHA-256 over inputs, settings and code version; empty for a partial result"
    )
    data_version: Mapped[Sha256] = mapped_column(comment="Content hash of the result")
    details: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("'{}'::jsonb"), comment="Facts shown again when nothing changed"
    )
    updated_at: Mapped[UpdatedAt]
