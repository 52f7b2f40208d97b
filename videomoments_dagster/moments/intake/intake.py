"""Taking in what is new in the inbox: each arrival once.

Belongs here: the decision what is new, known, or no video, and its record. Does not belong here:
listing, or asking Dagster for runs.

An arrival is registered before its run is asked for, and the record says that the run is still
wanted until it has been seen. So a crash anywhere in between loses no arrival and doubles none.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.session import Database
from videomoments_dagster.base.failures import DatabaseProblem, VideoMomentsError
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.moments.intake.arrivals import Arrival
from videomoments_dagster.moments.intake.inbox_entries import (
    LikelySame,
    Outcome,
    known_of_sizes,
    known_states,
    note_entry,
    note_requested,
    waiting_entries,
)
from videomoments_dagster.moments.intake.same_content import same_bytes
from videomoments_dagster.sources.locations import redact

_HASHED_WHOLE = 1024**3


@dataclass(frozen=True, slots=True)
class WantedRun:
    """A run that an arrival needs.

    Attributes:
        key: Of the entry in the database.
        run_key: By which Dagster knows that it has it already.
        identifier: The video.
    """

    key: str
    run_key: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Intake:
    """What one look came to.

    Attributes:
        registered: Identifiers of new videos.
        duplicates: Each location of a file whose bytes are known, and the video that has them.
        rejected: Each location of what is no video, and why.
        after: Location where the next look goes on; empty if all was looked at.
    """

    registered: tuple[str, ...] = ()
    duplicates: tuple[tuple[str, str], ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    after: str = ""


def take_in(
    database: Database,
    store: ObjectStore,
    arrivals: Sequence[Arrival],
    *,
    register: Callable[[Arrival], str],
    after: str,
    most: int,
    seconds: float,
) -> Intake:
    """Register what is new, up to a number of arrivals and a time.

    Args:
        database: Our database.
        store: The object store, for the bytes of stored videos.
        arrivals: All that lies in the inbox, in the order of their locations.
        register: Registers an arrival and gives the video's identifier.
        after: Location where the look before stopped; arrivals behind it come first.
        most: Most new arrivals to deal with.
        seconds: After this time no further arrival is begun.
    """
    deadline = time.monotonic() + seconds
    with database.read() as session:
        states = known_states(session)
    new = [
        arrival for arrival in _from(arrivals, after) if states.get(arrival.key) != arrival.state
    ]
    chunk = new[:most]
    with database.read() as session:
        known = known_of_sizes(session, {one.size_bytes for one in chunk if one.size_bytes})
    by_size: dict[int, list[LikelySame]] = defaultdict(list)
    for one in known:
        by_size[one.size_bytes].append(one)
    registered: list[str] = []
    duplicates: list[tuple[str, str]] = []
    rejected: list[tuple[str, str]] = []
    stopped = ""
    for arrival in chunk:
        if time.monotonic() > deadline:
            break
        shown = redact(arrival.location)
        likely = by_size[arrival.size_bytes] if arrival.size_bytes else []
        twin = _twin(arrival, likely, store)
        outcome: Outcome
        identifier, reason = twin, None
        if twin is not None:
            outcome = "duplicate"
            duplicates.append((shown, twin))
        else:
            identifier, reason = _attempt(register, arrival)
            if identifier is None:
                outcome = "rejected"
                rejected.append((shown, reason or ""))
            else:
                outcome = "registered"
                registered.append(identifier)
                if arrival.size_bytes:
                    by_size[arrival.size_bytes].append(
                        LikelySame(
                            identifier=identifier,
                            size_bytes=arrival.size_bytes,
                            checksum=arrival.checksum,
                            location=arrival.location,
                        )
                    )
        with database.transaction() as session:
            note_entry(
                session,
                key=arrival.key,
                location=arrival.location,
                state=arrival.state,
                size_bytes=arrival.size_bytes,
                checksum=arrival.checksum,
                outcome=outcome,
                identifier=identifier,
                reason=reason,
            )
        stopped = arrival.location
    done = len(registered) + len(duplicates) + len(rejected)
    return Intake(
        registered=tuple(registered),
        duplicates=tuple(duplicates),
        rejected=tuple(rejected),
        after=stopped if done < len(new) else "",
    )


def wanted_runs(
    database: Database, *, has_run: Callable[[str], bool], most: int
) -> tuple[WantedRun, ...]:
    """Runs that arrivals need and that Dagster does not have yet, oldest first.

    Args:
        database: Our database.
        has_run: Whether Dagster has a run with this run key.
        most: Most runs to give.
    """
    with database.read() as session:
        waiting = [
            WantedRun(key=entry.key, run_key=_run_key(entry.key, entry.state), identifier=name)
            # Those of the tick before are there by now, and still to be noted.
            for entry in waiting_entries(session, limit=2 * most)
            if (name := entry.identifier) is not None
        ]
    seen = [run for run in waiting if has_run(run.run_key)]
    with database.transaction() as session:
        note_requested(session, [run.key for run in seen])
    return tuple(run for run in waiting if run not in seen)[:most]


def _from(arrivals: Sequence[Arrival], after: str) -> Iterable[Arrival]:
    """All arrivals, beginning behind a location, so that none starves behind those before it."""
    ordered = sorted(arrivals, key=lambda arrival: arrival.location)
    yield from (arrival for arrival in ordered if arrival.location > after)
    if after:
        yield from (arrival for arrival in ordered if arrival.location <= after)


def _attempt(register: Callable[[Arrival], str], arrival: Arrival) -> tuple[str | None, str | None]:
    """The identifier under which an arrival was registered, or why it was not."""
    if arrival.problem is not None:
        return None, arrival.problem
    try:
        return register(arrival), None
    except VideoMomentsError as error:
        if error.retryable or isinstance(error, DatabaseProblem):
            raise
        return None, str(error)


def _twin(arrival: Arrival, likely: Iterable[LikelySame], store: ObjectStore) -> str | None:
    """The video that has the same bytes as an arrival; None if there is none.

    A source that is known by its own location is no duplicate, but itself.
    """
    others = [one for one in likely if one.location != arrival.location]
    for other in others:
        if arrival.checksum is not None:
            if other.checksum == arrival.checksum or _stored_checksum(other, store) == (
                arrival.checksum
            ):
                return other.identifier
        elif _same_file(Path(arrival.location), arrival.size_bytes or 0, other, store):
            return other.identifier
    return None


def _stored_checksum(other: LikelySame, store: ObjectStore) -> str | None:
    found = store.stat(other.cloud_url) if other.cloud_url else None
    return f"crc32c:{found.crc32c}" if found is not None and found.crc32c else None


def _same_file(path: Path, size_bytes: int, other: LikelySame, store: ObjectStore) -> bool:
    """Compare a new file with a known video's own file, its stored one, or its hash."""
    stored = store.local_path(other.cloud_url) if other.cloud_url else None
    if stored is not None:
        return same_bytes(path, stored)
    if other.content_hash is not None and size_bytes <= _HASHED_WHOLE:
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == other.content_hash
        except OSError:
            # Registering it will say what is wrong with it.
            return False
    return other.location is not None and same_bytes(path, Path(other.location))


def _run_key(key: str, state: str) -> str:
    return f"inbox-{key[:24]}-{hashlib.sha256(state.encode()).hexdigest()[:16]}"
