"""Objects that no row refers to: found, and removed when they surely belong to nothing.

Objects are written before their rows. One without a row is what a crash left, or what was there
before a moment changed, or what a run is about to refer to. The last kind is told by its age and
by the run: nothing is taken that is younger than the grace period, nor of a partition with a run
that is waiting or under way. Objects whose keys are not ours are never touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from db.run_claims import partition_to_oneself
from db.session import Database
from videomoments_dagster.core.model_calls import model_call_time
from videomoments_dagster.core.objects.store import ObjectStat, ObjectStore
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.systems import System


@dataclass(frozen=True, slots=True)
class Garbage:
    """What a look at the store found.

    Attributes:
        objects: Objects that nothing refers to, old enough, by partition.
        looked_at: How many objects there are.
        too_young: How many nothing refers to that are younger than the grace period.
        systems: Whose objects were looked at.
    """

    objects: dict[Partition, tuple[ObjectStat, ...]]
    looked_at: int
    too_young: int
    systems: tuple[System, ...]

    @property
    def count(self) -> int:
        """How many objects there are to remove."""
        return sum(map(len, self.objects.values()))

    @property
    def size_bytes(self) -> int:
        """What they take together."""
        return sum(stat.size_bytes for stats in self.objects.values() for stat in stats)


def find_garbage(
    database: Database,
    store: ObjectStore,
    systems: Sequence[System],
    *,
    grace: timedelta,
    now: datetime,
) -> Garbage:
    """Look for objects that nothing refers to.

    Args:
        database: Our database.
        store: The store.
        systems: Whose objects are looked at.
        grace: Younger objects are left alone.
        now: The time, with zone.
    """
    # The objects first: a row that comes while they are listed is then seen.
    listed = [
        (stat, next(filter(None, (system.owner_of(stat.key) for system in systems)), None))
        for stat in store.list()
    ]
    with database.read() as session:
        referenced = referenced_urls(session, systems)
        stored = {
            Partition(system.name, key)
            for system in systems
            if system.anchor is not None
            for key in session.scalars(select(system.anchor))
        }
    found: dict[Partition, list[ObjectStat]] = defaultdict(list)
    too_young = 0
    for stat, owner in listed:
        # Records of calls have an age of their own, as long as there is their partition.
        is_record = model_call_time(stat.key) is not None
        if owner is None or (owner in stored if is_record else stat.url in referenced):
            continue
        if stat.written_at is None or stat.written_at > now - grace:
            too_young += 1
        else:
            found[owner].append(stat)
    objects = {owner: tuple(found[owner]) for owner in sorted(found, key=lambda one: one.subject)}
    return Garbage(objects, len(listed), too_young, tuple(systems))


def referenced_urls(
    session: Session, systems: Sequence[System], *, among: Collection[str] | None = None
) -> set[str]:
    """Addresses of objects that a row of these systems refers to; of some, or of all for None."""
    columns = [
        column
        for system in systems
        for asset in system.assets.values()
        for column in asset.storage.addresses
    ]
    wanted = (select(one).where(*(() if among is None else [one.in_(among)])) for one in columns)
    return set(session.scalars(union_all(*wanted)))


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed.

    Attributes:
        objects: How many objects.
        size_bytes: What they took together.
        spared: Keys of partitions of which nothing was removed, since a run of theirs is in flight.
        unfinished: How many leftovers of killed writes were removed besides.
    """

    objects: int
    size_bytes: int
    spared: tuple[str, ...]
    unfinished: int = 0


def collect(
    garbage: Garbage,
    database: Database,
    store: ObjectStore,
    *,
    in_flight: Callable[[Partition], bool],
) -> Collected:
    """Remove garbage, partition by partition.

    Args:
        garbage: What was found.
        database: Asked once more, since somebody may have come to refer to an object.
        store: The store.
        in_flight: Whether a run of a partition is waiting or under way.
    """
    removed = size = 0
    spared: list[str] = []
    for owner, stats in garbage.objects.items():
        # A run that begins meanwhile waits; one that has begun has the partition for itself.
        with partition_to_oneself(database, system=owner.system, partition=owner.key) as free:
            if not free or in_flight(owner):
                spared.append(owner.key)
                continue
            with database.read() as session:
                urls = [stat.url for stat in stats]
                referenced = referenced_urls(session, garbage.systems, among=urls)
            for stat in stats:
                if stat.url not in referenced:
                    store.delete(stat.url)
                    removed += 1
                    size += stat.size_bytes
    return Collected(removed, size, tuple(spared))
