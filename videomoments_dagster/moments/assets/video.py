"""The `video` asset: bytes from a source, probed and stored."""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.core.asset import (
    GROUP,
    OWNERS,
    Computation,
    MaterialisationConfig,
    materialise,
)
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources.language_models_resource import LanguageModelsResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource
from videomoments_dagster.core.resources.scratch_resource import ScratchResource
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.media.probe import probe
from videomoments_dagster.moments.metadata.video_metadata import (
    PICTURES,
    frame_pictures,
    video_metadata,
)
from videomoments_dagster.moments.partitions import VIDEOS
from videomoments_dagster.moments.profile_choice import check_models_before_work
from videomoments_dagster.moments.records import FetchedVideo, Source
from videomoments_dagster.moments.resources.profiles_resource import ProfilesResource
from videomoments_dagster.moments.resources.registry_resource import SourceRegistryResource
from videomoments_dagster.sources.fetching import fetch_source
from videomoments_dagster.sources.locations import (
    SourceKind,
    kind_of,
    local_path_of,
    normalise_location,
    redact,
    source_fingerprint,
)

CODE_VERSION = "1"


class VideoConfig(MaterialisationConfig):
    """Run config of `video`."""

    source: str | None = Field(
        default=None,
        description="Local path, http(s):// or gs:// URL; needed only for a partition that was "
        "not registered with `videomoments add`. Dagster shows run config to everybody who may see "
        "runs: an address with a password or token is better registered.",
    )
    title: str | None = Field(default=None, description="Title to store with the video.")
    max_source_gib: float | None = Field(
        default=None, description="Largest download in GiB, if not the installation's."
    )


@dg.asset(
    partitions_def=VIDEOS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"ffmpeg", "postgres", "storage"},
    code_version=CODE_VERSION,
    retry_policy=RETRY_OUTSIDE,
    description="""The source file, probed and kept.

Reads the registered source: a local path, an `http(s)://` or `gs://` URL, or a page that yt-dlp
understands. Writes the file to the object store under a key with its SHA-256, and a row of
`videos`. If it fails, the message says what is wrong with the source; a source that cannot be
read just now is tried again.""",
)
def video(
    context: dg.AssetExecutionContext,
    config: VideoConfig,
    results: StoredResultsResource,
    registry: SourceRegistryResource,
    object_store: ObjectStoreResource,
    scratch: ScratchResource,
    profiles: ProfilesResource,
    language_models: LanguageModelsResource,
) -> dg.MaterializeResult[Any]:
    """Fetch, probe and hash the source."""
    with failures_reported(Partition("moments", context.partition_key), step="video"):
        identifier = checked_identifier(context.partition_key)
        source = _source(identifier, config, registry.source_of(identifier))
        stored = results.intact(asset="video", video=identifier)
        is_local = kind_of(source.location) is SourceKind.LOCAL
        # A local source may be gone by now; what was stored from it still stands.
        state = source_fingerprint(source.location) or (
            stored.details.get("stored_source_state") if stored is not None else None
        )

        def compute() -> Computation[FetchedVideo]:
            check_models_before_work(
                context, registry=registry, profiles=profiles, language_models=language_models
            )
            context.log.info("Reading %s.", redact(source.location))
            if is_local:
                # Hashing a large file that turns out to be no video would be time lost.
                probe(local_path_of(source.location, cwd=Path.cwd()))
            with progress_logged(context, "of the source are read") as progress:
                fetched = fetch_source(
                    source.location,
                    scratch=scratch.subfolder("source"),
                    gcs_client=object_store.client,
                    progress=progress.of_bytes,
                    limits=registry.fetch_limits(max_download_gib=config.max_source_gib),
                )
            facts = probe(fetched.path)
            result = FetchedVideo(
                identifier=identifier,
                source_url=source.location,
                path=fetched.path,
                content_hash=fetched.content_hash,
                facts=facts,
                title=source.title or fetched.suggested_title,
            )
            return Computation(
                value=result,
                data_version=digest([result.content_hash, result.title, result.source_url]),
                details={
                    "duration_seconds": facts.duration_seconds,
                    "size_bytes": facts.size_bytes,
                    "resolution": facts.video.resolution if facts.video else None,
                    "video_codec": facts.video.codec if facts.video else None,
                    "audio_codec": facts.audio.codec if facts.audio else None,
                    "source": redact(source.location),
                    "content_hash": result.content_hash,
                    # Of anything else it is the location, with its credentials.
                    "stored_source_state": state if is_local else None,
                    PICTURES: frame_pictures(
                        fetched.path, facts, folder=scratch.subfolder("source")
                    ),
                },
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={"source": source.location, "state": state, "title": source.title},
            settings={},
            force=config.force,
            compute=compute,
            told=video_metadata,
        )


def _source(identifier: str, config: VideoConfig, registered: Source | None) -> Source:
    """The source of a partition: run config first, else what was registered.

    Raises:
        SourceRejected: If there is neither.
    """
    if config.source:
        return Source(
            identifier=identifier,
            location=normalise_location(config.source, cwd=Path.cwd()),
            title=config.title or (registered.title if registered else None),
        )
    if registered is None:
        raise SourceRejected(
            "no source is registered for this partition",
            remedy=f"Run `videomoments add SOURCE --identifier {identifier}`, or give `source` "
            "in the run config of `video`",
        )
    return registered
