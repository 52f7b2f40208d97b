"""Opening media files in this process, through PyAV.

Belongs here: the one way in which files from outside are opened for demuxing and decoding.
Does not belong here: what is read from them; ffmpeg processes (`ffmpeg`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.container import InputContainer

from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.ffmpeg import input_options, safe_input

_IO_TIMEOUT_SECONDS = 60.0
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg's name for MP4 and its relatives."""
_DESCRIBED_BY_MP4 = frozenset({"h264", "hevc", "aac"})
"""Codecs of which an MP4's header says all that decoding takes."""
_BEFORE_EVERYTHING = -(2**62)


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
    return av.open(
        safe_input(path),
        mode="r",
        container_options={**input_options(source), "probesize": "32"},
        metadata_errors="replace",
        timeout=_IO_TIMEOUT_SECONDS,
    )


class MediaFile:
    """A media file that is looked at several times.

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
        self._threads = threads
        self._kept: InputContainer | None = None

    def __enter__(self) -> Self:
        """Give the file itself; it is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close what is open; looking again opens it again."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

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
            for stream in self._kept.streams.video:
                _decode_with(stream, self._threads)
        else:
            self._kept.seek(_BEFORE_EVERYTHING)
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
            for stream in container.streams.video:
                _decode_with(stream, self._threads)
            yield container


def _decode_with(stream: Any, threads: int) -> None:
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.thread_count = threads


def presented_origin(facts: MediaFacts) -> float:
    """Container time in seconds that is 0 on the presented timeline."""
    if facts.video is not None:
        return facts.video.start_seconds
    return facts.audio.start_seconds if facts.audio is not None else 0.0
