"""Opening media files in this process, through PyAV.

Belongs here: the one way in which files from outside are opened for demuxing and decoding.
Does not belong here: what is read from them; ffmpeg processes (`ffmpeg`).
"""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer

from videomoments_dagster.media.ffmpeg import input_options, safe_input
from videomoments_dagster.media.memory import return_large_blocks
from videomoments_dagster.records import MediaFacts

_IO_TIMEOUT_SECONDS = 60.0
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg's name for MP4 and its relatives."""


def open_media(path: Path, source: MediaFacts | str | None = None) -> InputContainer:
    """Open a local media file with the whitelists that every input carries.

    Args:
        path: The file.
        source: The file's facts or demuxer name, or None before probing.

    Raises:
        av.error.FFmpegError: It is no media file, or one of a kind that is not allowed.
        OSError: It cannot be read.
    """
    return_large_blocks()
    return av.open(
        safe_input(path),
        mode="r",
        container_options=input_options(source),
        metadata_errors="replace",
        timeout=_IO_TIMEOUT_SECONDS,
    )


def open_packets(path: Path, source: MediaFacts) -> InputContainer:
    """Open a media file to read its packets only, not to decode them.

    FFmpeg decodes the first pictures of whatever it opens, to learn what its header may not say.
    An MP4's header says all that packets need, and its opening is three times as fast without.

    Args:
        path: The file.
        source: Its facts.

    Raises:
        av.error.FFmpegError: It is no media file, or one of a kind that is not allowed.
        OSError: It cannot be read.
    """
    if source.container != MP4:
        return open_media(path, source)
    return_large_blocks()
    return av.open(
        safe_input(path),
        mode="r",
        container_options={**input_options(source), "probesize": "32"},
        metadata_errors="replace",
        timeout=_IO_TIMEOUT_SECONDS,
    )


def presented_origin(facts: MediaFacts) -> float:
    """Container time in seconds that is 0 on the presented timeline."""
    if facts.video is not None:
        return facts.video.start_seconds
    return facts.audio.start_seconds if facts.audio is not None else 0.0
