"""Opening media files in this process, through PyAV, and reading packets that may be broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.ffmpeg import decoder_options, demuxer_options, safe_input

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg's name for MP4 and its relatives."""
_DESCRIBED_BY_MP4 = frozenset({"h264", "hevc", "aac"})
"""Codecs of which an MP4's header says all that decoding takes."""
UNREADABLE = (av.error.FFmpegError, OSError)
"""What PyAV raises of a file that is none of its kind, is broken, or cannot be read."""
_STRAY_SECONDS = 60.0
"""Presentation and decoding time of a real packet are never this far apart."""


def open_media(path: Path, facts: MediaFacts | None = None, **options: str) -> InputContainer:
    """Open a local media file with the whitelists that every input carries.

    Args:
        path: The file.
        facts: Its facts, or None before probing.
        options: FFmpeg's further options for its container.

    Raises:
        av.error.FFmpegError: It is no media file, or one of a kind that is not allowed.
        OSError: It cannot be read.
    """
    limits = decoder_options()
    container = av.open(
        safe_input(path),
        mode="r",
        # For the decoders that FFmpeg opens by itself, to learn what the header does not say.
        options=limits,
        container_options=demuxer_options(facts) | options,
        metadata_errors="replace",
        timeout=60.0,
    )
    for stream in container.streams.video:
        if stream.codec_context:
            stream.codec_context.options = limits
    return container


def picture_sizes(path: Path) -> list[tuple[int, int]]:
    """Width and height of each picture stream as the header has them, without any decoder.

    Raises:
        av.error.FFmpegError: It is no media file, or one of a kind that is not allowed.
        OSError: It cannot be read.
    """
    with av.open(
        safe_input(path),
        mode="r",
        options={"codec_whitelist": "none"},
        container_options=demuxer_options(),
        metadata_errors="replace",
        timeout=60.0,
    ) as container:
        return [(stream.width, stream.height) for stream in container.streams.video]


def open_packets(path: Path, facts: MediaFacts) -> InputContainer:
    """Open a media file to read its packets only, not to decode them.

    FFmpeg decodes the first pictures of whatever it opens, to learn what its header may not say.
    An MP4's header says all that packets need, and its opening is three times as fast without.

    Raises:
        av.error.FFmpegError: It is no media file, or one of a kind that is not allowed.
        OSError: It cannot be read.
    """
    return open_media(path, facts, **({"probesize": "32"} if facts.container == MP4 else {}))


class MediaFile(AbstractContextManager["MediaFile"]):
    """A media file that is looked at several times, until the end of the block.

    The index of a long video takes longer to read than a clip of it. An MP4 is therefore opened
    once and taken back to its start between looks. Other containers, some of which cannot seek,
    are opened anew for each look. For use by one thread, one look at a time.
    """

    def __init__(self, path: Path, facts: MediaFacts, *, threads: int = 1) -> None:
        """Prepare to look at a file.

        Args:
            path: The file.
            facts: Its probe.
            threads: Threads of each picture decoder.
        """
        self.path = path
        self.facts = facts
        self.threads = threads
        self._kept: InputContainer | None = None

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._kept is not None:
            self._kept.close()

    @contextmanager
    def packets(self) -> Iterator[InputContainer]:
        """Look at the file from its start, to read its packets.

        Raises:
            av.error.FFmpegError: It is no media file, or one of a kind that is not allowed.
            OSError: It cannot be read.
        """
        if self.facts.container != MP4:
            with open_media(self.path, self.facts) as container:
                yield container
            return
        if self._kept is None:
            self._kept = open_packets(self.path, self.facts)
            decode_with(self._kept, self.threads)
        else:
            self._kept.seek(-(2**62))  # before everything
        yield self._kept

    @contextmanager
    def decoding(self, codec: str) -> Iterator[InputContainer]:
        """Look at the file from its start, to decode a stream of that codec.

        Raises:
            av.error.FFmpegError: It is no media file, or one of a kind that is not allowed.
            OSError: It cannot be read.
        """
        if codec in _DESCRIBED_BY_MP4:
            with self.packets() as container:
                yield container
            return
        with open_media(self.path, self.facts) as container:
            decode_with(container, self.threads)
            yield container


def decode_with(container: InputContainer, threads: int) -> None:
    """Let the picture decoders of a container use that many threads."""
    for stream in container.streams.video:
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = threads


def seek_near(container: InputContainer, stream: Any, seconds: float) -> bool:
    """Go to the keyframe before a container time in seconds.

    Returns:
        Whether there is one; else the container is at its start.
    """
    # A file is at its start when it is opened; some containers cannot seek at all.
    begins = min(0.0, (container.start_time or 0) / float(av.time_base))
    if seconds > begins:
        try:
            container.seek(int(seconds / stream.time_base), stream=stream)
        except PermissionError:
            # The number -1 from FFmpeg, which has read on meanwhile in search of a keyframe.
            container.seek(0, stream=stream, any_frame=True)
            return False
    return True


def frames_of(packet: Any) -> list[Any]:
    """Decode a packet; nothing where it is broken."""
    try:
        return list(packet.decode())
    except (av.error.FFmpegError, ValueError):
        return []


def time_of(frame: Any, stream: Any) -> float:
    """Container time in seconds at which a decoded frame appears."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    return float((stamp or 0) * (frame.time_base or stream.time_base))


def is_stray(packet: Any, tick: float) -> bool:
    """Tell whether a packet or frame has a presentation time that cannot be meant."""
    if packet.pts is None or packet.dts is None:
        return False
    return bool(abs(packet.pts - packet.dts) * tick > _STRAY_SECONDS)
