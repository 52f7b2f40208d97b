"""Taking in what is new in the inbox: each arrival once.

An arrival is registered before its run is asked for, and the record says that the run is still
wanted until it has been seen. So a crash anywhere in between loses no arrival and doubles none.
"""

import filecmp
import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import dagster as dg
from sqlalchemy import func, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from db.models import InboxEntry, Video, VideoFile
from db.session import Database
from videomoments_dagster.base.failures import (
    DatabaseProblem,
    SourceRejected,
    SourceUnavailable,
    VideoMomentsError,
)
from videomoments_dagster.base.files import content_hash
from videomoments_dagster.base.text import folded, without_addresses
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.resources import DatabaseResource, ObjectStoreResource
from videomoments_dagster.core.text_columns import storable
from videomoments_dagster.moments.intake.arrivals import (
    Arrival,
    list_bucket,
    list_folder,
    manifest_text,
    read_manifest,
)
from videomoments_dagster.moments.registration import add_source
from videomoments_dagster.sources.limits import inbox_of
from videomoments_dagster.sources.locations import (
    SourceKind,
    kind_of,
    local_path_of,
    redact,
)

_READ_WHOLE = 1024**3
"""Files up to 1 GiB are compared byte by byte; a sensor has no time for a whole day's recording."""
_SAMPLES = 64
_SAMPLE_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class WantedRun:
    """A run that an arrival needs.

    Attributes:
        run_key: By which Dagster knows that it has it already.
        identifier: The video.
    """

    run_key: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Intake:
    """What one look came to.

    Attributes:
        registered: Identifiers of new videos.
        duplicates: Each location of a file whose bytes are known, and the video that has them.
        rejected: Each location of what is no video, and why.
        waiting: Each location of what cannot be read just now, and why; it is tried again.
        after: Location where the next look goes on; empty if all was looked at.
    """

    registered: tuple[str, ...]
    duplicates: tuple[tuple[str, str], ...]
    rejected: tuple[tuple[str, str], ...]
    waiting: tuple[tuple[str, str], ...]
    after: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one arrival.

    Attributes:
        kind: As the database has it; what waits is not noted there.
        identifier: The video that it is, or that it is a duplicate of.
        reason: Why it was rejected or waits.
    """

    kind: Literal["registered", "duplicate", "rejected", "waiting"]
    identifier: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """A known video that may have the same bytes as a new file.

    Attributes:
        identifier: The video.
        size_bytes: Its size.
        location: Where it came from; None where that is not known.
        checksum: As a listing gave it; None where none did.
        cloud_url: Where it is stored; None if it is not yet.
        content_hash: SHA-256 of its bytes; None if it is not stored yet.
    """

    identifier: str
    size_bytes: int
    location: str | None
    checksum: str | None = None
    cloud_url: str | None = None
    content_hash: str | None = None


class InboxResource(dg.ConfigurableResource[Any]):
    """Where new videos come from by themselves: a folder, a bucket's prefix, or a manifest.

    Reads what lies there; writes which files it has seen, and registers new sources. If it fails,
    the inbox cannot be listed: make the folder, or give the account the right to list the bucket.
    Nothing is lost.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    root: str
    """A folder, or 'gs://bucket/prefix'."""
    required: bool = False
    """Whether a folder that is not there is a failure, and not an inbox that nobody uses."""
    manifest: str = ""
    """CSV or JSONL file of sources, a path or 'gs://' URL; empty is none."""
    settle_seconds: float = 10.0
    """A file that nobody has written to for this long is taken to be whole."""
    links: str = ""
    """Folders that links in the inbox may lead into, separated by colons."""

    def arrivals(self) -> list[Arrival]:
        """All that lies there and is whole, and all lines of the manifest.

        Raises:
            SourceUnavailable: It cannot be listed just now.
            SourceRejected: It cannot be listed at all.
        """
        found: list[Arrival] = []
        root, client = Path(self.root), self.object_store.client
        if self.root.lower().startswith("gs://"):
            found += list_bucket(self.root, client=client)
        elif (inbox := inbox_of(self.root, self.links)) and (self.required or root.is_dir()):
            found += list_folder(inbox, now=time.time(), settle_seconds=self.settle_seconds)
        if self.manifest:
            # Who may write to a bucket may not read the files of this machine for that.
            folder = None if "://" in self.manifest else Path(self.manifest).parent
            text = manifest_text(self.manifest, client=client)
            found += read_manifest(text, name=self.manifest, folder=folder)
        return found

    def take_in(
        self,
        instance: dg.DagsterInstance,
        *,
        after: str,
        most: int,
        seconds: float,
        log: logging.Logger,
    ) -> Intake:
        """Register what is new, up to a number of arrivals and a time; see `take_in`."""
        return take_in(
            self.database.database,
            self.object_store.store,
            self.arrivals(),
            register=lambda arrival: self.register(instance, arrival),
            after=after,
            most=most,
            seconds=seconds,
            log=log,
        )

    def register(self, instance: dg.DagsterInstance, arrival: Arrival) -> str:
        """Register an arrival; the video's identifier.

        Raises:
            SourceRejected: It is no video, or a file that has become a link since it was listed.
        """
        for location in filter(None, (arrival.location, arrival.captions)):
            is_local = kind_of(location) is SourceKind.LOCAL
            if is_local and str(local_path_of(location, cwd=Path.cwd())) != location:
                raise SourceRejected(f"{location} has become a link since it was listed")
        return add_source(
            instance,
            self.database.database,
            arrival.location,
            identifier=arrival.identifier,
            title=arrival.title,
            captions=arrival.captions,
            profile=arrival.profile,
            working_directory=Path.cwd(),
        ).source.identifier

    def wanted_runs(self, has_run: Callable[[str], bool], *, most: int) -> list[WantedRun]:
        """Runs that arrivals need and that Dagster does not have yet, oldest first.

        Args:
            has_run: Whether Dagster has a run with this run key.
            most: Most runs to give.
        """
        with self.database.read() as session:
            waiting = {
                entry.key: WantedRun(_run_key(entry), str(entry.identifier))
                for entry in session.scalars(
                    select(InboxEntry)
                    .where(InboxEntry.outcome == "registered", InboxEntry.requested_at.is_(None))
                    .order_by(InboxEntry.created_at, InboxEntry.key)
                    # Those of the tick before are there by now, and still to be noted.
                    .limit(2 * most)
                )
            }
        seen = [key for key, run in waiting.items() if has_run(run.run_key)]
        if seen:
            noted = update(InboxEntry).where(InboxEntry.key.in_(seen))
            with self.database.transaction() as session:
                session.execute(noted.values(requested_at=func.now()))
        return [run for key, run in waiting.items() if key not in seen][:most]


