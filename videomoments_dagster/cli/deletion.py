"""Deleting a video: rows, then objects, then the partition.

Belongs here: the order, and when it is refused. Does not belong here: asking whether it is meant,
SQL, or the object store's own ways.

Rows go first, in one transaction: what is left if the rest fails is objects that nothing refers
to, and a partition that has nothing. The same command again removes those.
"""

from __future__ import annotations

from dataclasses import dataclass

from dagster import DagsterInstance

from db.run_claims import partition_to_oneself
from db.session import Database
from videomoments_dagster.base.failures import ResultMissing, VideoBusy
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.runs import run_in_flight
from videomoments_dagster.moments.system import MOMENTS, VIDEO_PARTITIONS
from videomoments_dagster.moments.video_removal import remove_video


@dataclass(frozen=True, slots=True)
class Deletable:
    """What deleting a video removes.

    Attributes:
        identifier: The video.
        objects: Addresses of its objects.
        size_bytes: What they take together.
        is_partition: Whether Dagster has a partition of that name.
    """

    identifier: str
    objects: tuple[str, ...]
    size_bytes: int
    is_partition: bool


def deletable(instance: DagsterInstance, store: ObjectStore, identifier: str) -> Deletable:
    """Look at what there is of a video outside the database.

    Raises:
        IdentifierRejected: If that is no identifier.
        VideoBusy: If a run of it is waiting or under way.
    """
    checked_identifier(identifier)
    _refuse_while_running(instance, identifier)
    found = [stat for prefix in MOMENTS.folders_of(identifier) for stat in store.list(prefix)]
    return Deletable(
        identifier=identifier,
        objects=tuple(stat.url for stat in found),
        size_bytes=sum(stat.size_bytes for stat in found),
        is_partition=instance.has_dynamic_partition(VIDEO_PARTITIONS, identifier),
    )


def delete_video(
    instance: DagsterInstance, database: Database, store: ObjectStore, what: Deletable
) -> None:
    """Delete a video.

    Raises:
        VideoBusy: If a run of it began meanwhile.
        ResultMissing: If there is nothing of it anywhere.
        ObjectStoreUnavailable: If an object could not be removed; the same again goes on.
    """
    with partition_to_oneself(database, system="moments", partition=what.identifier) as free:
        _refuse_while_running(instance, what.identifier)
        if not free:
            raise _busy(what.identifier, "a run")
        with database.transaction() as session:
            had_rows = remove_video(session, what.identifier)
        if not (had_rows or what.objects or what.is_partition):
            raise ResultMissing(
                f"there is no video '{what.identifier}'",
                remedy="See `videomoments list` for those there are",
            )
        for url in what.objects:
            store.delete(url)
        if what.is_partition:
            instance.delete_dynamic_partition(VIDEO_PARTITIONS, what.identifier)


def _refuse_while_running(instance: DagsterInstance, identifier: str) -> None:
    running = run_in_flight(instance, identifier)
    if running is not None:
        raise _busy(identifier, f"the run {running}")


def _busy(identifier: str, what: str) -> VideoBusy:
    return VideoBusy(
        f"{what} of '{identifier}' is waiting or under way",
        remedy="Wait until it has ended, or cancel it in the UI",
        subject=f"video '{identifier}'",
    )
