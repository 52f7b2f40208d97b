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
# Whole results are the many, and partial and stale ones the few: so the many are counted in the
# primary key's index alone, and the few are found by indexes of their own. An empty fingerprint
# stands for a result that is there in part.
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
# Before and after the current code version in the index: what is between is not read. An empty one
# is that of a result from before they were noted.
_STALE = """(
    sources.identifier IN (
        SELECT partition_key FROM pipeline.materialisations
        WHERE is_stale AND system = :system AND asset = ANY(:assets)
    )
    OR sources.identifier IN (
        SELECT partition_key
        FROM unnest(CAST(:assets AS text[]), CAST(:code_versions AS text[])) AS now (asset, version)
        CROSS JOIN LATERAL (
            SELECT partition_key FROM pipeline.materialisations AS made
            WHERE system = :system AND made.asset = now.asset AND code_version > now.version
            UNION ALL
            SELECT partition_key FROM pipeline.materialisations AS made
            WHERE system = :system AND made.asset = now.asset AND code_version < now.version
            AND code_version > ''
        ) AS others
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
Which = Literal["all", "missing", "stale", "failed", "unfinished"]
_QUERIES = {
    "all": text(_VIDEOS.format(condition="true")),
    "missing": text(_VIDEOS.format(condition=_MISSING)),
    "stale": text(_VIDEOS.format(condition=_STALE)),
    "failed": text(_VIDEOS.format(condition=_FAILED)),
    "unfinished": text(_VIDEOS.format(condition=f"{_MISSING} OR {_STALE} OR {_FAILED}")),
}
_CURRENT = text("""
    SELECT made.partition_key, made.asset
    FROM unnest(CAST(:assets AS text[]), CAST(:code_versions AS text[])) AS now (asset, version)
    JOIN pipeline.materialisations AS made USING (asset)
    WHERE made.system = :system AND made.partition_key = ANY(:videos) AND made.fingerprint <> ''
    AND NOT made.is_stale AND made.code_version IN ('', now.version)
""")


def registered_videos(database: Database, which: Which, *, job: str) -> list[str]:
    """Registered videos, the newest first.

    Args:
        database: Our database.
        which: `missing` for those that lack something that the job makes, or have it in part;
            `stale` for those of which something that the job makes was made from results that are
            others by now, or by another code version; `failed` for those whose last run did not do
            all, as `pipeline_history` has it; `unfinished` for all three.
        job: Name of a job.
    """
    with database.read() as session:
        return list(session.scalars(_QUERIES[which], _of_job(job)))


def unfinished_assets(
    database: Database, videos: Collection[str], *, job: str
) -> dict[str, frozenset[str]]:
    """The assets of a job that are missing or stale, by video, with all that is made from them.

    Videos of which that is all that the job makes are left out, and so are those of which it is
    nothing: after a failure that left the results as they were, a run of everything finds out. Of
    settings, profiles and sources it knows nothing: what these changed, a run finds out too.

    Args:
        database: Our database.
        videos: Identifiers.
        job: Name of a job.
    """
    given = {**_of_job(job), "videos": list(videos)}
    with database.read() as session:
        current = {tuple(row) for row in session.execute(_CURRENT, given)}
    assets = MOMENTS.jobs[job].assets
    found = {}
    for video in videos:
        stale = {asset for asset in assets if (video, asset) not in current}
        wanted = MOMENTS.downstream_of(stale) & assets
        if wanted and wanted != assets:
            found[video] = wanted
    return found


def _of_job(job: str) -> dict[str, Any]:
    assets = sorted(MOMENTS.jobs[job].assets)
    return {
        "system": MOMENTS.name,
        "assets": assets,
        "code_versions": [MOMENTS.assets[asset].code_version for asset in assets],
    }


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

    def due(self, instance: dg.DagsterInstance) -> dict[str, frozenset[str]]:
        """Videos to run now, the newest first, each with the assets to make; none for all of them.

        What stands is not looked at, so that a profile or an engine that somebody chose for one run
        is not taken back.
        """
        # A run that failed before its video was stored has no row in `pipeline_history`.
        failed_lately = RunsFilter(
            statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED],
            updated_after=datetime.now(UTC) - timedelta(hours=self.retry_hours),
        )
        videos = due_videos(
            registered_videos(self.database.database, "unfinished", job="full"),
            excluded=videos_in_flight(instance) | _videos(instance, failed_lately),
            is_registered=lambda video: instance.has_dynamic_partition(VIDEO_PARTITIONS, video),
            most=self.most,
        )
        unfinished = unfinished_assets(self.database.database, videos, job="full")
        return {video: unfinished.get(video, frozenset()) for video in videos}
