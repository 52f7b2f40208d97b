"""Table `pipeline.object_origins`: what determined the bytes of each stored object."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, CreatedAt, Identifier, Sha256, SystemName


class ObjectOrigin(Base):
    """The origin of one stored object, by which a clip or thumbnail is known to be still right."""

    __tablename__ = "object_origins"
    __table_args__ = (
        Index("idx_object_origins_partition", "system", "partition_key"),
        {"schema": PIPELINE_SCHEMA},
    )

    url: Mapped[str] = mapped_column(primary_key=True)
    system: Mapped[SystemName]
    partition_key: Mapped[Identifier]
    fingerprint: Mapped[Sha256] = mapped_column(comment="SHA-256 over what determined the bytes")
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    created_at: Mapped[CreatedAt]
