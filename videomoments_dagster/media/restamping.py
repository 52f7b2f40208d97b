"""Giving pictures the times at which they are shown, where their file tells only those of decoding.

An AVI has no others. FFmpeg guesses them, for H.264 and HEVC wrongly: frames that wait for others
get each other's. A decoder gives frames in the order in which they are shown, whatever their times
say; so the n-th of them is shown at the n-th time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.container import MediaFile, frames_of, seek_near
from videomoments_dagster.media.facts import VideoStream
from videomoments_dagster.media.frame_access import NAL_CODECS, REORDERING_FRAMES

_SLOWEST_FRAME_RATE = 9.0
"""Frames per second; an AVI's header may claim hundreds."""
_EARLIER_SECONDS = (0.0, 10.0, 60.0, 300.0)
_ROOM_SECONDS = 30
"""What all times are moved by, so that none of decoding is negative."""
_MOVIE_CLOCK = 720_000
"""Ticks per second in which usual frame rates, those of NTSC among them, are whole numbers."""


def tells_times_of_decoding(media: MediaFile) -> bool:
    """Whether the times of a file's pictures are those at which they are decoded."""
    video = media.facts.video
    if video is None or media.facts.container != "avi" or video.codec not in NAL_CODECS:
        return False
    with media.decoding(video.codec) as container:
        stream: Any = container.streams[video.index]
        return bool(stream.codec_context.has_b_frames)


def restamp(media: MediaFile, *, start: float, end: float, to: Path) -> float:
    """Copy a stretch of a file that tells times of decoding, with the times of showing.

    Args:
        media: The file.
        start: Presented time in seconds from which on pictures have to decode.
        end: Presented time in seconds until which they are needed.
        to: MOV file to write. Behind `end`, its times may be wrong.

    Returns:
        Seconds between a presented time of the source and the copy's container time of it.

    Raises:
        MediaFailed: A picture of the stretch does not decode, so that they cannot be counted.
        av.error.FFmpegError: The source cannot be read, or its sound is none that goes into MOV.
    """
    video = media.facts.video
    if video is None:
        raise ValueError("there are no pictures to give times to")
    origin = media.facts.origin_seconds
    rate = min(video.frame_rate or _SLOWEST_FRAME_RATE, _SLOWEST_FRAME_RATE)
    earliest = origin + start - REORDERING_FRAMES / rate
    for earlier in (*_EARLIER_SECONDS, None):
        begin = 0.0 if earlier is None else max(0.0, earliest - earlier)
        times = _times_of_showing(media, video, begin=begin, until=origin + end)
        if times is not None:
            _write(media, video, times, begin=begin, until=origin + end, to=to)
            return origin + _ROOM_SECONDS
        if begin == 0.0:
            break
    raise MediaFailed("some of its pictures do not decode, so that they cannot be counted")


def _times_of_showing(
    media: MediaFile, video: VideoStream, *, begin: float, until: float
) -> list[tuple[int, int]] | None:
    """When each packet is to be shown and decoded, in ticks; None where not all of them decode."""
    times: list[int] = []
    order: list[int] = []
    with media.decoding(video.codec) as container:
        stream: Any = container.streams[video.index]
        for packet in _stretch(container, [stream], stream, begin=begin, until=until):
            # A decoder hands the time of a packet on to its frame: here, its number.
            packet.pts = len(times)
            times.append(packet.dts)
            order += [frame.pts for frame in frames_of(packet)]
        order += [frame.pts for frame in stream.codec_context.decode(None)]
    if sorted(order) != list(range(len(times))):
        return None
    shown = dict(zip(order, sorted(times), strict=True))
    early = max((time - shown[number] for number, time in enumerate(times)), default=0)
    return [(shown[number], time - early) for number, time in enumerate(times)]


def _stretch(
    container: InputContainer, streams: list[Any], pictures: Any, *, begin: float, until: float
) -> Iterator[Any]:
    """The packets of some streams from the keyframe before a container time until another.

    And as many more as there may be for which a picture that is shown by then waits.
    """
    seek_near(container, pictures, begin)
    later = 0
    for packet in container.demux(streams):
        if packet.size == 0 or packet.dts is None:
            continue
        if packet.stream_index == pictures.index:
            later += packet.dts * packet.time_base > until
            if later > REORDERING_FRAMES:
                return
        yield packet


def _write(
    media: MediaFile,
    video: VideoStream,
    times: list[tuple[int, int]],
    *,
    begin: float,
    until: float,
    to: Path,
) -> None:
    options = {"avoid_negative_ts": "disabled", "movie_timescale": str(_MOVIE_CLOCK)}
    with (
        media.packets() as container,
        av.open(str(to), "w", format="mov", options=options) as copy,
    ):
        streams: list[Any] = [container.streams[stream.index] for stream in media.facts.streams]
        pictures: Any = container.streams[video.index]
        copies = {one.index: copy.add_stream_from_template(one) for one in streams}
        numbered = iter(times)
        for packet in _stretch(container, streams, pictures, begin=begin, until=until):
            room = round(_ROOM_SECONDS / packet.time_base)
            if packet.stream_index == video.index:
                packet.pts, packet.dts = next(numbered)
            packet.pts = (packet.dts if packet.pts is None else packet.pts) + room
            packet.dts += room
            packet.stream = copies[packet.stream_index]
            copy.mux(packet)
