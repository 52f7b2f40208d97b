"""The Dagster IO manager of all assets: one partition in, one partition out."""

from contextlib import nullcontext
from typing import Any

import dagster as dg

from videomoments_dagster.core.asset import Unchanged
from videomoments_dagster.core.dagster_failures import failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources import DatabaseResource, ObjectStoreResource
from videomoments_dagster.core.storage import Computed, confirm, load, store
from videomoments_dagster.core.systems import RegisteredAsset, registered
from videomoments_dagster.sources.patience import waiting_told


class PartitionIOManager(dg.ConfigurableIOManager):
    """Keeps each partition of an asset as rows in PostgreSQL and files in the object store.

    Writes files first, under keys that contain their hash, then all rows in one transaction. Reads
    from the rows. If it fails, a partition was never materialised, or its object is gone: that is
    not retried, and the message says which asset to materialise.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store a `Computed`; for an `Unchanged`, leave the result as it is."""
        asset = registered(context.asset_key)
        partition = asset.system.any_partition(context.partition_key)
        if isinstance(obj, Computed):
            with (
                waiting_told(lambda said: context.log.warning("%s", said)),
                failures_reported(partition, step=asset.name),
            ):
                self._store(context, asset, partition, obj)
        elif isinstance(obj, Unchanged):
            with failures_reported(partition, step=asset.name):
                if obj.made_from is not None:
                    confirm(self.database.database, partition, asset.name, obj.made_from)
        else:
            raise dg.DagsterInvariantViolationError(
                f"The asset '{asset.name}' must return Computed or Unchanged, not "
                f"{type(obj).__name__}."
            )
        if asset.after_storing is None:
            return
        with failures_reported(partition, step=asset.name):
            metadata = asset.after_storing(
                self.database.database,
                self.object_store.store,
                partition,
                self.object_store.served,
                lambda sentence: context.log.warning("%s", sentence),
            )
        context.add_output_metadata(dict(metadata))

    def _store(
        self,
        context: dg.OutputContext,
        asset: RegisteredAsset,
        partition: Partition,
        computed: Computed[Any],
    ) -> None:
        has_files = bool(asset.storage.addresses)
        with (
            progress_logged(context, "of its files are stored") if has_files else nullcontext()
        ) as progress:
            stored, objects = store(
                self.database.database,
                self.object_store.store,
                partition,
                asset.storage,
                computed,
                progress=progress,
            )
        context.add_output_metadata({**computed.metadata_of(stored), "objects_written": objects})

    def load_input(self, context: dg.InputContext) -> Any:
        """Load what is stored for the partition of the step that asks for it."""
        asset = registered(context.asset_key)
        partition = asset.system.any_partition(context.partition_key)
        step = _asking_step(context)
        with (
            waiting_told(lambda said: context.log.warning("%s", said)),
            failures_reported(partition, step=step),
        ):
            return load(
                self.database.database,
                self.object_store.store,
                partition,
                asset.storage,
                step=step,
            )


def _asking_step(context: dg.InputContext) -> str:
    """The step that wants the input; outside a run, the asset that is loaded."""
    try:
        return context.op_def.name.rpartition("__")[2]
    except dg.DagsterInvariantViolationError:
        return context.asset_key.path[-1]