def _run_key(entry: InboxEntry) -> str:
    return f"inbox-{entry.key[:24]}-{hashlib.sha256(entry.state.encode()).hexdigest()[:16]}"


def take_in(
    database: Database,
    store: ObjectStore,
    arrivals: Sequence[Arrival],
    *,
    register: Callable[[Arrival], str],
    after: str,
    most: int,
    seconds: float,
    log: logging.Logger,
) -> Intake:
    """Register what is new, up to a number of arrivals and a time.

    What is wrong with one arrival is that one's failure, and the others go on.

    Args:
        database: Our database.
        store: The object store, for the bytes of stored videos.
        arrivals: All that lies in the inbox.
        register: Registers an arrival and gives the video's identifier.
        after: Location where the look before stopped; arrivals behind it come first, so that none
            starves behind those before it.
        most: Most new arrivals to deal with.
        seconds: After this time no further arrival is begun.
        log: Takes the traceback of what nobody foresaw.
    """
    deadline = time.monotonic() + seconds
    # A name that is not UTF-8 goes neither into the database nor into a cursor.
    places = {id(one): storable(one.location) for one in arrivals}
    ordered = sorted(arrivals, key=lambda one: (places[id(one)] <= after, places[id(one)]))
    with database.read() as session:
        states = dict(session.execute(select(InboxEntry.key, InboxEntry.state)).all())
        new = [one for one in ordered if states.get(one.key) != one.state]
        known = _of_sizes(session, {one.size_bytes for one in new[:most] if one.size_bytes})
    outcomes: list[tuple[str, _Outcome]] = []
    stopped = ""
    for arrival in new[:most]:
        if time.monotonic() > deadline:
            break
        outcome = _outcome(arrival, known, store, register, log=log)
        if outcome.kind == "registered" and (size := arrival.size_bytes):
            known.append(_Known(str(outcome.identifier), size, arrival.location, arrival.checksum))
        if outcome.kind != "waiting":
            with database.transaction() as session:
                note_entry(
                    session,
                    arrival,
                    outcome=outcome.kind,
                    identifier=outcome.identifier,
                    reason=outcome.reason or None,
                )
        stopped = places[id(arrival)]
        outcomes.append((redact(stopped), outcome))
    return Intake(
        registered=tuple(str(o.identifier) for _, o in outcomes if o.kind == "registered"),
        duplicates=tuple((at, str(o.identifier)) for at, o in outcomes if o.kind == "duplicate"),
        rejected=tuple((at, o.reason) for at, o in outcomes if o.kind == "rejected"),
        waiting=tuple((at, o.reason) for at, o in outcomes if o.kind == "waiting"),
        after=stopped if len(outcomes) < len(new) else "",
    )


