"""The frozen values that flow between assets.

Times are seconds as `float` on the *presented timeline* of the video: the first frame that a
player shows is 0, whatever the container's start time or edit list says.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from videomoments_dagster.media.facts import MediaFacts

OperationType = Literal["generation", "refinement"]
Record = TypeVar("Record")


def of_row(kind: type[Record], row: object, **more: Any) -> Record:
    """The value of a row whose columns are called as the value's fields are.

    Args:
        kind: The value's class, a dataclass.
        row: The row.
        **more: Fields that are no columns of the row, or not as they stand there.
    """
    names = (field.name for field in fields(kind) if field.name not in more)  # type: ignore[arg-type]
    return kind(**{name: getattr(row, name) for name in names}, **more)


@dataclass(frozen=True, slots=True)
class Video:
    """A stored video: the row of `videos` and what is known of its bytes.

    Attributes:
        identifier: The business identifier, which is the partition key.
        source_url: Where the bytes came from: a URL, or an absolute local path.
        cloud_url: Where the bytes are: `file://` or `gs://`.
        content_hash: SHA-256 of the bytes, 64 hexadecimal characters.
        facts: What probing found.
        title: Human-readable title, if any.
    """

    identifier: str
    source_url: str | None
    cloud_url: str
    content_hash: str
    facts: MediaFacts
    title: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedVideo:
    """A video that was fetched and probed but is not stored yet.

    Attributes:
        identifier: The business identifier.
        source_url: Where the bytes came from.
        path: Readable local file, in scratch or the source itself; never moved or changed.
        content_hash: SHA-256 of the bytes, 64 hexadecimal characters.
        facts: What probing found.
        title: Human-readable title, if any.
    """

    identifier: str
    source_url: str
    path: Path
    content_hash: str
    facts: MediaFacts
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """The two texts that a language model is given. Extractive engines record them unused."""

    user_prompt: str
    system_prompt: str


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """One row of `generation_configs`, without its links: what moments are made with.

    Attributes:
        prompt: The prompt texts.
        model: Name of the engine or language model, at most 100 characters.
        operation_type: "generation" for root moments, "refinement" for their refined children.
        temperature: Sampling temperature, 0.0 to 2.0, or None.
        top_p: Nucleus sampling mass, 0 to 1, or None.
        top_k: Number of candidate tokens, at least 1, or None.
        min_moment_length: Shortest moment in seconds, or None for no limit.
        max_moment_length: Longest moment in seconds, or None for no limit.
        min_moments: How many moments are wanted at least, where the material has them.
        max_moments: How many moments are kept at most, or None for no limit.
    """

    prompt: Prompt
    model: str
    operation_type: OperationType
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_moment_length: float | None = None
    max_moment_length: float | None = None
    min_moments: int | None = None
    max_moments: int | None = None


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    """How moments are scored, whoever found them.

    Attributes:
        prompt: The written criteria; extractive scoring records them unused.
        model: Name of the engine or language model, at most 100 characters.
        temperature: Sampling temperature, 0.0 to 2.0, or None.
        top_p: Nucleus sampling mass, 0 to 1, or None.
        top_k: Number of candidate tokens, at least 1, or None.
    """

    prompt: Prompt
    model: str
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None


@dataclass(frozen=True, slots=True)
class SelectedConfigs:
    """What the `generation_config` asset hands on: how moments are found, refined and scored.

    Attributes:
        profile: Name of the profile they came from.
        generation: For root moments.
        refinement: For refined moments.
        scoring: For both.
        max_shift_seconds: How far refinement may move a boundary, seconds.
    """

    profile: str
    generation: GenerationConfig
    refinement: GenerationConfig
    scoring: ScoringConfig
    max_shift_seconds: float


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of the video worth watching.

    Attributes:
        identifier: 16 hexadecimal characters, derived by `identity.moment_identifier`.
        start_time: Seconds of the presented timeline.
        end_time: Seconds of the presented timeline, after `start_time`.
        title: At most 500 characters.
        generation_model: Engine or model that found it.
        parent_identifier: Root moment that this one refines; None for a root moment.
        score: 0 (dull) to 10 (best), or None before scoring.
        scoring_model: Engine or model that scored it.
        scored_at: When it was scored, UTC without zone.
    """

    identifier: str
    start_time: float
    end_time: float
    title: str
    generation_model: str
    parent_identifier: str | None = None
    score: int | None = None
    scoring_model: str | None = None
    scored_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """All root moments, or all refined moments, of one video, in time order.

    Attributes:
        moments: The moments.
        why_fewer: Why there are none or fewer than `min_moments`; empty when there are enough.
    """

    moments: tuple[Moment, ...]
    why_fewer: str = ""


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A clip that was cut into scratch and proved, not stored yet.

    Attributes:
        moment_identifier: Root moment that it shows.
        path: MP4 file in scratch.
        start_time: Presented time in the source of the first presented frame, seconds.
        end_time: Presented time in the source where the clip ends, seconds.
        padding_left: Seconds of padding before the moment that the video had room for.
        padding_right: Seconds of padding after the moment that the video had room for.
        method: "copy" or "encode".
        facts: Probe of the finished clip.
        fingerprint: What determined these bytes; see `base.fingerprints.fingerprint`.
    """

    moment_identifier: str
    path: Path
    start_time: float
    end_time: float
    padding_left: float
    padding_right: float
    method: Literal["copy", "encode"]
    facts: MediaFacts
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ClipFailure:
    """A clip that could not be cut, and why."""

    moment_identifier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A stored clip: the row of `clips`.

    `method` is how it was cut, "copy" or "encode"; empty where that is not known.
    """

    moment_identifier: str
    cloud_url: str
    start_time: float
    end_time: float
    padding_left: float
    padding_right: float
    file_size_kb: int | None
    format: str | None
    video_codec: str | None
    audio_codec: str | None
    resolution: str | None
    fingerprint: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class Clips:
    """All stored clips of one video, in time order."""

    clips: tuple[Clip, ...]


