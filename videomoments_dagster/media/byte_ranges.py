"""Which bytes of an MP4 some stretches of it need.

Belongs here: finding the index of an MP4 that is far away, and reading stretches off it. Does not
belong here: fetching the bytes (`object_store`), or cutting.

An MP4's index (`moov`, ISO/IEC 14496-12) says where each frame lies. With the index and a few
stretches in place, a sparse file of the right size serves for cutting as the whole would: nobody
reads the holes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from videomoments_dagster.media.container import open_packets, presented_origin
from videomoments_dagster.media.facts import MediaFacts

_HEADER = 16
_MOST_BOXES = 64
_LARGEST_INDEX_BYTES = 512 * 1024**2
_BEFORE_SECONDS = 4.0
"""Cutting and proving look at most this much before a clip, and from the keyframe before that."""
_AFTER_SECONDS = 4.0
_OPENING_SECONDS = 2.0
"""What opening a file decodes, to learn what the header does not say."""
_GAP_BYTES = 256 * 1024
"""Reading on over a gap is cheaper than another request."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes of a file, from `start` until before `end`."""

    start: int
    end: int


class NoIndex(Exception):
    """The file has no index that says where its frames lie; it has to be fetched as a whole."""


def index_ranges(read: Callable[[int, int], bytes], size: int) -> list[ByteRange]:
    """Find the parts of an MP4 that say what is in it: everything at its top but the data.

    Args:
        read: Reads bytes: where they start, and how many.
        size: Size of the file in bytes.

    Raises:
        NoIndex: It is no plain MP4, or its index is larger than 512 MiB.
    """
    found: list[ByteRange] = []
    kinds: set[bytes] = set()
    position = 0
    for _ in range(_MOST_BOXES):
        if position + 8 > size:
            break
        header = read(position, min(_HEADER, size - position))
        length, kind = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == _HEADER:
            length = struct.unpack_from(">Q", header, 8)[0]
        elif length == 0:
            length = size - position
        if length < 8 or position + length > size:  # noqa: PLR2004 - the smallest box
            raise NoIndex
        # Of the data, its header: a demuxer walks from box to box.
        shown = min(length, _HEADER) if kind == b"mdat" else length
        found.append(ByteRange(position, position + shown))
        kinds.add(kind)
        position += length
    whole = sum(one.end - one.start for one in found)
    if position != size or not {b"moov", b"mdat"} <= kinds or b"moof" in kinds:
        raise NoIndex
    if whole > _LARGEST_INDEX_BYTES:
        raise NoIndex
    return found


def stretch_ranges(
    path: Path, facts: MediaFacts, stretches: Iterable[tuple[float, float]]
) -> list[ByteRange]:
    """Find the bytes that cutting some stretches needs, the beginning of the file included.

    Args:
        path: A file of the right size whose index is in place.
        facts: The whole file's probe.
        stretches: Presented start and end of each, seconds.

    Raises:
        NoIndex: Its index names no frames.
    """
    origin = presented_origin(facts)
    wanted = [(origin - _BEFORE_SECONDS, origin + _OPENING_SECONDS)]
    wanted += [
        (origin + start - _BEFORE_SECONDS, origin + end + _AFTER_SECONDS)
        for start, end in stretches
    ]
    found: list[ByteRange] = []
    try:
        with open_packets(path, facts) as container:
            for stream in (facts.video, facts.audio):
                if stream is not None:
                    found += _of_stream(container.streams[stream.index], wanted)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise NoIndex from error
    return merged(found)


def _of_stream(stream: Any, wanted: Sequence[tuple[float, float]]) -> list[ByteRange]:
    tick = float(stream.time_base)
    # Half a million entries in two hours: as Python objects they would take 100 MB.
    entries = np.fromiter(
        ((one.timestamp, one.pos, one.size, one.is_keyframe) for one in stream.index_entries),
        dtype=[("time", "i8"), ("start", "i8"), ("size", "i8"), ("keyframe", "?")],
    )
    if entries.size == 0:
        raise NoIndex
    keyframes = np.flatnonzero(entries["keyframe"])
    found: list[ByteRange] = []
    for start, end in wanted:
        first = max(int(np.searchsorted(entries["time"], start / tick, side="right")) - 1, 0)
        before = int(np.searchsorted(keyframes, first, side="right")) - 1
        first = int(keyframes[before]) if before >= 0 else 0
        last = int(np.searchsorted(entries["time"], end / tick, side="right"))
        part = entries[first:last]
        found += merged(
            ByteRange(int(one["start"]), int(one["start"] + one["size"])) for one in part
        )
    return found


def merged(ranges: Iterable[ByteRange], *, gap: int = _GAP_BYTES) -> list[ByteRange]:
    """Put ranges in order, and take together those that touch or nearly do.

    Args:
        ranges: Ranges in any order; they may overlap.
        gap: Bytes between two ranges that are still taken together.
    """
    joined: list[ByteRange] = []
    for one in sorted(ranges, key=lambda one: one.start):
        if joined and one.start <= joined[-1].end + gap:
            joined[-1] = ByteRange(joined[-1].start, max(joined[-1].end, one.end))
        else:
            joined.append(one)
    return joined
