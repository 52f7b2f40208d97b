"""The run's claim on its partition: one run at a time, and known to live."""

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
    system: str
    """System whose partitions the runs work on."""
    wait_minutes: float = 10.0
    """How long a run waits for another one of its video, before it fails."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["RunClaimResource"]:
        """Take the claim, and let go of it when the run ends."""
        run, log = context.run, context.log
        key = run.tags.get(PARTITION_TAG) if run is not None else None
        if run is None or key is None:
            yield self
            return
        partition = Partition(self.system, key)
        with failures_reported(partition, step="start"):
            claim = RunClaim(
                self.database.database.url, run_id=run.run_id, system=self.system, partition=key
            )
            claim.take(
                wait_seconds=self.wait_minutes * _SECONDS_PER_MINUTE,
                log=lambda sentence: log.info(sentence) if log is not None else None,
            )
        try:
            yield self
        finally:
            claim.release()
