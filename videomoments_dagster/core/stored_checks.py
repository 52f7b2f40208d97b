"""Checks of what is stored, rows and objects as they are now, and the job that looks at all.

The checks read, and mend nothing. The job is there since Dagster's UI cannot run partitioned checks
without their asset.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from videomoments_dagster.base.failures import ObjectMissing, ResultMissing
from videomoments_dagster.core.asset_checks import (
    ERROR,
    CheckOutcome,
    StoredCheck,
    previews_accepted,
)
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.media_files import MediaResource
from videomoments_dagster.core.objects.store import ObjectStat
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.pools import ENCODING
from videomoments_dagster.core.resources import StoredResultsResource
from videomoments_dagster.core.storage import missing_result
from videomoments_dagster.core.systems import STORED_CHECK, RegisteredAsset, System

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class StoredPartition:
    """What is stored of one partition, for the rule of a check.

    Attributes:
        system: Whose partition it is.
        partition: The partition.
        results: Rows.
        media: Objects as files.
    """

    system: System
    partition: Partition
    results: StoredResultsResource
    media: MediaResource
    _values: dict[str, Any] = field(default_factory=dict)

    def value(self, kind: type[Value], asset: str) -> Value:
        """What is stored of an asset.

        Raises:
            ResultMissing: If it was never materialised.
        """
        value = self.find(asset)
        if not isinstance(value, kind):
            raise missing_result(self.partition, asset=asset, step=STORED_CHECK)
        return value

    def find(self, asset: str) -> Any | None:
        """The same, or None where it was never materialised; read once."""
        if asset not in self._values:
            storage = self.system.assets[asset].storage
            self._values[asset] = self.results.of(self.partition, storage).value
        return self._values[asset]

    def stat(self, url: str) -> ObjectStat | None:
        """What the object store knows of an object; None where it is gone."""
        return self.media.object_store.store.stat(url)

    def file(self, url: str) -> tuple[Path | None, str]:
        """A stored object as a local file, or a sentence that it is gone."""
        try:
            return self.media.local_file(url), ""
        except ObjectMissing:
            return None, f"the file {url} is gone"


def stored_checks(system: System) -> list[dg.AssetChecksDefinition]:
    """A check of each asset that has a rule for what is stored of it."""
    return [
        _check(asset, check)
        for asset in system.assets.values()
        if (check := asset.stored_check) is not None
    ]


def _check(asset: RegisteredAsset, stored_check: StoredCheck) -> dg.AssetChecksDefinition:
    def check(
        context: dg.AssetCheckExecutionContext, results: StoredResultsResource, media: MediaResource
    ) -> dg.AssetCheckResult:
        system = asset.system
        if not context.has_partition_key:
            raise dg.Failure(
                description=f"This check is about one {system.noun}, and the run has none. "
                f"Run the job '{system.check_job}' for a partition instead.",
                allow_retries=False,
            )
        partition = system.any_partition(context.partition_key)
        with failures_reported(partition, step=f"{STORED_CHECK} of {asset.name}"):
            outcome = stored_check.rule(StoredPartition(system, partition, results, media))
            return outcome.result(severity=ERROR)

    with previews_accepted():
        return dg.asset_check(
            asset=asset.key,
            name=STORED_CHECK,
            description=stored_check.description,
            partitions_def=asset.system.partitions,
            retry_policy=RETRY_OUTSIDE,
            pool=asset.pool if asset.pool == ENCODING else None,
        )(check)


def _outcome_if_stored(asset: RegisteredAsset, stored: StoredPartition) -> CheckOutcome | None:
    if asset.stored_check is None or stored.find(asset.name) is None:
        return None
    try:
        return asset.stored_check.rule(stored)
    except ResultMissing as missing:
        # An asset upstream of it, which its rule needs.
        return CheckOutcome([missing.reason], holds="", remedy=missing.remedy or "Materialise it")


def check_job(system: System) -> dg.JobDefinition:
    """The job that looks at everything that is stored of a partition."""

    @dg.op(
        name=f"look_at_{system.check_job.removeprefix('check_')}",
        pool=ENCODING,
        retry_policy=RETRY_OUTSIDE,
        description=f"Looks at everything that is stored of one {system.noun}, and notes a result "
        f"of '{STORED_CHECK}' with each asset. Reads rows and objects, and writes nothing. A check "
        "that fails says what to materialise again; the run itself fails only where it could not "
        "look.",
    )
    def look(
        context: dg.OpExecutionContext, results: StoredResultsResource, media: MediaResource
    ) -> None:
        partition = system.any_partition(context.partition_key)
        stored = StoredPartition(system, partition, results, media)
        for asset in system.assets.values():
            if asset.stored_check is None:
                continue
            with failures_reported(partition, step=f"{STORED_CHECK} of {asset.name}"):
                outcome = _outcome_if_stored(asset, stored)
            if outcome is None:
                context.log.info("The asset '%s' is not materialised.", asset.name)
                continue
            result = outcome.result(severity=ERROR)
            (context.log.info if result.passed else context.log.error)(
                "%s: %s", asset.name, result.description
            )
            context.log_event(
                # Dagster takes these and says otherwise in its annotation.
                dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                    asset_key=asset.key,
                    check_name=STORED_CHECK,
                    passed=result.passed,
                    severity=result.severity,
                    description=result.description,
                    metadata=result.metadata,
                    blocking=False,
                    partition=partition.key,
                )
            )

    @dg.job(
        name=system.check_job,
        partitions_def=system.partitions,
        executor_def=dg.in_process_executor,
        description=f"""Checks what is stored of a {system.noun}, without materialising anything.

Reads the rows and objects of all its assets: files that are gone, clips that do not open, rows that
somebody changed. Writes nothing but the results of the checks, which are shown with the assets. If
a check fails, its sentence says which asset to materialise again. If it fails itself, it could not
look: the message says why, and it can be run again.""",
    )
    def job() -> None:
        look()

    return job
