"""Table `pipeline.inbox_entries`: what came in by itself, and what became of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import PIPELINE_SCHEMA, Base, CreatedAt, Identifier, Name, Sha256


class InboxEntry(Base):
    """One source that was met in the inbox or its manifest, in the state it was last met in."""

    __tablename__ = "inbox_entries"
    __table_args__ = (
        Index("idx_inbox_entries_size", "size_bytes"),
        Index(
            "idx_inbox_entries_waiting",
            "created_at",
            postgresql_where=text("outcome = 'registered' AND requested_at IS NULL"),
        ),
        {"schema": PIPELINE_SCHEMA},
    )

    key: Mapped[Sha256] = mapped_column(primary_key=True, comment="SHA-256 of the location")
    location: Mapped[str] = mapped_column(comment="Absolute path or URL, or manifest line")
    state: Mapped[Name] = mapped_column(
        comment="Size and time, or generation: changes with the bytes"
    )
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    checksum: Mapped[Name | None] = mapped_column(index=True, comment="With the name of its kind")
    outcome: Mapped[str] = mapped_column(
        String(20), comment="`registered`, `duplicate` or `rejected`"
    )
    identifier: Mapped[Identifier | None] = mapped_column(
        comment="The video it became, or that it is a duplicate of"
    )
    reason: Mapped[str | None] = mapped_column(comment="Why it was rejected")
    requested_at: Mapped[datetime | None] = mapped_column(
        comment="When its run was seen in Dagster, UTC; null until then"
    )
    created_at: Mapped[CreatedAt]
