"""The registry of sources as a Dagster resource.

Belongs here: what assets ask of it, and the bounds on fetching. Does not belong here: its rows
(`videomoments_dagster.moments.registered_sources`), or fetching (`videomoments_dagster.sources`).
"""

from typing import Any

import dagster as dg

from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.moments.records import Source
from videomoments_dagster.moments.registered_sources import registered_source
from videomoments_dagster.sources.limits import FetchLimits, networks_in

_GIB = 1024**3


class SourceRegistryResource(dg.ConfigurableResource[Any]):
    """Where registered partitions' bytes come from, and what may be fetched.

    Reads the table `pipeline.sources`; writes a row when a video is registered. If it fails, the
    partition has no source: register one with `videomoments add SOURCE --identifier ID`.
    """

    database: dg.ResourceDependency[DatabaseResource]
    max_download_gib: float = 64.0
    """Largest source that is downloaded, in GiB."""
    allowed_networks: str = ""
    """Networks that URLs may lead to although they are not public, separated by commas."""

    def fetch_limits(self, *, max_download_gib: float | None = None) -> FetchLimits:
        """The bounds on fetching a registered source.

        Args:
            max_download_gib: Largest download in GiB, if not the installation's.
        """
        return FetchLimits(
            max_bytes=int((max_download_gib or self.max_download_gib) * _GIB),
            allowed_networks=networks_in(self.allowed_networks),
        )

    def source_of(self, identifier: str) -> Source | None:
        """The source registered under `identifier`, or None."""
        with self.database.read() as session:
            return registered_source(session, identifier=identifier)
