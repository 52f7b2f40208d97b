"""Data versions: content hashes of the values that assets make.

Belongs here: one pure function per kind of value, from what a reader would call its content to
a digest. What varies without meaning (how long an engine took, when a score was given) stays
out. Does not belong here: fingerprints of what a value is made *from* (`identity.fingerprint`).
"""

from __future__ import annotations

from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.moments.identity import config_hash, prompt_hash
from videomoments_dagster.moments.records import (
    Clips,
    FetchedVideo,
    Moments,
    ScoringConfig,
    SelectedConfigs,
    Thumbnails,
    Video,
)
from videomoments_dagster.speech.transcript import Transcript


def video_version(video: Video | FetchedVideo) -> str:
    """Over the bytes, the title and where they came from."""
    return digest([video.content_hash, video.title, video.source_url])


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
    return digest(
        [
            prompt_hash(scoring.prompt),
            scoring.model,
            scoring.temperature,
            scoring.top_p,
            scoring.top_k,
        ]
    )


def moments_version(moments: Moments) -> str:
    """Over identifiers, which stand for the times, and over parents, titles and scores."""
    return digest(
        [
            [
                moment.identifier,
                moment.parent_identifier,
                moment.title,
                moment.score,
                moment.scoring_model,
            ]
            for moment in sorted(moments.moments, key=lambda moment: moment.identifier)
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
