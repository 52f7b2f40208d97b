"""The inbox as a Dagster resource.

Belongs here: which inbox this installation has, and looking into it. Does not belong here: how
anything is listed or compared (`videomoments_dagster.moments.intake`).
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource
from videomoments_dagster.moments.intake.arrivals import Arrival
from videomoments_dagster.moments.intake.bucket import list_bucket
from videomoments_dagster.moments.intake.folder import SETTLE_SECONDS, list_folder
from videomoments_dagster.moments.intake.intake import Intake, WantedRun, take_in, wanted_runs
from videomoments_dagster.moments.intake.manifest import read_manifest
from videomoments_dagster.moments.registration import add_source
from videomoments_dagster.sources.locations import parse_google_url

_MANIFEST_BYTES = 64 * 1024**2


class InboxResource(dg.ConfigurableResource[Any]):
    """Where new videos come from by themselves: a folder, a bucket's prefix, or a manifest.

    Reads what lies there; writes which files it has seen, and registers new sources. If it fails,
    the inbox cannot be listed: make the folder, or give the account the right to list the bucket.
    Nothing is lost.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    root: str
    """A folder, or `gs://bucket/prefix`."""
    required: bool = False
    """Whether a folder that is not there is a failure, and not an inbox that nobody uses."""
    manifest: str = ""
    """CSV or JSONL file of sources, a path or `gs://` URL; empty is none."""
    settle_seconds: float = SETTLE_SECONDS

    def arrivals(self) -> "list[Arrival]":
        """All that lies there and is whole, and all lines of the manifest.

        Raises:
            SourceUnavailable: It cannot be listed just now.
            SourceRejected: It cannot be listed at all.
        """
        found: list[Arrival] = []
        if self.root.lower().startswith("gs://"):
            found += list_bucket(self.root, client=self.object_store.client)
        elif self.required or Path(self.root).is_dir():
            found += list_folder(
                Path(self.root), now=time.time(), settle_seconds=self.settle_seconds
            )
        if self.manifest:
            folder = Path(self.root) if "://" in self.manifest else Path(self.manifest).parent
            found += read_manifest(self._manifest_text(), name=self.manifest, folder=folder)
        return found

    def take_in(
        self, instance: dg.DagsterInstance, *, after: str, most: int, seconds: float
    ) -> "Intake":
        """Register what is new.

        Args:
            instance: Dagster's instance, for the partitions.
            after: Where the look before stopped.
            most: Most new arrivals to deal with.
            seconds: After this time no further arrival is begun.
        """

        def register(arrival: "Arrival") -> str:
            return add_source(
                instance,
                self.database.database,
                arrival.location,
                identifier=arrival.identifier,
                title=arrival.title,
                captions=arrival.captions,
                profile=arrival.profile,
                working_directory=Path.cwd(),
            ).source.identifier

        return take_in(
            self.database.database,
            self.object_store.store,
            self.arrivals(),
            register=register,
            after=after,
            most=most,
            seconds=seconds,
        )

    def wanted_runs(self, has_run: Callable[[str], bool], *, most: int) -> "tuple[WantedRun, ...]":
        """Runs that arrivals need and that Dagster does not have yet."""
        return wanted_runs(self.database.database, has_run=has_run, most=most)

    def _manifest_text(self) -> str:
        from videomoments_dagster.sources.google_transfer import (  # noqa: PLC0415
            TransferLimits,
            brief_reason,
            google_problem,
        )

        address = parse_google_url(self.manifest)
        try:
            if address is None:
                path = Path(self.manifest).expanduser()
                content = path.read_bytes() if path.stat().st_size <= _MANIFEST_BYTES else None
            else:
                limits = TransferLimits()
                content = (
                    self.object_store.client()
                    .bucket(address.bucket)
                    .blob(address.path)
                    .download_as_bytes(
                        end=_MANIFEST_BYTES, timeout=limits.timeout, retry=limits.retry()
                    )
                )
        except OSError as error:
            raise SourceUnavailable(
                f"the manifest {self.manifest} cannot be read: {error.strerror or error}",
                remedy="Set VIDEOMOMENTS_INBOX_MANIFEST to a file that is there, or unset it",
            ) from error
        except Exception as error:
            if google_problem(error) is None:
                raise
            raise SourceUnavailable(
                f"the manifest {self.manifest} cannot be read: {brief_reason(error)}"
            ) from error
        if content is None or len(content) > _MANIFEST_BYTES:
            raise SourceRejected(
                f"the manifest {self.manifest} is larger than {_MANIFEST_BYTES // 1024**2} MiB",
                remedy="Split it; lines that were taken in already can go",
            )
        return content.decode("utf-8", errors="replace")
