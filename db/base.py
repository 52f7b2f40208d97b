"""The base of all models: one metadata, one naming convention."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from sqlalchemy import BigInteger, ForeignKey, MetaData, String, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column, relationship

# Tables beyond the documented eight, so that `public` holds those and nothing else.
PIPELINE_SCHEMA = "pipeline"

# Migrations name constraints; a name that the server made up could differ between servers.
NAMING_CONVENTION = {
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    "uq": "idx_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What every model inherits from; `Base.metadata` is what the migrations must amount to."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 - as SQLAlchemy declares it
        str: Text,
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
    }


Id = Annotated[int, mapped_column(primary_key=True)]
OfVideo = Annotated[int, mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), index=True)]
VideoAsKey = Annotated[
    int,
    mapped_column(
        ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
]
OfConfig = Annotated[int, mapped_column(ForeignKey("generation_configs.id", ondelete="CASCADE"))]
Sha256 = Annotated[str, mapped_column(String(64))]
Name = Annotated[str, mapped_column(String(100))]
SystemName = Annotated[str, mapped_column(String(30))]
Identifier = Annotated[str, mapped_column(String(255))]
Codec = Annotated[str, mapped_column(String(50))]
CloudUrl = Annotated[str, mapped_column(comment="Where the bytes are")]
FileSize = Annotated[int | None, mapped_column(BigInteger, comment="File size, kilobytes")]
CreatedAt = Annotated[
    datetime | None, mapped_column(server_default=func.now(), comment="When the row was made, UTC")
]
# An upsert sets this itself: SQLAlchemy applies `onupdate` to UPDATE, not to ON CONFLICT.
UpdatedAt = Annotated[
    datetime, mapped_column(server_default=func.now(), onupdate=func.now(), comment="UTC")
]

dependents = partial(relationship, passive_deletes="all")
"""Rows that the database itself deletes with their owner: the mapper must not do it a second time,
in another order."""
