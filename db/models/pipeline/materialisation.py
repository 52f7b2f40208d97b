"""Table `pipeline.materialisations`: what is remembered of each asset's last result."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Index, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base


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

    system: Mapped[str] = mapped_column(String(30), primary_key=True)
    partition_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    asset: Mapped[str] = mapped_column(String(100), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(
        String(64),
        comment="SHA-256 over inputs, settings and code version; empty for a partial result",
    )
    data_version: Mapped[str] = mapped_column(String(64), comment="Content hash of the result")
    details: Mapped[dict[str, Any]] = mapped_column(
        JSONB, server_default=text("'{}'::jsonb"), comment="Facts shown again when nothing changed"
    )
    # An upsert sets this itself: SQLAlchemy applies `onupdate` to UPDATE, not to ON CONFLICT.
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(), server_default=func.now(), onupdate=func.now(), comment="UTC"
    )
