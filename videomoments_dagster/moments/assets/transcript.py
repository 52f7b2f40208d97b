"""The `transcript` asset: what is said, word by word."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.base.files import content_hash
from videomoments_dagster.core.asset import (
    GROUP,
    OWNERS,
    Computation,
    MaterialisationConfig,
    materialise,
)
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.pools import TRANSCRIPTION
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources.language_models_resource import LanguageModelsResource
from videomoments_dagster.core.resources.media_resource import MediaResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource
from videomoments_dagster.core.resources.scratch_resource import ScratchResource
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.core.resources.transcription_resource import TranscriptionResource
from videomoments_dagster.core.run_tags import TRANSCRIPTION_TAG
from videomoments_dagster.moments.checks.result_checks import TRANSCRIPT_CHECKS, transcript_checks
from videomoments_dagster.moments.metadata.video_metadata import transcript_metadata
from videomoments_dagster.moments.partitions import VIDEOS
from videomoments_dagster.moments.profile_choice import check_models_before_work
from videomoments_dagster.moments.records import Source, Video
from videomoments_dagster.moments.resources.profiles_resource import ProfilesResource
from videomoments_dagster.moments.resources.registry_resource import SourceRegistryResource
from videomoments_dagster.moments.versions import transcript_version
from videomoments_dagster.sources.fetching import fetch_source
from videomoments_dagster.sources.locations import SourceKind, kind_of, local_path_of
from videomoments_dagster.speech.captions_engine import captions_beside
from videomoments_dagster.speech.engine import TranscriptionRequest
from videomoments_dagster.speech.transcript import Transcript

CODE_VERSION = "1"


class TranscriptConfig(MaterialisationConfig):
    """Run config of `transcript`."""

    engine: str | None = Field(
        default=None,
        description="`faster-whisper`, `captions` or `pocketsphinx`; without it the run tag "
        f"`{TRANSCRIPTION_TAG}`, what the video was registered with, or the setting decides.",
    )
    language: str | None = Field(default=None, description="ISO 639-1 code of the speech.")


@dg.asset(
    partitions_def=VIDEOS,
    group_name=GROUP,
    pool=TRANSCRIPTION,
    owners=OWNERS,
    kinds={"postgres", "python"},
    code_version=CODE_VERSION,
    retry_policy=RETRY_OUTSIDE,
    # Beside checks, Dagster takes a MaterializeResult to have no value unless it is told.
    dagster_type=dg.Any,
    check_specs=TRANSCRIPT_CHECKS,
    description="""What is said in the video, with the times of words and segments.

Reads the stored video. Writes the row of `transcripts`; transcribing again replaces it. A video
without sound or speech has an empty transcript. If it fails, the message says which engine or
model is missing and where to put it; no other engine is used in its place.""",
)
def transcript(
    context: dg.AssetExecutionContext,
    config: TranscriptConfig,
    video: Video,
    results: StoredResultsResource,
    registry: SourceRegistryResource,
    transcription: TranscriptionResource,
    media: MediaResource,
    object_store: ObjectStoreResource,
    scratch: ScratchResource,
    profiles: ProfilesResource,
    language_models: LanguageModelsResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no other is taken beside checks
    """Transcribe with the chosen engine."""
    with failures_reported(Partition("moments", video.identifier), step="transcript"):
        duration = video.facts.duration_seconds
        source = registry.source_of(video.identifier)
        engine = transcription.engine(
            config.engine
            or context.run.tags.get(TRANSCRIPTION_TAG)
            or (source.transcription_engine if source else None),
            language=config.language,
        )
        captions, captions_hash = None, None
        if engine.name == "captions":
            captions, gone = _caption_file(
                video, source, registry=registry, scratch=scratch, object_store=object_store
            )
            captions_hash = content_hash(captions) if captions is not None else None
            stored = results.intact(asset="transcript", video=video.identifier)
            if captions is None and stored is not None and not config.force:
                # The caption file may be gone by now; the transcript made from it still stands.
                captions_hash = stored.details.get("stored_captions")
            if gone is not None and captions_hash is None:
                raise gone

        def compute() -> Computation[Transcript]:
            engine.check()
            check_models_before_work(
                context, registry=registry, profiles=profiles, language_models=language_models
            )
            context.log.info("Transcribing with %s.", engine.service)
            with progress_logged(context, "of the sound is transcribed") as progress:
                result = engine.transcribe(
                    TranscriptionRequest(
                        media=media.local_file(video.cloud_url),
                        facts=video.facts,
                        captions=captions,
                        scratch=scratch.subfolder("transcript"),
                        language=config.language,
                    ),
                    progress=progress.share,
                )
            for note in result.notes:
                context.log.info("%s.", note)
            return Computation(
                value=result,
                data_version=transcript_version(result),
                details={
                    "engine": result.transcription_service,
                    "language": result.language,
                    "words": len(result.words),
                    "segments": len(result.segments),
                    "processing_time_seconds": round(result.processing_time_seconds, 3),
                    "notes": "; ".join(result.notes),
                    "stored_captions": captions_hash,
                },
                checks=transcript_checks(result, duration_seconds=duration),
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={
                "video": video.content_hash,
                "captions": captions_hash,
            },
            settings={"engine": engine.name, "service": engine.service, **engine.settings},
            force=config.force,
            compute=compute,
            told=lambda stored, _: transcript_metadata(stored, duration_seconds=duration),
            checks_when_unchanged=lambda stored, _: transcript_checks(
                stored, duration_seconds=duration
            ),
        )


def _caption_file(
    video: Video,
    source: Source | None,
    *,
    registry: SourceRegistryResource,
    scratch: ScratchResource,
    object_store: ObjectStoreResource,
) -> tuple[Path | None, SourceRejected | None]:
    """The caption file registered with the video, or the one beside its local source.

    Returns:
        The file, or None; and why a registered one could not be had.
    """
    if source is not None and source.captions:
        try:
            fetched = fetch_source(
                source.captions,
                scratch=scratch.subfolder("captions"),
                gcs_client=object_store.client,
                limits=registry.fetch_limits(),
            )
        except SourceRejected as gone:
            return None, gone
        return fetched.path, None
    location = video.source_url or ""
    if location and kind_of(location) is SourceKind.LOCAL:
        return captions_beside(local_path_of(location, cwd=Path.cwd())), None
    return None, None
