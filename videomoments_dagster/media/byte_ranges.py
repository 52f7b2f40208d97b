"""Which bytes of an MP4 that is far away some stretches of it need.

An MP4's index (`moov`, ISO/IEC 14496-12) says where each frame lies. With the index and a few
stretches in place, a sparse file of the right size serves for cutting as the whole would: nobody
reads the holes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videomoments_dagster.media.boxes import WIDE_HEADER_BYTES, Reader, UnsuitableMp4, filling, walk
from videomoments_dagster.media.container import UNREADABLE, open_packets
from videomoments_dagster.media.facts import MediaFacts

_LARGEST_INDEX_BYTES = 512 * 1024**2
_AROUND_SECONDS = 4.0
"""Cutting and proving look at most this much around a clip, and from the keyframe before that."""
_GAP_BYTES = 256 * 1024
"""Reading on over a gap is cheaper than another request."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes of a file, from `start` until before `end`."""

    start: int
    end: int


class NoIndex(Exception):
    """The file has no index that says where its frames lie; it has to be fetched as a whole."""


def index_ranges(read: Reader, size: int) -> list[ByteRange]:
    """Find the parts of an MP4 that say what is in it: everything at its top but the data.

    Args:
        read: Reads bytes of the file.
        size: Size of the file in bytes.

    Raises:
        NoIndex: It is no plain MP4, or its index is larger than 512 MiB.
    """
    try:
        boxes = filling(walk(read, size, most=64), size)
    except UnsuitableMp4 as error:
        raise NoIndex from error
    # Of the data, its header: a demuxer walks from box to box.
    found = [
        ByteRange(box.start, min(box.end, box.start + WIDE_HEADER_BYTES))
        if box.kind == b"mdat"
        else ByteRange(box.start, box.end)
        for box in boxes
    ]
    kinds = {box.kind for box in boxes}
    if not {b"moov", b"mdat"} <= kinds or b"moof" in kinds:
        raise NoIndex
    if sum(one.end - one.start for one in found) > _LARGEST_INDEX_BYTES:
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
    origin = facts.origin_seconds
    # Opening a file decodes its beginning, to learn what the header does not say; and before the
    # first picture, that one is shown.
    beginnings = [(one.start_seconds, one.start_seconds) for one in facts.streams]
    inside = [(origin + start, origin + end) for start, end in stretches]
    wanted = [
        (start - _AROUND_SECONDS, end + _AROUND_SECONDS) for start, end in beginnings + inside
    ]
    found: list[ByteRange] = []
    try:
        with open_packets(path, facts) as container:
            for stream in facts.streams:
                found += _of_stream(container.streams[stream.index], wanted)
    except (*UNREADABLE, IndexError) as error:
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
