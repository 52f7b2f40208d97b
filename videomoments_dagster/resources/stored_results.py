"""What is already stored, so that assets need not make it again.

Belongs here: reading results and what is remembered of them, for assets. Does not belong here:
writing (the IO manager does).
"""

from typing import Any

import dagster as dg

from videomoments_dagster.records import StoredResult
from videomoments_dagster.resources.database import DatabaseResource
from videomoments_dagster.resources.object_store import ObjectStoreResource
from videomoments_dagster.resources.run_claim import RunClaimResource


class StoredResultsResource(dg.ConfigurableResource[Any]):
    """Reads stored results of this project's assets."""

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    claim: dg.ResourceDependency[RunClaimResource]
    """Not asked anything: whoever reads results to work on them has the video for itself."""

    def intact(self, *, asset: str, video: str) -> StoredResult | None:
        """The last result of `asset` for `video`, if rows and objects still are as stored."""
        from videomoments_dagster.io_managers.catalogue import STORED_ASSETS
        from videomoments_dagster.io_managers.stored_asset import (
            first_missing,
            is_unchanged,
            recall,
        )

        with self.database.read() as session:
            result = recall(session, video=video, asset=asset)
            if result is None:
                return None
            urls = is_unchanged(session, video=video, asset=STORED_ASSETS[asset], result=result)
        if urls is None or first_missing(self.object_store.store, urls) is not None:
            return None
        return result

    def value(self, *, asset: str, video: str) -> Any | None:
        """What is stored of `asset` for `video`, as its IO manager would load it, or None."""
        from videomoments_dagster.io_managers.catalogue import STORED_ASSETS

        with self.database.read() as session:
            return STORED_ASSETS[asset].read(session, video=video)

    def has_object(self, url: str) -> bool:
        """Whether the object at `url` is there."""
        return self.object_store.store.stat(url) is not None
