"""Local files for stored objects.

Belongs here: making an object readable as a file, once per run. Does not belong here: cutting
or probing (`videomoments_dagster.media`).
"""

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

import dagster as dg

from videomoments_dagster.resources.object_store import ObjectStoreResource
from videomoments_dagster.resources.scratch import ScratchResource


class MediaResource(dg.ConfigurableResource[Any]):
    """Stored objects as local files: in place where they are local, else fetched into scratch."""

    object_store: dg.ResourceDependency[ObjectStoreResource]
    scratch: dg.ResourceDependency[ScratchResource]

    def local_file(self, url: str) -> Path:
        """A readable file with the object's bytes; steps of one run share a fetched one.

        Raises:
            ObjectMissing: If there is no such object.
            ObjectStoreUnavailable: If it could not be fetched.
        """
        store = self.object_store.store
        in_place = store.local_path(url)
        if in_place is not None:
            return in_place
        name = hashlib.sha256(url.encode()).hexdigest()[:16] + PurePosixPath(url).suffix
        fetched = self.scratch.subfolder("fetched") / name
        return fetched if fetched.exists() else store.fetch(url, to=fetched)
