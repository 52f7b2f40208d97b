"""What makes two things the same: hashes, derived identifiers, and data versions of values.

What varies without meaning (how long an engine took, when a score was given) stays out.

All digests are SHA-256 (FIPS 180-4) over one canonical serialisation: the JSON text of a list,
with sorted keys, no spaces, and non-ASCII characters as UTF-8. JSON quotes and separates its
items, so that `["ab", "c"]` and `["a", "bc"]` cannot meet. Numbers that are equal serialise
equally: 90 and 90.0 are both `90.0` wherever a field is a float.
"""

from __future__ import annotations

from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.moments.records import (
    Clips,
    FetchedVideo,
    GenerationConfig,
    Moments,
    Prompt,
    ScoringConfig,
    SelectedConfigs,
    Thumbnails,
    Video,
)
from videomoments_dagster.speech.transcripts import Transcript


def prompt_hash(prompt: Prompt) -> str:
    """Identity of a prompt: over `[user_prompt, system_prompt]`, 64 hexadecimal characters."""
    return digest([prompt.user_prompt, prompt.system_prompt])


def config_hash(config: GenerationConfig) -> str:
    """Identity of a generation config, 64 hexadecimal characters.

    Over the documented fields in the documented order: prompt, model, operation_type,
    temperature, top_p, top_k, min_moment_length, max_moment_length, min_moments, max_moments;
    without `transcript_id`, so that one config serves many videos. The prompt enters by its
    `prompt_hash` instead of its `prompt_id`: the two name the same row one to one, and the hash
    does not depend on the order in which a database happened to see its prompts.
    """
    return digest(
        [
            prompt_hash(config.prompt),
            config.model,
            config.operation_type,
            _float(config.temperature),
            _float(config.top_p),
            config.top_k,
            _float(config.min_moment_length),
            _float(config.max_moment_length),
            config.min_moments,
            config.max_moments,
        ]
    )


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def moment_identifier(
    *,
    video: str,
    config: GenerationConfig,
    start_time: float,
    end_time: float,
    parent: str | None = None,
) -> str:
    """Identifier of a moment: the first 16 hexadecimal characters of a SHA-256.

    Args:
        video: Identifier of the video.
        config: The config that the moment was made with.
        start_time: Seconds of the presented timeline; enters in whole milliseconds.
        end_time: Likewise.
        parent: Identifier of the root moment, for a refined one.
    """
    return digest(
        [video, config_hash(config), parent, round(start_time * 1000), round(end_time * 1000)]
    )[:16]


def video_content(video: Video | FetchedVideo) -> str:
    """What is seen and heard, and when: the hash of the bytes.

    With the sound that somebody chose; and with the time of the first picture where sound comes
    earlier: what was made of such a video while its first picture was 0 is out of step with it.
    """
    start, sound = video.facts.pictures_start, video.facts.audio
    chosen = [sound.index] if sound is not None and video.facts.sound_is_chosen else []
    if start > 0 or chosen:
        return digest([video.content_hash, start, *chosen])
    return video.content_hash


def video_version(video: Video | FetchedVideo) -> str:
    """Over the content, the title and where the bytes came from."""
    return digest([video_content(video), video.title, video.source_url])


def transcript_version(transcript: Transcript) -> str:
    """Over the words, segments, language and service."""
    return digest(
        [
            [[word.text, word.start, word.end] for word in transcript.words],
            [[segment.text, segment.start, segment.end] for segment in transcript.segments],
            transcript.language,
            transcript.transcription_service,
        ]
    )


def configs_version(configs: SelectedConfigs) -> str:
    """Over the three configs, the profile's name and the shift that refinement may use."""
    return digest(
        [
            configs.profile,
            config_hash(configs.generation),
            config_hash(configs.refinement),
            scoring_version(configs.scoring),
            configs.max_shift_seconds,
        ]
    )


def scoring_version(scoring: ScoringConfig) -> str:
    """Over the criteria, the model and its sampling."""
    sampling = [scoring.temperature, scoring.top_p, scoring.top_k]
    return digest([prompt_hash(scoring.prompt), scoring.model, *sampling])


def moments_version(moments: Moments) -> str:
    """Over identifiers, which stand for the times, and over parents, titles and scores."""
    ordered = sorted(moments.moments, key=lambda one: one.identifier)
    return digest(
        [
            [one.identifier, one.parent_identifier, one.title, one.score, one.scoring_model]
            for one in ordered
        ]
    )


def clips_version(clips: Clips) -> str:
    """Over the addresses of the objects, which contain their bytes' hashes."""
    return digest(sorted([clip.moment_identifier, clip.cloud_url] for clip in clips.clips))


def thumbnails_version(thumbnails: Thumbnails) -> str:
    """Likewise."""
    return digest(
        sorted([thumb.clip_of_moment or "", thumb.cloud_url] for thumb in thumbnails.thumbnails)
    )
