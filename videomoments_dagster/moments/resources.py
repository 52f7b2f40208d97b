"""Resources of this system, and which of them the settings make.

No future import of annotations here: Dagster reads them when it makes the classes.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Dagster compares `updated_after` with the class in the caller's module; `import datetime` there
# made it raise TypeError.
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import dagster as dg

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.core.resources import DatabaseResource, ObjectStoreResource
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.media.clip_cutting import CutMethod
from videomoments_dagster.moments.backlog import (
    due_videos,
    videos_failed_since,
    videos_in_flight,
    videos_to_finish,
)
from videomoments_dagster.moments.intake.arrivals import Arrival
from videomoments_dagster.moments.intake.bucket import list_bucket
from videomoments_dagster.moments.intake.folder import SETTLE_SECONDS, list_folder
from videomoments_dagster.moments.intake.intake import Intake, WantedRun, take_in, wanted_runs
from videomoments_dagster.moments.intake.manifest import read_manifest
from videomoments_dagster.moments.profiles import load_profiles, profile_named
from videomoments_dagster.moments.records import GenerationConfig, SelectedConfigs, Source
from videomoments_dagster.moments.registered_sources import registered_source
from videomoments_dagster.moments.registration import add_source
from videomoments_dagster.moments.storage.generation_config_rows import is_stored
from videomoments_dagster.moments.system import VIDEO_PARTITIONS
from videomoments_dagster.sources.limits import FetchLimits, TransferLimits, networks_in
from videomoments_dagster.sources.locations import parse_google_url


class BacklogResource(dg.ConfigurableResource[Any]):
    """Finds videos that need a run, for the schedule `unfinished_videos`.

    Reads rows and Dagster's runs; writes nothing. If it fails, the database is away, and the next
    tick looks again.
    """

    database: dg.ResourceDependency[DatabaseResource]
    most: int = 25
    """Most videos at once."""
    retry_hours: float = 20.0
    """Hours after which a video whose run failed or was cancelled is tried again."""

    def due(self, instance: dg.DagsterInstance) -> list[str]:
        """Videos to run now, the newest first."""
        return due_videos(
            videos_to_finish(self.database.database, job="full"),
            excluded=videos_in_flight(instance)
            | videos_failed_since(instance, datetime.now(UTC) - timedelta(hours=self.retry_hours)),
            is_registered=lambda video: instance.has_dynamic_partition(VIDEO_PARTITIONS, video),
            most=self.most,
        )


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """What one materialisation of `clips` uses.

    Attributes:
        padding_left: Seconds shown before a moment.
        padding_right: Seconds shown after a moment.
        method: Whether to copy, to re-encode, or to copy where that is exact.
    """

    padding_left: float
    padding_right: float
    method: CutMethod


class ClipSettingsResource(dg.ConfigurableResource[Any]):
    """Padding and way of cutting, where run config does not say otherwise.

    Reads the settings VIDEOMOMENTS_CLIP_PADDING_LEFT, VIDEOMOMENTS_CLIP_PADDING_RIGHT and
    VIDEOMOMENTS_CLIP_METHOD; writes nothing. If it fails, the message names the value that is out
    of its range.
    """

    padding_left: float = 15.0
    padding_right: float = 30.0
    method: str = "auto"

    def chosen(
        self, *, padding_left: float | None, padding_right: float | None, method: str | None
    ) -> ClipSettings:
        """The run's wishes, filled up with the installation's settings."""
        return ClipSettings(
            padding_left=self.padding_left if padding_left is None else padding_left,
            padding_right=self.padding_right if padding_right is None else padding_right,
            method=cast("CutMethod", method or self.method),
        )


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

    def arrivals(self) -> list[Arrival]:
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
    ) -> Intake:
        """Register what is new.

        Args:
            instance: Dagster's instance, for the partitions.
            after: Where the look before stopped.
            most: Most new arrivals to deal with.
            seconds: After this time no further arrival is begun.
        """

        def register(arrival: Arrival) -> str:
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

    def wanted_runs(self, has_run: Callable[[str], bool], *, most: int) -> tuple[WantedRun, ...]:
        """Runs that arrivals need and that Dagster does not have yet."""
        return wanted_runs(self.database.database, has_run=has_run, most=most)

    def _manifest_text(self) -> str:
        from videomoments_dagster.sources.google_transfer import (  # noqa: PLC0415
            brief_reason,
            google_problem,
        )

        address = parse_google_url(self.manifest)
        try:
            if address is None:
                path = Path(self.manifest).expanduser()
                content = path.read_bytes() if path.stat().st_size <= _MANIFEST_BYTES else None
            else:
                content = (
                    self.object_store.client()
                    .bucket(address.bucket)
                    .blob(address.path)
                    .download_as_bytes(end=_MANIFEST_BYTES, **TransferLimits().per_request)
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


class ProfilesResource(dg.ConfigurableResource[Any]):
    """The generation profiles; read anew in each run, so that an edit needs no restart.

    Reads the file VIDEOMOMENTS_PROFILES, or the one that the project ships; writes nothing. If it
    fails, the message names the profile and the field to mend.
    """

    path: str = ""
    """The file; empty for the one that the project ships."""

    def selected(self, name: str) -> SelectedConfigs:
        """The configurations of the profile `name`.

        Raises:
            SettingsRejected: If the file is invalid or has no such profile.
        """
        return profile_named(name, load_profiles(Path(self.path) if self.path else None))


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

    def has_config(self, config: GenerationConfig) -> bool:
        """Whether a configuration is stored already, for this video or another."""
        with self.database.read() as session:
            return is_stored(session, config)


def moments_resources(settings: Settings, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The resources of this system, by the names that assets ask for them.

    Args:
        settings: The installation's settings.
        shared: Resources of `core`, by name.
    """
    database, object_store = shared["database"], shared["object_store"]
    return {
        "backlog": BacklogResource(
            database=database,
            most=settings.backlog_runs,
            retry_hours=settings.backlog_retry_hours,
        ),
        "inbox": InboxResource(
            database=database,
            object_store=object_store,
            root=settings.inbox_root,
            required=bool(settings.inbox),
            manifest=settings.inbox_manifest,
            settle_seconds=settings.inbox_settle_seconds,
        ),
        "registry": SourceRegistryResource(
            database=database,
            max_download_gib=settings.max_source_gib,
            allowed_networks=settings.allowed_networks,
        ),
        "profiles": ProfilesResource(path=str(settings.profiles or "")),
        "clip_settings": ClipSettingsResource(
            padding_left=settings.clip_padding_left,
            padding_right=settings.clip_padding_right,
            method=settings.clip_method,
        ),
    }
