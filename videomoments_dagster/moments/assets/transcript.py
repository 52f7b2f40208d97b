"""The `transcript` asset: what is said, word by word."""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.base.files import content_hash
from videomoments_dagster.core.asset import (
    UNCHANGED,
    Made,
    MaterialisationConfig,
    Previous,
    Unchanged,
    asset,
)
from videomoments_dagster.core.media_files import MediaResource
from videomoments_dagster.core.pools import TRANSCRIPTION
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources import (
    LanguageModelsResource,
    ObjectStoreResource,
    ScratchResource,
    TranscriptionResource,
)
from videomoments_dagster.core.run_tags import TRANSCRIPTION_TAG
from videomoments_dagster.moments.asset_resources import (
    ProfilesResource,
    SourceRegistryResource,
    check_models_before_work,
)
from videomoments_dagster.moments.checks import (
    speech_share_is_plausible,
    stored_transcript,
    word_times_are_in_order,
)
from videomoments_dagster.moments.identity import video_content
from videomoments_dagster.moments.metadata.materialisations import transcript_metadata
from videomoments_dagster.moments.page.page_store import page_link
from videomoments_dagster.moments.records import Source, Video
from videomoments_dagster.moments.storage.video_rows import CONTENT, TranscriptRows
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.sources.fetching import checked_local_path, fetch_source, named_as_given
from videomoments_dagster.sources.locations import SourceKind, kind_of, local_path_of
from videomoments_dagster.speech.captions import RULES, CaptionsEngine, captions_beside
from videomoments_dagster.speech.engine import TranscriptionEngine, TranscriptionRequest
from videomoments_dagster.speech.transcripts import Transcript

_CAPTIONS = "stored_captions"
"""Name, in what is remembered, of the version of the captions."""

_NO_FILE = f"{RULES}:"


class TranscriptConfig(MaterialisationConfig):
    """Run config of `transcript`."""

    engine: str = Field(
        default="",
        description="'faster-whisper' or 'captions'; without it the run tag "
        f"'{TRANSCRIPTION_TAG}', what the video was registered with, or the setting decides.",
    )
    language: str = Field(default="", description="ISO 639-1 code of the speech.")
    subtitle_track: int = Field(
        default=0,
        description="Number of the subtitle track to read, from 1 as players count them, if not "
        "the one that 'videomoments add --subtitle-track' named. Implies 'captions', unless an "
        "engine is named here.",
    )


@asset(
    MOMENTS,
    TranscriptRows(),
    code_version="1",
    kinds={"postgres", "python"},
    pool=TRANSCRIPTION,
    metadata=lambda stored, video: transcript_metadata(
        stored, duration_seconds=video.facts.duration_seconds
    ),
    checks=[word_times_are_in_order, speech_share_is_plausible],
    stored_check=stored_transcript,
    depends_on={"video": CONTENT},
    after_storing=page_link,
)
def transcript(
    context: dg.AssetExecutionContext,
    config: TranscriptConfig,
    video: Video,
    previous: Previous[Transcript],
    registry: SourceRegistryResource,
    transcription: TranscriptionResource,
    media: MediaResource,
    object_store: ObjectStoreResource,
    scratch: ScratchResource,
    profiles: ProfilesResource,
    language_models: LanguageModelsResource,
) -> Made[Transcript] | Unchanged:
    """What is said in the video, with the times of words and segments.

    Reads the stored video. Writes the row of 'transcripts'; transcribing again replaces it. A video
    without sound or speech has an empty transcript. If it fails, the message says which engine or
    model is missing and where to put it; no other engine is used in its place.
    """
    source = registry.source_of(video.identifier)
    engine = _engine(context, config, source, transcription)
    captions, gone, captions_version = None, None, None
    track = config.subtitle_track or (source.subtitle_track if source else None)
    if engine.name == CaptionsEngine.name and track:
        captions_version = f"{_NO_FILE}track {track}:"
    elif engine.name == CaptionsEngine.name:
        captions, gone = _caption_file(video, source, registry, scratch, object_store)
        keeps = previous.is_intact and not config.force
        captions_version = _captions_version(
            captions, kept=previous.details.get(_CAPTIONS) if keeps else None
        )
    if gone is not None and captions_version == _NO_FILE:
        raise gone
    if previous.is_made_from(
        inputs={"video": video_content(video), "captions": captions_version},
        settings={"engine": engine.name, "service": engine.service, **engine.settings},
    ):
        return UNCHANGED
    engine.check()
    check_models_before_work(context, registry, profiles, language_models)
    context.log.info("Transcribing with %s.", engine.service)
    with (
        progress_logged(context, "of the sound is transcribed") as progress,
        named_as_given(captions, source.captions if source else None),
    ):
        result = engine.transcribe(
            TranscriptionRequest(
                media=media.local_file(video.cloud_url),
                facts=video.facts,
                captions=captions,
                scratch=scratch.subfolder("transcript"),
                language=config.language or None,
                subtitle_track=track,
            ),
            progress=progress.share,
        )
    for note in result.notes:
        context.log.info("%s.", note)
    return Made(
        value=result,
        details={**_facts(result), _CAPTIONS: captions_version},
    )


def _engine(
    context: dg.AssetExecutionContext,
    config: TranscriptConfig,
    source: Source | None,
    transcription: TranscriptionResource,
) -> TranscriptionEngine:
    """Run config decides, else the run's tag, what the video was registered with, the setting."""
    tagged = context.run.tags.get(TRANSCRIPTION_TAG)
    implied = CaptionsEngine.name if config.subtitle_track else None
    registered = source.transcription_engine if source else None
    name = config.engine or implied or tagged or registered
    return transcription.engine(name, language=config.language or None)


def _facts(transcript: Transcript) -> dict[str, Any]:
    """What the UI shows of it."""
    return {
        "engine": transcript.transcription_service,
        "language": transcript.language,
        "words": len(transcript.words),
        "segments": len(transcript.segments),
        "processing_time_seconds": round(transcript.processing_time_seconds, 3),
        "notes": "; ".join(transcript.notes),
    }


def _captions_version(captions: Path | None, *, kept: str | None) -> str:
    """The rules that captions are read by, and the SHA-256 of their file if they have one.

    Args:
        captions: The file.
        kept: Version of those that the stored transcript was made from. If they had a file, it may
            be gone by now: the transcript still stands, by whatever rules it was read.
    """
    if captions is not None:
        return f"{_NO_FILE}{content_hash(captions)}"
    return kept if kept and not kept.endswith(":") else _NO_FILE


def _caption_file(
    video: Video,
    source: Source | None,
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
        beside = captions_beside(local_path_of(location, cwd=Path.cwd()))
        return beside and checked_local_path(str(beside), registry.fetch_limits()), None
    return None, None
