"""What is already stored, so that assets need not make it again.

Belongs here: reading results and what is remembered of them, for assets. Does not belong here:
writing (the IO manager does).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg

from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource
from videomoments_dagster.core.resources.run_claim_resource import RunClaimResource
from videomoments_dagster.core.storage import first_missing, recall, unchanged_value
from videomoments_dagster.moments.records import GenerationConfig, StoredResult
from videomoments_dagster.moments.storage.catalogue import STORED_ASSETS
from videomoments_dagster.moments.storage.generation_config_rows import is_stored


class StoredResultsResource(dg.ConfigurableResource[Any]):
    """What is already stored, so that nothing is made again that still stands.

    Reads rows, and asks the object store whether objects are there; writes nothing. It also holds
    the run's claim on its video: two runs of one video take turns. If it fails, the database or the
    object store is away; the message says which.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    claim: dg.ResourceDependency[RunClaimResource]
    """Not asked anything: whoever reads results to work on them has the video for itself."""

    def intact(self, *, asset: str, video: str) -> StoredResult | None:
        """The last result of `asset` for `video`, if rows and objects still are as stored."""
        with self.database.read() as session:
            result = recall(session, video=video, asset=asset)
            if result is None:
                return None
            kind = STORED_ASSETS[asset]
            value = unchanged_value(session, video=video, asset=kind, result=result)
        if value is None:
            return None
        if first_missing(self.object_store.store, kind.object_urls(value)) is not None:
            return None
        return replace(result, value=value)

    def remembered(self, *, asset: str, video: str) -> Mapping[str, Any]:
        """The details of the last result of `asset` for `video`, whatever became of it."""
        with self.database.read() as session:
            result = recall(session, video=video, asset=asset)
        return {} if result is None else result.details

    def value(self, *, asset: str, video: str) -> Any | None:
        """What is stored of `asset` for `video`, as its IO manager would load it, or None."""
        with self.database.read() as session:
            return STORED_ASSETS[asset].read(session, video=video)

    def has_config(self, config: GenerationConfig) -> bool:
        """Whether this configuration is stored already, for this video or another."""
        with self.database.read() as session:
            return is_stored(session, config)

    def has_object(self, url: str) -> bool:
        """Whether the object at `url` is there."""
        return self.object_store.store.stat(url) is not None
