"""When a stream's packets start and end, measured from the data.

Belongs here: first and last presented times by decoding the beginning and demuxing the end, with
a scan of all packets only where the quick way is suspicious. Does not belong here: what the
numbers mean for a whole file (`probe`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import av
from av.container import InputContainer

_PACKETS_TRIED = 600
_FRAMES_FOR_START = 4
_REORDERED_PACKETS = 18
"""16 is the most that H.264 (A.3.1) and HEVC (A.4.2) let a frame wait for others."""
_THREADS = 2
_SCAN_SECONDS = 120.0
_STRAY_SECONDS = 60.0
"""Presentation and decoding time of a real packet are never this far apart."""

ESTIMATING_DEMUXERS = frozenset({"mp3", "aac", "ac3", "amr"})
"""Demuxers that guess the time after a seek from the bit rate."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Where packets end.

    Attributes:
        end_seconds: Container time at which the last presented packet ends.
        packet_seconds: Duration of that packet.
    """

    end_seconds: float
    packet_seconds: float


class ScanTooLong(Exception):
    """Reading all packets took longer than its limit."""


def first_frame(container: InputContainer, stream: Any) -> tuple[float, Any] | None:
    """Decode a stream's beginning.

    Args:
        container: An open container, at its start.
        stream: One of its picture or sound streams.

    Returns:
        Container time of the first presented frame in seconds, and that frame; None when none of
        the first packets decodes.
    """
    found: list[tuple[float, Any]] = []
    if stream.type == "video":
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = _THREADS
    for tried, packet in enumerate(container.demux(stream)):
        if tried > _PACKETS_TRIED and not found:
            return None
        if stream.type == "video":
            # What an edit list hides is decoded only as far as something refers to it.
            stream.codec_context.skip_frame = "NONREF" if packet.is_discard else "DEFAULT"
        for frame in _decoded(packet):
            stamp = frame.pts if frame.pts is not None else frame.dts
            found.append((float((stamp or 0) * (frame.time_base or stream.time_base)), frame))
        if len(found) >= _FRAMES_FOR_START:
            break
    return min(found, key=lambda item: item[0]) if found else None


def first_frame_by_packets(container: InputContainer, stream: Any) -> tuple[float, Any] | None:
    """Decode the first stored picture only, and take the first presented time from packets.

    For files that are known to decode: an edit list may hide seconds of pictures in front of the
    first one that is presented.

    Args:
        container: An open container, at its start, of which packets alone are read afterwards.
        stream: One of its picture or sound streams.

    Returns:
        Container time of the first presented frame in seconds, and the first stored frame; None
        when that does not decode or none is presented.
    """
    if stream.type != "video":
        return first_frame(container, stream)
    stored: Any = None
    times: list[float] = []
    tick = float(stream.time_base)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if stored is None:
            # FFmpeg gives no frame of a packet that is marked as hidden; its bytes alone are not.
            # Decoders hold frames back until they are told that no more come.
            context = stream.codec_context
            frames = [*context.decode(av.Packet(bytes(packet))), *context.decode(None)]
            if not frames:
                return None
            stored = frames[0]
        if packet.pts is not None and not packet.is_discard:
            times.append(packet.pts * tick)
        if len(times) > _REORDERED_PACKETS:
            break
    return (min(times), stored) if times else None


def decodes_at(container: InputContainer, stream: Any, seconds: float) -> bool:
    """Tell whether a frame decodes near a container time."""
    try:
        container.seek(int(seconds / stream.time_base), stream=stream)
        for tried, packet in enumerate(container.demux(stream)):
            if any(True for _ in _decoded(packet)):
                return True
            if tried > _PACKETS_TRIED:
                return False
    except (av.error.FFmpegError, OSError):
        return False
    return False


def _decoded(packet: Any) -> list[Any]:
    try:
        return list(packet.decode())
    except (av.error.FFmpegError, ValueError):
        return []


def has_packets(container: InputContainer, stream: Any) -> bool:
    """Tell whether a stream holds any data at all."""
    return any(packet.size > 0 for packet in container.demux(stream))


def tail_after_seek(
    container: InputContainer, streams: tuple[Any, ...], claimed_end: float
) -> Tail | None:
    """Find where packets end by looking at the last ones only.

    Args:
        container: An open container, at any position.
        streams: The streams to look at; seeking follows the first.
        claimed_end: Container time in seconds at which the header says that the data ends.

    Returns:
        The tail, or None when the container cannot seek there or holds nothing after it.
    """
    try:
        container.seek(int(claimed_end / streams[0].time_base), stream=streams[0])
        return tail_by_scan(container, streams)
    except (av.error.FFmpegError, OSError, OverflowError):
        return None


def tail_by_scan(container: InputContainer, streams: tuple[Any, ...]) -> Tail | None:
    """Find where packets end by reading on to the end of the file.

    Raises:
        ScanTooLong: The file could not be read within the limit.
    """
    deadline = time.monotonic() + _SCAN_SECONDS
    ticks = {stream.index: float(stream.time_base) for stream in streams}
    usual = {stream.index: _usual_packet_seconds(stream) for stream in streams}
    end = -1.0
    length = 0.0
    for count, packet in enumerate(container.demux(streams)):
        if packet.size == 0 or packet.is_discard:
            continue
        tick = ticks[packet.stream_index]
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or is_stray(packet, tick):
            continue
        seconds = packet.duration * tick if packet.duration else usual[packet.stream_index]
        if stamp * tick + seconds > end:
            end, length = stamp * tick + seconds, seconds
        if count % 4096 == 0 and time.monotonic() > deadline:
            raise ScanTooLong
    return Tail(end, length) if end >= 0 else None


def _usual_packet_seconds(stream: Any) -> float:
    rate = getattr(stream, "average_rate", None)
    return float(1 / rate) if rate else 0.0


def is_stray(packet: Any, tick: float) -> bool:
    """Tell whether a packet or frame has a presentation time that cannot be meant."""
    return (
        packet.pts is not None
        and packet.dts is not None
        and abs(packet.pts - packet.dts) * tick > _STRAY_SECONDS
    )
