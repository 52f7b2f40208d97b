"""What the UI tells about `video`: its picture, what it is, and where it is."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.base.failures import VideoMomentsError
from videomoments_dagster.base.text import clock
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.small_pictures import small_picture
from videomoments_dagster.media.thumbnails import make_thumbnail
from videomoments_dagster.moments.metadata.links import browsable, link
from videomoments_dagster.moments.pictures.photographs import photograph
from videomoments_dagster.moments.records import Video
from videomoments_dagster.sources.locations import redact

PICTURES = "stored_pictures"
"""Name, in what is remembered of a result, of its frame as small and as larger picture."""

_FRAMES_LOOKED_AT = 2
_SECONDS_FOR_A_PICTURE = 5.0
_SMALL_SIDE, _SMALL_BYTES = 128, 620
_LARGE_SIDE, _LARGE_BYTES = 400, 9_000


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
            "small": small_picture(frame, side=_SMALL_SIDE, at_most_bytes=_SMALL_BYTES),
            "large": small_picture(frame, side=_LARGE_SIDE, at_most_bytes=_LARGE_BYTES),
        }
    except (VideoMomentsError, OSError):
        # The video is right without its picture, and `thumbnails` will say what is wrong.
        return {}
    return {size: b64encode(picture.content).decode() for size, picture in pictures.items()}


def video_metadata(video: Video, details: Mapping[str, Any]) -> dict[str, Any]:
    """The picture, the streams, and where the stored file is."""
    facts = video.facts
    told: dict[str, Any] = {}
    pictures = details.get(PICTURES) or {}
    for name, size in (("picture", "small"), ("picture_large", "large")):
        if size in pictures:
            words = f"A frame of the video, which is {clock(facts.duration_seconds)} long"
            told[name] = dg.MetadataValue.md(photograph(b64decode(pictures[size]), words=words))
    told |= {
        "duration": clock(facts.duration_seconds),
        "size_mib": round(facts.size_bytes / 1024**2, 2),
        "link": link(video.cloud_url),
    }
    if video.title:
        told["title"] = video.title
    if facts.video is not None:
        told |= {"width_pixels": facts.video.width, "height_pixels": facts.video.height}
        if facts.video.frame_rate:
            told["frames_per_second"] = round(facts.video.frame_rate, 3)
    if facts.audio is not None:
        told |= {
            "sound_channels": facts.audio.channels,
            "sound_samples_per_second": facts.audio.sample_rate,
        }
    source = redact(video.source_url or "")
    opened = browsable(source)
    if opened is not None:
        told["source_link"] = dg.MetadataValue.url(opened)
    return told
