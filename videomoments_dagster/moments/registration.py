"""Registering a source: from a path or URL to a partition that can be materialised.

Belongs here: choosing the identifier, recognising a source that is known, and keeping
`pipeline.sources` and Dagster's partition keys together. Does not belong here: fetching.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dagster import DagsterInstance

from db.session import Database
from videomoments_dagster.base.failures import IdentifierRejected, SourceRejected
from videomoments_dagster.base.identifiers import MAX_IDENTIFIER_LENGTH, checked_identifier
from videomoments_dagster.media.probe import probe
from videomoments_dagster.moments.records import Source
from videomoments_dagster.moments.registered_sources import register, registered_source, source_at
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
    working_directory: Path,
) -> Registration:
    """Register a source and its partition; the same source again is the same video.

    A local file is looked at first, so that a typing error or a broken file leaves nothing
    behind. The row comes before the partition: a partition without a source would fail.

    Args:
        instance: Dagster's instance, for the partition key.
        database: Our database, for the source.
        location: Local path, `http(s)://`, `gs://`, or a page that yt-dlp understands.
        identifier: Wanted identifier; None makes one from the name.
        title: Title to store with the video.
        captions: Caption file, path or URL.
        transcription_engine: Engine for this video; captions given here imply `captions`.
        profile: Generation profile for this video.
        working_directory: What relative paths are relative to.

    Raises:
        IdentifierRejected: If the identifier breaks the rule or belongs to another source.
        SourceRejected: If a local file or caption file is missing or is no media file.
    """
    if identifier is not None:
        checked_identifier(identifier)
    where = normalise_location(location, cwd=working_directory)
    if kind_of(where) is SourceKind.LOCAL:
        path = local_path_of(where, cwd=working_directory)
        checked_local_file(path)
        probe(path)
    if captions is not None:
        captions = normalise_location(captions, cwd=working_directory)
        if kind_of(captions) is SourceKind.LOCAL:
            checked_local_file(local_path_of(captions, cwd=working_directory))
        transcription_engine = transcription_engine or "captions"
    wanted = Source(
        identifier=identifier or "",
        location=where,
        title=title,
        captions=captions,
        transcription_engine=transcription_engine,
        profile=profile,
    )
    with database.transaction() as session:
        known = source_at(session, location=where)
        if known is not None and identifier in (None, known.identifier):
            source, is_new = _filled_up(wanted, known), False
        else:
            taken = lambda name: registered_source(session, identifier=name)  # noqa: E731
            source = replace(wanted, identifier=_free_identifier(wanted, taken))
            is_new = True
        register(session, source)
    instance.add_dynamic_partitions(VIDEO_PARTITIONS, [source.identifier])
    return Registration(source=source, is_new=is_new)


def _filled_up(wanted: Source, known: Source) -> Source:
    """The known source, with what was given this time in place of what was given then."""
    return Source(
        identifier=known.identifier,
        location=known.location,
        title=wanted.title or known.title,
        captions=wanted.captions or known.captions,
        transcription_engine=wanted.transcription_engine or known.transcription_engine,
        profile=wanted.profile or known.profile,
    )


def _free_identifier(wanted: Source, taken: Callable[[str], Source | None]) -> str:
    if wanted.identifier:
        other = taken(wanted.identifier)
        if other is not None and other.location != wanted.location:
            raise IdentifierRejected(
                f"the identifier '{wanted.identifier}' belongs to another source, "
                f"{redact(other.location)}",
                remedy="Choose another with --identifier",
            )
        return wanted.identifier
    suggested = suggest_identifier(wanted.location)
    if taken(suggested) is None:
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
    if not instance.has_dynamic_partition(VIDEO_PARTITIONS, identifier):
        instance.add_dynamic_partitions(VIDEO_PARTITIONS, [identifier])
    return source
