"""Collecting garbage, as a Dagster resource.

Belongs here: how old garbage has to be. Does not belong here: what it is
(`videomoments_dagster.core.objects.garbage`).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from videomoments_dagster.core.objects.garbage import Collected, Garbage, collect, find_garbage
from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource


class GarbageResource(dg.ConfigurableResource[Any]):
    """Collects objects that no row refers to, once they are old enough.

    Reads rows and lists objects; writes nothing, and removes only what no row names and no running
    video may need. If it fails, the object store is away or refuses; run `housekeeping` again
    later.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    grace_hours: float = 24.0

    def found(self) -> "Garbage":
        """What could be removed now."""
        return find_garbage(
            self.database.database,
            self.object_store.store,
            grace=timedelta(hours=self.grace_hours),
            now=datetime.now(UTC),
        )

    def removed(self, garbage: "Garbage", *, in_flight: Callable[[str], bool]) -> "Collected":
        """Remove what was found, and what writes left behind that were killed.

        Args:
            garbage: What was found.
            in_flight: Whether a run of a video is waiting or under way.
        """
        collected = collect(
            garbage, self.database.database, self.object_store.store, in_flight=in_flight
        )
        unfinished = self.object_store.store.remove_unfinished(
            before=datetime.now(UTC) - timedelta(hours=self.grace_hours)
        )
        return replace(collected, unfinished=unfinished)
