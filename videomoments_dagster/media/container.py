"""Opening media files in this process, through PyAV.

Belongs here: the one way in which files from outside are opened for demuxing and decoding.
Does not belong here: what is read from them; ffmpeg processes (`ffmpeg`).
"""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer

from videomoments_dagster.media.ffmpeg import input_options, safe_input
from videomoments_dagster.records import MediaFacts

_IO_TIMEOUT_SECONDS = 60.0


def open_media(path: Path, source: MediaFacts | str | None = None) -> InputContainer:
    """Open a local media file with the whitelists that every input carries.

    Args:
        path: The file.
        source: The file's facts or demuxer name, or None before probing.

    Raises:
        av.error.FFmpegError: It is no media file, or one of a kind that is not allowed.
        OSError: It cannot be read.
    """
    return av.open(
        safe_input(path),
        mode="r",
        container_options=input_options(source),
        metadata_errors="replace",
        timeout=_IO_TIMEOUT_SECONDS,
    )


def presented_origin(facts: MediaFacts) -> float:
    """Container time in seconds that is 0 on the presented timeline."""
    if facts.video is not None:
        return facts.video.start_seconds
    return facts.audio.start_seconds if facts.audio is not None else 0.0
