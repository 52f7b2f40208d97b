"""The run's claim on its video: one run at a time, and known to live.

Belongs here: when the claim is taken and let go of. Does not belong here: the locks
(`db.run_claims`), or closing the records of runs that died (`history.abandoned_runs`).
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from db.run_claims import RunClaim
from videomoments_dagster.core.dagster_failures import failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.moments.history.dagster_runs import PARTITION_TAG

_SECONDS_PER_MINUTE = 60.0


class RunClaimResource(dg.ConfigurableResource[Any]):
    """Held from a run's first step to its last; two runs of one video take turns."""

    database: dg.ResourceDependency[DatabaseResource]
    wait_minutes: float = 10.0
    """How long a run waits for another one of its video, before it fails."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["RunClaimResource"]:
        """Take the claim, and let go of it when the run ends."""
        run = context.run
        video = run.tags.get(PARTITION_TAG) if run is not None else None
        if run is None or video is None:
            yield self
            return
        log = context.log
        with failures_reported(Partition("moments", video), step="start"):
            claim = RunClaim(self.database.database.url, run_id=run.run_id, video=video)
            claim.take(
                wait_seconds=self.wait_minutes * _SECONDS_PER_MINUTE,
                said=lambda sentence: log.info(sentence) if log is not None else None,
            )
        try:
            yield self
        finally:
            claim.release()
