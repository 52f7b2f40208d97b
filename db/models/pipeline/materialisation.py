"""Table `pipeline.materialisations`: what is remembered of each asset's last result."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, Identifier, Name, Sha256, SystemName, UpdatedAt

_NOTHING = text("'{}'::jsonb")


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
        Index(
            "idx_materialisations_stale",
            "system",
            "partition_key",
            postgresql_where=text("is_stale"),
        ),
        Index(
            "idx_materialisations_code_version", "system", "asset", "code_version", "partition_key"
        ),
        {"schema": PIPELINE_SCHEMA},
    )

    system: Mapped[SystemName] = mapped_column(primary_key=True)
    partition_key: Mapped[Identifier] = mapped_column(primary_key=True)
    asset: Mapped[Name] = mapped_column(primary_key=True)
    fingerprint: Mapped[Sha256] = mapped_column(
        comment="SHA-256 over inputs, settings and code version; empty for a partial result, and "
        "for one of which rows were deleted"
    )
    data_version: Mapped[Sha256] = mapped_column(comment="Content hash of the result")
    details: Mapped[dict[str, Any]] = mapped_column(
        server_default=_NOTHING, comment="Facts shown again when nothing changed"
    )
    parts: Mapped[dict[str, Any]] = mapped_column(
        server_default=_NOTHING,
        comment="Content hash of each part that others depend on, by asset and part; empty for a "
        "result from before they were remembered",
    )
    inputs: Mapped[dict[str, Any]] = mapped_column(
        server_default=_NOTHING, comment="The parts of other results that it was made from"
    )
    is_stale: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="Whether one of its inputs is another one by now"
    )
    code_version: Mapped[Name] = mapped_column(
        server_default="", comment="Of the asset that made it; empty where nobody knows"
    )
    updated_at: Mapped[UpdatedAt]
