"""Reading and writing the registry of sources: where each partition's bytes come from.

Belongs here: `pipeline.sources`. Does not belong here: fetching (`videomoments_dagster.sources`),
or Dagster's own list of partition keys, which is kept beside it by whoever registers.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.core.text_columns import TITLE_CHARACTERS, fitted, storable
from videomoments_dagster.moments.records import Source


def registered_source(session: Session, *, identifier: str) -> Source | None:
    """The source registered under `identifier`, or None."""
    row = session.get(models.Source, identifier)
    return None if row is None else _source(row)


def source_at(session: Session, *, location: str) -> Source | None:
    """The first registered source with this location, or None: the same source, same video."""
    row = session.scalars(
        select(models.Source)
        .where(models.Source.location == location)
        .order_by(models.Source.created_at, models.Source.identifier)
        .limit(1)
    ).one_or_none()
    return None if row is None else _source(row)


def register(session: Session, source: Source) -> None:
    """Insert the source, or replace what was registered under its identifier.

    Raises:
        SourceRejected: If its location is no text that the database can keep.
    """
    values = _values(source)
    session.execute(
        insert(models.Source)
        .values(identifier=source.identifier, **values)
        .on_conflict_do_update(index_elements=[models.Source.identifier], set_=values)
    )


def register_if_new(session: Session, source: Source) -> None:
    """Insert the source, unless one is registered under its identifier.

    Raises:
        SourceRejected: If its location is no text that the database can keep.
    """
    session.execute(
        insert(models.Source)
        .values(identifier=source.identifier, **_values(source))
        .on_conflict_do_nothing(index_elements=[models.Source.identifier])
    )


def _values(source: Source) -> dict[str, str | None]:
    for location in (source.location, source.captions or ""):
        if storable(location) != location:
            raise SourceRejected(
                f"the name of {storable(location)} is not valid UTF-8",
                remedy="Rename the file, then add it again",
            )
    return {
        "location": source.location,
        "title": None if source.title is None else fitted(source.title, TITLE_CHARACTERS),
        "captions": source.captions,
        "transcription_engine": source.transcription_engine,
        "profile": source.profile,
    }


def _source(row: models.Source) -> Source:
    return Source(
        identifier=row.identifier,
        location=row.location,
        title=row.title,
        captions=row.captions,
        transcription_engine=row.transcription_engine,
        profile=row.profile,
    )
