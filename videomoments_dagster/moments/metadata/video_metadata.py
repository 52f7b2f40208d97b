"""What the UI shows of `video` and `transcript`: a frame, the streams, and how much is said."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.base.failures import VideoMomentsError
from videomoments_dagster.base.text import clock
from videomoments_dagster.core.metadata_values import browsable, link, markdown_text
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.frame_pictures import make_thumbnail
from videomoments_dagster.media.stills import small_picture
from videomoments_dagster.moments.metadata.pictures import INLINE_CHARACTERS, photograph
from videomoments_dagster.moments.records import Video
from videomoments_dagster.sources.locations import redact
from videomoments_dagster.speech.transcripts import Transcript, spoken_seconds, spoken_stretches

PICTURES = "stored_pictures"
"""Name, in what is remembered of a result, of its frame as small and as larger picture."""

_FRAMES_LOOKED_AT = 2
_SECONDS_FOR_A_PICTURE = 5.0
# Longest side in pixels, and most bytes.
_SIZES = {"small": (128, 620), "large": (400, 9_000)}
_LONGEST_LINE = 160
_MOST_LINES = 12


def frame_pictures(path: Path, facts: MediaFacts, *, folder: Path) -> dict[str, str]:
    """A frame of the video, small enough to be remembered with it.

    Args:
        path: The video's file.
        facts: Its probe.
        folder: Where a temporary file may be put.

    Returns:
        WebP as base64 by "small" and "large"; nothing for a video that has or yields no picture.
    """
    if facts.video is None:
        return {}
    try:
        frame = make_thumbnail(
            path,
            facts,
            start_time=0.0,
            end_time=facts.duration_seconds,
            destination=folder / "frame.jpg",
            samples=_FRAMES_LOOKED_AT,
            timeout_seconds=_SECONDS_FOR_A_PICTURE,
        ).path
        pictures = {
            size: small_picture(frame, side=side, at_most_bytes=most)
            for size, (side, most) in _SIZES.items()
        }
    except (VideoMomentsError, OSError):
        # The video is right without its picture, and `thumbnails` will say what is wrong.
        return {}
    return {size: b64encode(picture.content).decode() for size, picture in pictures.items()}


def video_metadata(video: Video, details: Mapping[str, Any]) -> dict[str, Any]:
    """The picture, the streams, and where the stored file is."""
    facts = video.facts
    words = f"A frame of the video, which is {clock(facts.duration_seconds)} long"
    pictures = details.get(PICTURES) or {}
    shown: dict[str, Any] = {
        name: dg.MetadataValue.md(photograph(pictures[size], words=words))
        for name, size in (("picture", "small"), ("picture_large", "large"))
        if size in pictures
    }
    shown |= {
        "duration": clock(facts.duration_seconds),
        "size_mib": round(facts.size_bytes / 1024**2, 2),
        "link": link(video.cloud_url),
    }
    if video.title:
        shown["title"] = video.title
    if facts.video is not None:
        shown |= {"width_pixels": facts.video.width, "height_pixels": facts.video.height}
        if facts.video.frame_rate:
            shown["frames_per_second"] = round(facts.video.frame_rate, 3)
    if facts.audio is not None:
        shown |= {
            "sound_channels": facts.audio.channels,
            "sound_samples_per_second": facts.audio.sample_rate,
        }
    opened = browsable(redact(video.source_url or ""))
    if opened is not None:
        shown["source_link"] = dg.MetadataValue.url(opened)
    return shown


def transcript_metadata(transcript: Transcript, *, duration_seconds: float) -> dict[str, Any]:
    """Speech in seconds, as a share and by the minute, and the first lines.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    spoken = spoken_seconds(spoken_stretches(transcript.words, duration_seconds=duration_seconds))
    shown: dict[str, Any] = {
        "speech_seconds": round(spoken, 3),
        "speech_share": round(spoken / duration_seconds, 4) if duration_seconds > 0 else 0.0,
    }
    if spoken > 0:
        shown["words_per_minute_of_speech"] = round(len(transcript.words) / spoken * 60, 1)
    if transcript.segments:
        shown["first_lines"] = dg.MetadataValue.md(_first_lines(transcript))
    return shown


def _first_lines(transcript: Transcript) -> str:
    lines: list[str] = []
    for segment in transcript.segments[:_MOST_LINES]:
        text = markdown_text(segment.text, longest=_LONGEST_LINE)
        line = f"**{clock(segment.start)}** {text}"
        if len("  \n".join([*lines, line])) > INLINE_CHARACTERS:
            break
        lines.append(line)
    return "  \n".join(lines)
