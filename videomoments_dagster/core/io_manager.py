"""The Dagster IO manager of all seven assets: one partition in, one partition out.

Belongs here: what Dagster asks of an IO manager, and turning typed failures into Dagster's.
Does not belong here: any table (`<asset>_rows.py`).
"""

from pathlib import Path
from typing import Any, cast

import dagster as dg

from videomoments_dagster.base.failures import ObjectMissing
from videomoments_dagster.base.progress import Progress
from videomoments_dagster.core.dagster_failures import failures_reported
from videomoments_dagster.core.metadata_values import link
from videomoments_dagster.core.objects.interface import ObjectStore, StoredObject
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource
from videomoments_dagster.core.storage import (
    Computed,
    StoredAsset,
    Unchanged,
    Uploads,
    first_missing,
    missing_result,
    remember,
)
from videomoments_dagster.moments.page.stored_page import refresh_page
from videomoments_dagster.moments.storage.catalogue import STORED_ASSETS

_HAS_A_PAGE = "clips"


class PartitionIOManager(dg.ConfigurableIOManager):
    """Keeps each partition of an asset as rows in PostgreSQL and files in the object store.

    Writes files first, under keys that contain their hash, then all rows in one transaction. Reads
    from the rows. If it fails, a partition was never materialised, or its object is gone: that is
    not retried, and the message says which asset to materialise.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store a `Computed`, or leave everything as it is for an `Unchanged`."""
        name = context.asset_key.path[-1]
        if isinstance(obj, Unchanged):
            if name == _HAS_A_PAGE:
                self._refresh_page(context)
            return
        if not isinstance(obj, Computed):
            raise dg.DagsterInvariantViolationError(
                f"The asset '{name}' must return Computed or Unchanged, not {type(obj).__name__}."
            )
        asset = STORED_ASSETS[name]
        video = context.partition_key
        with failures_reported(Partition("moments", video), step=name):
            uploads = self._uploaded(context, asset, obj.value) if asset.has_files else {}
            with self.database.transaction() as session:
                written = asset.write(session, video=video, made=obj.value, uploads=uploads)
                stored = remember(session, video=video, asset=asset, computed=obj, stored=written)
        context.add_output_metadata(
            {
                **obj.told(stored),
                "objects_written": sum(upload.created for upload in uploads.values()),
            }
        )
        if name == _HAS_A_PAGE:
            self._refresh_page(context)

    def _uploaded(
        self, context: dg.OutputContext, asset: "StoredAsset[Any, Any]", made: Any
    ) -> "Uploads":
        """Store the files of `made`, telling how far."""
        with progress_logged(context, "of its files are stored") as progress:
            store = _told(self.object_store.store, progress, total=asset.size_of_files(made))
            return asset.upload(store, video=context.partition_key, made=made)

    def _refresh_page(self, context: dg.OutputContext) -> None:
        """Store the video's page if what it shows has changed; a failure is told and no more."""
        # Only this step needs the template engine.

        try:
            url = refresh_page(
                self.database.database, self.object_store.store, video=context.partition_key
            )
        except Exception as failure:  # noqa: BLE001 - whatever it is, the clips are there
            context.log.warning("The page of this video could not be stored: %s", failure)
            context.add_output_metadata({"page": f"could not be stored: {failure}"})
            return
        context.add_output_metadata({"page": link(url)})

    def load_input(self, context: dg.InputContext) -> Any:
        """Load what is stored for the partition of the step that asks for it."""
        name = context.asset_key.path[-1]
        asset = STORED_ASSETS[name]
        video = context.partition_key
        step = _asking_step(context)
        with failures_reported(Partition("moments", video), step=step):
            with self.database.read() as session:
                stored = asset.read(session, video=video)
            if stored is None:
                raise missing_result(video=video, asset=name, step=step)
            gone = first_missing(self.object_store.store, asset.object_urls(stored))
            if gone is not None:
                raise ObjectMissing(
                    f"the object {gone} of the asset '{name}' is gone",
                    remedy=f"Materialise '{name}' for this partition again",
                )
            return stored


class _ToldStore:
    """A store that tells how much of all files of one asset it has written."""

    def __init__(self, store: ObjectStore, progress: Progress, total: int | None) -> None:
        self._store = store
        self._progress = progress
        self._total = total
        self._before = 0

    def put_file(self, path: Path, **how: Any) -> StoredObject:
        """Store a file, telling how far."""

        def written(size_bytes: int) -> None:
            self._progress.of_bytes(self._before + size_bytes, self._total)

        stored = self._store.put_file(path, **how, progress=written)
        self._before += stored.size_bytes
        return stored

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _told(store: ObjectStore, progress: Progress, *, total: int | None) -> ObjectStore:
    return cast("ObjectStore", _ToldStore(store, progress, total))


def _asking_step(context: dg.InputContext) -> str:
    """The step that wants the input; outside a run, the asset that is loaded."""
    try:
        return context.op_def.name
    except dg.DagsterInvariantViolationError:
        return context.asset_key.path[-1]
