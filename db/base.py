"""The base of all models: one metadata, one naming convention."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

from sqlalchemy import DateTime, MetaData, func
from sqlalchemy.orm import DeclarativeBase, mapped_column, relationship

# Tables beyond the documented eight, so that `public` holds those and nothing else.
PIPELINE_SCHEMA = "pipeline"

# Migrations name constraints; a name that the server made up could differ between servers.
NAMING_CONVENTION = {
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What every model inherits from; `Base.metadata` is what the migrations must amount to."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


CreatedAt = Annotated[
    datetime | None,
    mapped_column(DateTime(), server_default=func.now(), comment="When the row was made, UTC"),
]

dependents = partial(relationship, passive_deletes="all")
"""Rows that the database itself deletes with their owner: the mapper must not do it a second time,
in another order."""
