"""Objects that no row refers to: found, and removed when they are surely nobody's.

Belongs here: what counts as garbage. Does not belong here: the rows, the store's own ways, or when
it is collected.

Objects are written before their rows. One without a row is what a crash left, or what was there
before a moment changed, or what a run is about to refer to. The last kind is told by its age and
by the run: nothing is taken that is younger than the grace period, nor of a video with a run that
is waiting or under way. Objects whose keys are not ours are never touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.run_claims import partition_to_oneself
from db.session import Database
from videomoments_dagster.core.objects.interface import ObjectStat, ObjectStore
from videomoments_dagster.core.objects.keys import model_call_time, owner_of
from videomoments_dagster.moments.object_references import (
    referenced_urls,
    referenced_urls_of,
    stored_videos,
)


@dataclass(frozen=True, slots=True)
class Garbage:
    """What a look at the store found.

    Attributes:
        objects: Objects that nobody refers to, old enough, by video.
        looked_at: How many objects there are.
        too_young: How many nobody refers to that are younger than the grace period.
    """

    objects: dict[str, tuple[ObjectStat, ...]]
    looked_at: int
    too_young: int

    @property
    def count(self) -> int:
        """How many objects there are to remove."""
        return sum(map(len, self.objects.values()))

    @property
    def size_bytes(self) -> int:
        """What they take together."""
        return sum(stat.size_bytes for stats in self.objects.values() for stat in stats)


def find_garbage(
    database: Database, store: ObjectStore, *, grace: timedelta, now: datetime
) -> Garbage:
    """Look for objects that nobody refers to.

    Args:
        database: Our database.
        store: The store.
        grace: Younger objects are left alone.
        now: The time, with zone.
    """
    # The objects first: a row that comes while they are listed is then seen.
    listed: list[tuple[str, ObjectStat]] = []
    looked_at = 0
    for stat in store.list():
        looked_at += 1
        owner = owner_of(stat.key)
        if owner is not None:
            listed.append((owner, stat))
    with database.read() as session:
        referenced = referenced_urls(session)
        videos = stored_videos(session)
    found: dict[str, list[ObjectStat]] = defaultdict(list)
    too_young = 0
    for owner, stat in listed:
        # Records of calls have an age of their own, as long as there is their video.
        is_record = model_call_time(stat.key) is not None
        if owner in videos if is_record else stat.url in referenced:
            continue
        if stat.written_at is None or stat.written_at > now - grace:
            too_young += 1
            continue
        found[owner].append(stat)
    return Garbage(
        objects={owner: tuple(stats) for owner, stats in sorted(found.items())},
        looked_at=looked_at,
        too_young=too_young,
    )


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed.

    Attributes:
        objects: How many objects.
        size_bytes: What they took together.
        spared: Videos of which nothing was removed, since a run of theirs is in flight.
        unfinished: How many leftovers of killed writes were removed besides.
    """

    objects: int
    size_bytes: int
    spared: tuple[str, ...]
    unfinished: int = 0


def collect(
    garbage: Garbage, database: Database, store: ObjectStore, *, in_flight: Callable[[str], bool]
) -> Collected:
    """Remove garbage, video by video.

    Args:
        garbage: What was found.
        database: Asked once more, since somebody may have come to refer to an object.
        store: The store.
        in_flight: Whether a run of a video is waiting or under way.
    """
    removed = size = 0
    spared: list[str] = []
    for video, stats in garbage.objects.items():
        # A run that begins meanwhile waits; one that has begun already has the video for itself.
        with partition_to_oneself(database, system="moments", partition=video) as free:
            if not free or in_flight(video):
                spared.append(video)
                continue
            with database.read() as session:
                referenced = referenced_urls_of(session, [stat.url for stat in stats])
            for stat in stats:
                if stat.url not in referenced:
                    store.delete(stat.url)
                    removed += 1
                    size += stat.size_bytes
    return Collected(objects=removed, size_bytes=size, spared=tuple(spared))