def _of_sizes(session: Session, sizes: Collection[int]) -> list[_Known]:
    """Videos of one of these sizes, in bytes: of the inbox, and stored ones."""
    if not sizes:
        return []
    entries = session.execute(
        select(
            InboxEntry.identifier, InboxEntry.size_bytes, InboxEntry.location, InboxEntry.checksum
        ).where(InboxEntry.outcome == "registered", InboxEntry.size_bytes.in_(sizes))
    )
    size = VideoFile.facts["size_bytes"].as_integer()
    stored = session.execute(
        select(
            *(Video.identifier, size, Video.source_url, null()),
            *(Video.cloud_url, VideoFile.content_hash),
        )
        .join(VideoFile, VideoFile.video_id == Video.id)
        .where(size.in_(sizes))
    )
    return [_Known(*row) for rows in (entries, stored) for row in rows]


def note_entry(
    session: Session, arrival: Arrival, *, outcome: str, identifier: str | None, reason: str | None
) -> None:
    """Write what became of an arrival, in place of what became of it in an earlier state."""
    values = {
        "location": storable(arrival.location),
        "state": arrival.state,
        "size_bytes": arrival.size_bytes,
        "checksum": arrival.checksum,
        "outcome": outcome,
        "identifier": identifier,
        "reason": reason and storable(reason),
        "requested_at": None,
    }
    session.execute(
        insert(InboxEntry)
        .values(key=arrival.key, **values)
        .on_conflict_do_update(index_elements=[InboxEntry.key], set_=values)
    )


def _outcome(
    arrival: Arrival,
    known: Iterable[_Known],
    store: ObjectStore,
    register: Callable[[Arrival], str],
    *,
    log: logging.Logger,
) -> _Outcome:
    """Register an arrival, if it is new; what is not its fault is raised."""
    if arrival.problem is not None:
        return _Outcome("rejected", reason=arrival.problem)
    try:
        twin = _twin(arrival, known, store)
        if twin is not None:
            return _Outcome("duplicate", twin)
        return _Outcome("registered", register(arrival))
    except (DatabaseProblem, OperationalError, InterfaceError):
        # Ours or Dagster's: no file is to blame.
        raise
    except SourceUnavailable as error:
        return _Outcome("waiting", reason=storable(str(error)))
    except VideoMomentsError as error:
        if error.retryable:
            raise
        return _Outcome("rejected", reason=storable(str(error)))
    except Exception as error:
        at = redact(storable(arrival.location))
        log.exception("%s was not taken in, for a reason that nobody foresaw:", at)
        said = folded(without_addresses(str(error)), longest=200)
        return _Outcome(
            "rejected",
            reason=storable(
                f"it failed in a way that nobody foresaw ({type(error).__name__}: {said}). The log "
                "has the traceback; the file is tried again when it changes."
            ),
        )


def _twin(arrival: Arrival, known: Iterable[_Known], store: ObjectStore) -> str | None:
    """The video that has the same bytes as an arrival; None if there is none.

    A source that is known by its own location is no duplicate, but itself.
    """
    for other in known:
        if other.size_bytes != arrival.size_bytes or other.location == arrival.location:
            continue
        same = (
            _same_file(Path(arrival.location), other, store)
            if arrival.checksum is None
            else arrival.checksum == other.checksum
            or arrival.checksum == _stored_checksum(other, store)
        )
        if same:
            return other.identifier
    return None


def _stored_checksum(other: _Known, store: ObjectStore) -> str | None:
    found = store.stat(other.cloud_url) if other.cloud_url else None
    return f"crc32c:{found.crc32c}" if found is not None and found.crc32c else None


def _same_file(path: Path, other: _Known, store: ObjectStore) -> bool:
    """Compare a new file with a known video's own file, its stored one, or its hash."""
    stored = store.local_path(other.cloud_url) if other.cloud_url else None
    if stored is not None:
        return same_bytes(path, stored)
    if other.content_hash is not None and other.size_bytes <= _READ_WHOLE:
        try:
            return content_hash(path) == other.content_hash
        except SourceUnavailable:
            # Registering it will say what is wrong with it.
            return False
    return other.location is not None and same_bytes(path, Path(other.location))


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes; False if one of them cannot be read.

    Up to 1 GiB all bytes are compared. Larger files are the same if they have the same size and 64
    mebibytes spread over them agree: encoded video differs everywhere if it differs at all.
    """
    try:
        size = one.stat().st_size
        if size != other.stat().st_size:
            return False
        if one.samefile(other):
            return True
        if size <= _READ_WHOLE:
            return filecmp.cmp(one, other, shallow=False)
        step = (size - _SAMPLE_BYTES) // (_SAMPLES - 1)
        with one.open("rb") as first, other.open("rb") as second:
            return all(
                _sample(first, number * step) == _sample(second, number * step)
                for number in range(_SAMPLES)
            )
    except OSError:
        return False


def _sample(file: BinaryIO, position: int) -> bytes:
    file.seek(position)
    return file.read(_SAMPLE_BYTES)