@dataclass(frozen=True, slots=True)
class CutClips:
    """What the `clips` asset hands to its IO manager.

    Attributes:
        kept: Stored clips that are still right.
        cut: Newly cut files to store, replacing whatever clip their moment had.
        failures: Clips that could not be cut.
    """

    kept: tuple[Clip, ...]
    cut: tuple[ClipFile, ...]
    failures: tuple[ClipFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class ThumbnailFile:
    """A thumbnail in scratch, not stored yet.

    Attributes:
        clip_of_moment: Root moment whose clip it shows; None for the video's own thumbnail.
        path: JPEG file in scratch.
        fingerprint: What determined these bytes.
        time_seconds: Presented time of the chosen frame in the file it was taken from.
    """

    clip_of_moment: str | None
    path: Path
    fingerprint: str
    time_seconds: float


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A stored thumbnail: the row of `thumbnails`."""

    clip_of_moment: str | None
    cloud_url: str
    file_size_kb: int | None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """All stored thumbnails of one video: its own first, then its clips' in time order."""

    thumbnails: tuple[Thumbnail, ...]


@dataclass(frozen=True, slots=True)
class ThumbnailFailure:
    """A thumbnail that could not be made.

    Attributes:
        clip_of_moment: Root moment of the clip that it would show; None for the video's own.
        reason: One sentence for the run's log.
    """

    clip_of_moment: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class MadeThumbnails:
    """What the `thumbnails` asset hands to its IO manager.

    Attributes:
        kept: Stored thumbnails that are still right.
        made: New files to store, replacing whatever their video or clip had.
        failures: Those that could not be made.
    """

    kept: tuple[Thumbnail, ...]
    made: tuple[ThumbnailFile, ...]
    failures: tuple[ThumbnailFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a registered partition's bytes come from.

    Attributes:
        identifier: The partition key.
        location: Absolute local path, `http(s)://`, `gs://`, or a page that yt-dlp understands.
        title: Title to store with the video, if given.
        captions: Absolute path or URL of a caption file, if given.
        transcription_engine: Engine to use for this video, if it differs from the settings.
        profile: Generation profile for this video, if it differs from the default.
        audio_track: Number of the sound track to work on, from 1, if somebody chose one.
        subtitle_track: Number of the subtitle track to read, from 1, if somebody chose one.
    """

    identifier: str
    location: str
    title: str | None = None
    captions: str | None = None
    transcription_engine: str | None = None
    profile: str | None = None
    audio_track: int | None = None
    subtitle_track: int | None = None

    @property
    def has_captions(self) -> bool:
        """Whether its words come from captions, so that its sound need not be understood."""
        return self.captions is not None or self.transcription_engine == "captions"
