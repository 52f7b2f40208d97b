"""Finding where the clock of a recording jumps.

Transport and program streams carry the clock of a sender. It starts anew when that does, or goes on
after hours in which nothing was recorded, and files of several senders are put behind one another.
By such a clock, twenty seconds are eleven hours long.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from av.container import InputContainer

from videomoments_dagster.media.container import is_stray, open_media
from videomoments_dagster.media.facts import MediaFacts

_CLOCKS_OF_SENDERS = frozenset({"mpegts", "mpeg"})
_FORWARD_SECONDS = 30.0
_BACK_SECONDS = 1.0
_SAMPLES = 64
_READ_WHOLE_BYTES = 32 * 2**20
_BEYOND_BYTES = 2**20
_CONFIRMED_BY_PACKETS = 12


def clock_jump(path: Path, facts: MediaFacts) -> tuple[float, float] | None:
    """Find where the clock of a file jumps: the container times before and after it, in seconds.

    Large files are read only where times at equal distances in the file differ unusually.

    Args:
        path: The file.
        facts: Its probe.

    Raises:
        av.error.FFmpegError: It cannot be read.
    """
    if facts.container not in _CLOCKS_OF_SENDERS:
        return None
    with open_media(path, facts) as container:
        streams: list[Any] = [container.streams[stream.index] for stream in facts.streams]
        for start, end in _suspicious(container, streams, facts.size_bytes):
            found = jump_between(list(_times(container, streams, start=start, end=end)))
            if found is not None:
                return found
    return None


def _suspicious(container: InputContainer, streams: list[Any], size: int) -> list[tuple[int, int]]:
    """Stretches of bytes in which the clock may jump."""
    if size <= _READ_WHOLE_BYTES:
        return [(0, size)]
    places = [size * number // _SAMPLES for number in range(_SAMPLES)]
    sampled: list[tuple[int, float]] = []
    for place in places:
        first = next(_times(container, streams, start=place, end=size), None)
        if first is not None:
            sampled.append((place, first[1]))
    steps = [later - time for (_, time), (_, later) in pairwise(sampled)]
    usual = statistics.median(steps) if steps else 0.0
    parts = zip(pairwise(place for place, _ in sampled), steps, strict=True)
    # Beyond it, to see whether the clock stays where it has jumped to.
    return [
        (start, end + _BEYOND_BYTES)
        for (start, end), step in parts
        if not 0 <= step <= 1.5 * usual + _FORWARD_SECONDS
    ]


def _times(
    container: InputContainer, streams: list[Any], *, start: int, end: int
) -> Iterator[tuple[int, float]]:
    """Stream and decoding time in seconds of the packets that lie between two bytes."""
    container.seek(start, unsupported_byte_offset=True)
    for packet in container.demux(streams):
        if packet.dts is None or is_stray(packet, float(packet.time_base)):
            continue
        if packet.pos is not None and packet.pos > end:
            return
        yield packet.stream_index, packet.dts * float(packet.time_base)


def jump_between(packets: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
    """Find the first jump in the times of packets that follow one another in a file.

    One packet with a time that cannot be meant is none, nor is a stream that pauses while another
    goes on.

    Args:
        packets: Stream and time in seconds of each.

    Returns:
        The times before and after it; None without one.
    """
    last: dict[int, float] = {}
    newest: float | None = None
    for at, (stream, time) in enumerate(packets):
        before = last.get(stream, time)
        ahead = newest is not None and time > newest + _FORWARD_SECONDS
        if newest is not None and (ahead or time < before - _BACK_SECONDS):
            old = newest if ahead else before
            following = packets[at : at + _CONFIRMED_BY_PACKETS]
            stays = sum(abs(later - time) < abs(later - old) for _, later in following)
            if not 2 * stays > len(following) > 1:
                continue
            if at > 1:
                return old, time
            last, newest = {}, None  # the first packet was the one that cannot be meant
        last[stream] = time
        newest = time if newest is None else max(newest, time)
    return None
