"""Which videos still need a run, by what is stored and by the runs that Dagster has."""

from collections.abc import Callable, Collection, Iterable

# Dagster compares `updated_after` with the class in the caller's module; `import datetime` there
# made it raise TypeError.
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from sqlalchemy import text

from db.session import Database
from videomoments_dagster.core.resources import DatabaseResource
from videomoments_dagster.core.runs import IN_FLIGHT, PARTITION_TAG, may_work_on
from videomoments_dagster.moments.system import MOMENTS, VIDEO_PARTITIONS

_VIDEOS = """
    SELECT sources.identifier
    FROM pipeline.sources AS sources
    LEFT JOIN videos ON videos.identifier = sources.identifier
    WHERE {condition}
    ORDER BY sources.created_at DESC, sources.identifier
"""
# Whole results are the many and partial ones the few: so the many are counted in the primary key's
# index alone, and the few are found by one of their own. An empty fingerprint stands for a result
# that is there in part.
_MISSING = """(
    videos.id IS NULL
    OR sources.identifier NOT IN (
        SELECT partition_key FROM pipeline.materialisations
        WHERE system = :system AND asset = ANY(:assets)
        GROUP BY partition_key HAVING count(*) >= cardinality(CAST(:assets AS text[]))
    )
    OR sources.identifier IN (
        SELECT partition_key FROM pipeline.materialisations
        WHERE fingerprint = '' AND system = :system AND asset = ANY(:assets)
    )
)"""
_FAILED = """videos.id IN (
    SELECT run.video_id FROM pipeline_history AS run
    WHERE run.status IN ('failed', 'partial') AND NOT EXISTS (
        SELECT 1 FROM pipeline_history AS later
        WHERE later.video_id = run.video_id
        AND (later.started_at, later.id) > (run.started_at, run.id)
    )
)"""
Which = Literal["all", "missing", "failed", "unfinished"]
_QUERIES = {
    "all": text(_VIDEOS.format(condition="true")),
    "missing": text(_VIDEOS.format(condition=_MISSING)),
    "failed": text(_VIDEOS.format(condition=_FAILED)),
    "unfinished": text(_VIDEOS.format(condition=f"{_MISSING} OR {_FAILED}")),
}


def registered_videos(database: Database, which: Which, *, job: str) -> list[str]:
    """Registered videos, the newest first.

    Args:
        database: Our database.
        which: `missing` for those that lack something that the job makes, or have it in part;
            `failed` for those whose last run did not do all, as `pipeline_history` has it;
            `unfinished` for both.
        job: Name of a job.
    """
    given = {"system": MOMENTS.name, "assets": sorted(MOMENTS.jobs[job].assets)}
    with database.read() as session:
        return list(session.scalars(_QUERIES[which], given))


def videos_in_flight(instance: DagsterInstance) -> set[str]:
    """Videos with a run that is waiting or under way."""
    return _videos(instance, RunsFilter(statuses=IN_FLIGHT))


def _videos(instance: DagsterInstance, runs: RunsFilter) -> set[str]:
    return {
        run.tags[PARTITION_TAG]
        for run in instance.get_runs(runs)
        if PARTITION_TAG in run.tags and may_work_on(run, MOMENTS.name)
    }


def due_videos(
    candidates: Iterable[str],
    *,
    excluded: Collection[str],
    is_registered: Callable[[str], bool],
    most: int,
) -> list[str]:
    """The first videos that are to be run now.

    Args:
        candidates: Videos that need a run, the most urgent first.
        excluded: Videos that are worked on, or were tried lately.
        is_registered: Whether Dagster has a partition of that key. It is asked one by one, since
            reading all keys of a large archive takes longer than all else.
        most: How many at most.
    """
    wanted = (video for video in candidates if video not in excluded and is_registered(video))
    return list(islice(wanted, most))


class BacklogResource(dg.ConfigurableResource[Any]):
    """Finds videos that need a run, for the schedule 'unfinished_videos'.

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
        # A run that failed before its video was stored has no row in `pipeline_history`.
        failed_lately = RunsFilter(
            statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED],
            updated_after=datetime.now(UTC) - timedelta(hours=self.retry_hours),
        )
        return due_videos(
            registered_videos(self.database.database, "unfinished", job="full"),
            excluded=videos_in_flight(instance) | _videos(instance, failed_lately),
            is_registered=lambda video: instance.has_dynamic_partition(VIDEO_PARTITIONS, video),
            most=self.most,
        )
