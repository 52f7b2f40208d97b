"""The backlog as a Dagster resource: videos that something is missing of.

Belongs here: how many a tick takes and how soon it tries again. Does not belong here: which
(`videomoments_dagster.moments.backlog`).
"""

# Dagster compares `updated_after` with the class in the caller's module; `import datetime` there
# made it raise TypeError.
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.moments.backlog import (
    due_videos,
    videos_failed_since,
    videos_in_flight,
    videos_to_finish,
)
from videomoments_dagster.moments.partitions import VIDEOS


class BacklogResource(dg.ConfigurableResource[Any]):
    """Finds videos that need a run, for the schedule `unfinished_videos`.

    Reads rows and Dagster's runs; writes nothing. If it fails, the database is away, and the next
    tick looks again.
    """

    database: dg.ResourceDependency[DatabaseResource]
    most: int = 25
    """Most videos at once."""
    retry_hours: float = 20.0
    """Hours after which a video whose run failed or was cancelled is tried again."""

    def due(self, instance: dg.DagsterInstance) -> list[str]:
        """Videos to run now, the newest first."""
        return due_videos(
            videos_to_finish(self.database.database, job="full"),
            excluded=videos_in_flight(instance)
            | videos_failed_since(instance, datetime.now(UTC) - timedelta(hours=self.retry_hours)),
            is_registered=lambda video: instance.has_dynamic_partition(VIDEOS.name or "", video),
            most=self.most,
        )
