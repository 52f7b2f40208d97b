"""Sources: registering one as a partition that can be materialised, looking it up, removing it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dagster import DagsterInstance
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from db.session import Database
from videomoments_dagster.base.failures import IdentifierRejected, SourceRejected
from videomoments_dagster.base.identifiers import MAX_IDENTIFIER_LENGTH, checked_identifier
from videomoments_dagster.core.text_columns import TITLE_CHARACTERS, fitted, storable
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.tracks import chosen_subtitles
from videomoments_dagster.moments.records import Source, of_row
from videomoments_dagster.moments.system import VIDEO_PARTITIONS
from videomoments_dagster.sources.locations import (
    SourceKind,
    checked_local_file,
    kind_of,
    local_path_of,
    normalise_location,
    redact,
    suggest_identifier,
)

_SUFFIX_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Registration:
    """What registering came to.

    Attributes:
        source: The source as registered.
        is_new: False where the same source was registered before.
    """

    source: Source
    is_new: bool


def add_source(
    instance: DagsterInstance,
    database: Database,
    location: str,
    *,
    identifier: str | None = None,
    title: str | None = None,
    captions: str | None = None,
    transcription_engine: str | None = None,
    profile: str | None = None,
    audio_track: int | None = None,
    subtitle_track: int | None = None,
    working_directory: Path,
) -> Registration:
    """Register a source and its partition; the same source again is the same video.

    A local file that is new is looked at first, so that a typing error or a broken file leaves
    nothing behind. The row comes before the partition: a partition without a source would fail.

    Args:
        instance: Dagster's instance, for the partition key.
        database: Our database, for the source.
        location: Local path, `http(s)://`, `gs://`, or a page that yt-dlp understands.
        identifier: Wanted identifier; None makes one from the name.
        title: Title to store with the video.
        captions: Caption file, path or URL.
        transcription_engine: Engine for this video; captions or a subtitle track
            given here imply `captions`.
        profile: Generation profile for this video.
        audio_track: Number of the sound track to work on, from 1.
        subtitle_track: Number of the subtitle track to take the transcript from, from 1.
        working_directory: What relative paths are relative to.

    Raises:
        IdentifierRejected: If the identifier breaks the rule or belongs to another source.
        SourceRejected: If a local file or caption file is missing or is no media file.
    """
    if identifier is not None:
        checked_identifier(identifier)
    where = normalise_location(location, cwd=working_directory)
    _require_storable(where)
    if captions is not None:
        captions = normalise_location(captions, cwd=working_directory)
        _require_storable(captions)
        if kind_of(captions) is SourceKind.LOCAL:
            checked_local_file(local_path_of(captions, cwd=working_directory))
    if captions is not None or subtitle_track is not None:
        transcription_engine = transcription_engine or "captions"
    wanted = Source(
        identifier or "",
        where,
        title,
        captions,
        transcription_engine,
        profile=profile,
        audio_track=audio_track,
        subtitle_track=subtitle_track,
    )
    if kind_of(where) is SourceKind.LOCAL:
        path = local_path_of(where, cwd=working_directory)
        checked_local_file(path)
        with database.read() as session:
            is_known = source_at(session, location=where) is not None
        if not is_known:
            facts = probe(path, sound_needed=not wanted.has_captions, sound_track=audio_track)
            if subtitle_track is not None:
                chosen_subtitles(facts.subtitles, subtitle_track, of=path)
    with database.transaction() as session:
        known = source_at(session, location=where)
        is_new = known is None or identifier not in (None, known.identifier)
        if known is None or is_new:
            source = replace(wanted, identifier=_free_identifier(session, wanted))
        else:
            # What is given this time takes the place of what was given then.
            given = {name: value for name, value in asdict(wanted).items() if value}
            source = replace(known, **given)
        register(session, source)
    instance.add_dynamic_partitions(VIDEO_PARTITIONS, [source.identifier])
    return Registration(source=source, is_new=is_new)


def _free_identifier(session: Session, wanted: Source) -> str:
    if wanted.identifier:
        other = registered_source(session, identifier=wanted.identifier)
        if other is not None and other.location != wanted.location:
            raise IdentifierRejected(
                f"the identifier '{wanted.identifier}' belongs to another source, "
                f"{redact(other.location)}",
                remedy="Choose another with --identifier",
            )
        return wanted.identifier
    suggested = suggest_identifier(wanted.location)
    if registered_source(session, identifier=suggested) is None:
        return suggested
    mark = hashlib.sha256(wanted.location.encode(errors="surrogatepass")).hexdigest()
    room = MAX_IDENTIFIER_LENGTH - _SUFFIX_LENGTH - 1
    return checked_identifier(f"{suggested[:room]}-{mark[:_SUFFIX_LENGTH]}")


def registered(instance: DagsterInstance, database: Database, identifier: str) -> Source:
    """The registered source of a partition that is to be run.

    Raises:
        SourceRejected: If there is no such partition; the remedy says how to register one.
    """
    checked_identifier(identifier)
    with database.read() as session:
        source = registered_source(session, identifier=identifier)
    if source is None:
        raise SourceRejected(
            f"no video is registered as '{identifier}'",
            remedy=f"Run `videomoments add SOURCE --identifier {identifier}`, or look it up with "
            "`videomoments list`",
        )
    instance.add_dynamic_partitions(VIDEO_PARTITIONS, [identifier])
    return source


def registered_source(session: Session, *, identifier: str) -> Source | None:
    """The source registered under `identifier`, or None."""
    row = session.get(models.Source, identifier)
    return None if row is None else of_row(Source, row)


def source_at(session: Session, *, location: str) -> Source | None:
    """The first registered source with this location, or None: the same source, same video."""
    row = session.scalar(
        select(models.Source)
        .where(models.Source.location == location)
        .order_by(models.Source.created_at, models.Source.identifier)
        .limit(1)
    )
    return None if row is None else of_row(Source, row)


def register(session: Session, source: Source, *, replacing: bool = True) -> None:
    """Insert a source.

    Args:
        session: A transaction.
        source: The source.
        replacing: Whether it takes the place of one that is registered under its identifier.

    Raises:
        SourceRejected: If its location is no text that the database can keep.
    """
    for location in (source.location, source.captions or ""):
        _require_storable(location)
    title = None if source.title is None else fitted(source.title, TITLE_CHARACTERS)
    values = asdict(replace(source, title=title))
    new = insert(models.Source).values(**values)
    key = [models.Source.identifier]
    session.execute(
        new.on_conflict_do_update(index_elements=key, set_=values)
        if replacing
        else new.on_conflict_do_nothing(index_elements=key)
    )


def _require_storable(location: str) -> None:
    if storable(location) != location:
        raise SourceRejected(
            f"the name of {storable(location)} is not valid UTF-8",
            remedy="Rename the file, then add it again",
        )


def remove_video(session: Session, identifier: str) -> bool:
    """Delete a video with all that belongs to it, and its registration.

    Foreign keys and a trigger take the rest along: transcript, moments, clips, thumbnails,
    history, and what the pipeline remembers. Prompts and configs stay, since others may share them.

    Returns:
        Whether there was anything of it.
    """
    gone = [
        session.connection().execute(delete(table).where(table.identifier == identifier)).rowcount
        for table in (models.Video, models.Source)
    ]
    return any(gone)
