"""The `video` asset: bytes from a source, probed and stored."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.base.text import clock
from videomoments_dagster.core.asset import (
    UNCHANGED,
    Made,
    MaterialisationConfig,
    Previous,
    Unchanged,
    asset,
)
from videomoments_dagster.core.media_files import MediaResource
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources import (
    LanguageModelsResource,
    ObjectStoreResource,
    ScratchResource,
)
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.tracks import named_track
from videomoments_dagster.moments.asset_resources import (
    ProfilesResource,
    SourceRegistryResource,
    check_models_before_work,
)
from videomoments_dagster.moments.checks import stored_video
from videomoments_dagster.moments.identity import video_version
from videomoments_dagster.moments.metadata.materialisations import (
    PICTURES,
    frame_pictures,
    video_metadata,
)
from videomoments_dagster.moments.page.page_store import page_link
from videomoments_dagster.moments.records import FetchedVideo, Source, Video
from videomoments_dagster.moments.storage.video_rows import VideoRows
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.sources.fetching import (
    LocalSource,
    checked_local_path,
    fetch_source,
    named_as_given,
)
from videomoments_dagster.sources.limits import FetchLimits
from videomoments_dagster.sources.locations import (
    SourceKind,
    kind_of,
    normalise_location,
    redact,
    source_fingerprint,
)

_STATE = "stored_source_state"
"""Name, in what is remembered, of the state of a local source: its size and time of change."""


class VideoConfig(MaterialisationConfig):
    """Run config of `video`."""

    source: str = Field(
        default="",
        description="Local path, http(s):// or gs:// URL; needed only for a partition that was "
        "not registered with 'videomoments add'. Dagster shows run config to everybody who may see "
        "runs: an address with a password or token is better registered.",
    )
    title: str = Field(default="", description="Title to store with the video.")
    audio_track: int = Field(
        default=0,
        description="Number of the sound track to work on, from 1 as players count them, if not "
        "the one that 'videomoments add --audio-track' named. Without either, the first default "
        "one with anything to hear.",
    )
    max_source_gib: float | None = Field(
        default=None, description="Largest download in GiB, if not the installation's."
    )


@asset(
    MOMENTS,
    VideoRows(),
    code_version="1",
    kinds={"ffmpeg", "postgres", "storage"},
    metadata=video_metadata,
    stored_check=stored_video,
    after_storing=page_link,
)
def video(
    context: dg.AssetExecutionContext,
    config: VideoConfig,
    previous: Previous[Video],
    registry: SourceRegistryResource,
    object_store: ObjectStoreResource,
    media: MediaResource,
    scratch: ScratchResource,
    profiles: ProfilesResource,
    language_models: LanguageModelsResource,
) -> Made[FetchedVideo] | Unchanged:
    """The source file, probed and kept.

    Reads the registered source: a local path, an 'http(s)://' or 'gs://' URL, or a page that yt-dlp
    understands. Writes the file to the object store under a key with its SHA-256, and a row of
    'videos'. If it fails, the message says what is wrong with the source; a source that cannot be
    read just now is tried again.
    """
    identifier = context.partition_key
    source = _source(identifier, config, registry.source_of(identifier))
    is_local = kind_of(source.location) is SourceKind.LOCAL
    # A local source may be gone by now; what was stored from it still stands.
    state = source_fingerprint(source.location) or (
        previous.details.get(_STATE) if previous.is_intact else None
    )
    inputs = {"source": source.location, "state": state, "title": source.title}
    if source.audio_track:
        inputs["audio_track"] = str(source.audio_track)
    kept = previous.value if previous.is_made_from(inputs=inputs) else None
    if kept is not None and kept.facts.origin_seconds == kept.facts.earliest_seconds:
        return UNCHANGED
    check_models_before_work(context, registry, profiles, language_models)
    limits = registry.fetch_limits(max_download_gib=config.max_source_gib)
    fetched, facts = (
        _on_its_timeline(kept, media, sound_track=source.audio_track)
        if kept is not None
        else _read(context, source, limits, object_store, scratch)
    )
    title = source.title or fetched.suggested_title
    result = FetchedVideo(
        identifier, source.location, fetched.path, fetched.content_hash, facts, title
    )
    return Made(
        value=result,
        data_version=video_version(result),
        details={
            **_shown_facts(facts),
            "source": redact(source.location),
            "content_hash": result.content_hash,
            # Of anything else it is the location, with its credentials.
            _STATE: state if is_local else None,
            PICTURES: frame_pictures(fetched.path, facts, folder=scratch.subfolder("source")),
        },
    )


def _on_its_timeline(
    kept: Video, media: MediaResource, *, sound_track: int | None
) -> tuple[LocalSource, MediaFacts]:
    """What is stored, probed again: its first picture was taken for 0, and sound comes earlier.

    The source may be gone by now.
    """
    path = media.local_file(kept.cloud_url)
    sound_needed = not kept.facts.has_unknown_sound
    facts = probe(path, sound_needed=sound_needed, sound_track=sound_track)
    location = kept.source_url or ""
    return LocalSource(path, location, kept.content_hash, facts.size_bytes, kept.title), facts


def _read(
    context: dg.AssetExecutionContext,
    source: Source,
    limits: FetchLimits,
    object_store: ObjectStoreResource,
    scratch: ScratchResource,
) -> tuple[LocalSource, MediaFacts]:
    """Fetch the source, and find out what it holds."""
    context.log.info("Reading %s.", redact(source.location))
    if kind_of(source.location) is SourceKind.LOCAL:
        # Hashing a large file that turns out to be no video would be time lost.
        path = checked_local_path(source.location, limits)
        probe(path, sound_needed=not source.has_captions, sound_track=source.audio_track)
    with progress_logged(context, "of the source are read") as progress:
        fetched = fetch_source(
            source.location,
            scratch=scratch.subfolder("source"),
            gcs_client=object_store.client,
            progress=progress.of_bytes,
            limits=limits,
        )
    with named_as_given(fetched.path, source.location):
        facts = probe(
            fetched.path, sound_needed=not source.has_captions, sound_track=source.audio_track
        )
    for word in oddities(facts):
        context.log.warning("%s.", word)
    return fetched, facts


def _shown_facts(facts: MediaFacts) -> dict[str, Any]:
    return {
        "duration_seconds": facts.duration_seconds,
        "size_bytes": facts.size_bytes,
        "resolution": facts.video.resolution if facts.video else None,
        "video_codec": facts.video.codec if facts.video else None,
        "audio_codec": facts.audio.codec if facts.audio else None,
        "notes": "; ".join(oddities(facts)) or None,
    }


def oddities(facts: MediaFacts) -> list[str]:
    """What is not as the file's header says, or is left aside, each in a sentence."""
    words = []
    if facts.claimed_seconds is not None:
        words.append(
            f"Its header says that it is {clock(facts.claimed_seconds)} long, and it holds "
            f"{clock(facts.duration_seconds)}, which is what counts"
        )
    if facts.has_unknown_sound:
        words.append(
            "Its sound is in a codec that is not supported: the words come from its captions, and "
            "its clips are silent"
        )
    if facts.audio is not None and len(facts.sound_tracks) > 1:
        remarks = dict.fromkeys(facts.silent_streams, ("silent",))
        named = {
            one.index: named_track(one, *remarks.get(one.index, ())) for one in facts.sound_tracks
        }
        taken = named.pop(facts.audio.index)
        words.append(f"Its sound is {taken}; there is also {', '.join(named.values())}")
    return words


def _source(identifier: str, config: VideoConfig, registered: Source | None) -> Source:
    """The source of a partition: run config first, else what was registered.

    Raises:
        SourceRejected: If there is neither.
    """
    audio_track = config.audio_track or (registered.audio_track if registered else None)
    if config.source:
        return Source(
            identifier=identifier,
            location=normalise_location(config.source, cwd=Path.cwd()),
            title=config.title or (registered.title if registered else None),
            audio_track=audio_track,
        )
    if registered is None:
        raise SourceRejected(
            "no source is registered for this partition",
            remedy=f"Run `videomoments add SOURCE --identifier {identifier}`, or give `source` "
            "in the run config of `video`",
        )
    return replace(registered, audio_track=audio_track)
