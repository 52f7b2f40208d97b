"""Looking at single frames and packets of a media file by presented time.

Belongs here: which frame is shown at a time, which packets are presented in a stretch, and
comparing pictures. Does not belong here: what follows from it (`clip_proof`, `stream_copy`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from videomoments_dagster.media.container import MediaFile, presented_origin
from videomoments_dagster.media.timeline import is_stray

TIME_TOLERANCE_SECONDS = 0.0005
_SEEK_STEPS_SECONDS = (0.0, 1.0, 5.0, 20.0, 60.0, 300.0)
_LARGEST_REORDERING_SECONDS = 2.0
# 16 is the most that H.264 (A.3.1, max_dec_frame_buffering) and HEVC (A.4.2) let wait, and the
# frame before the one that is wanted is wanted too.
LARGEST_REORDERING_FRAMES = 18
_SKIPPABLE_CODECS = frozenset({"h264", "hevc"})
_COMPARED_WIDTH = 320
_PACKETS_AFTER_THE_END = 400


@dataclass(frozen=True, slots=True)
class Shown:
    """A decoded frame and when it is shown.

    Attributes:
        time: Presented time in seconds at which it appears.
        frame: The picture as decoded, not rotated.
    """

    time: float
    frame: Any


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The frame shown at a time, with the frames beside it where they are known.

    Attributes:
        previous: The frame before it, None when decoding started after that.
        shown: The frame.
        following: The frame after it, None at the end.
        decoded_from: Presented time to seek to for the frame to decode; mostly the time asked
            for, but some files mark keyframes that are none.
        decoded: The packets that were decoded for it, in that order; its own is the last.
    """

    previous: Shown | None
    shown: Shown
    following: Shown | None
    decoded_from: float
    decoded: DecodedPackets


@dataclass(frozen=True, slots=True)
class DecodedPackets:
    """What a decoder was given for a frame; the same again gives the same pixels.

    Attributes:
        setup: The codec's own header, which is given first.
        digests: Of each packet, in order of decoding.
    """

    setup: bytes
    digests: tuple[bytes, ...]


def frame_at(media: MediaFile, seconds: float) -> Neighbourhood | None:
    """Decode the frame that is shown at a presented time: the last that appears by then.

    Args:
        media: The media file.
        seconds: Presented time.

    Returns:
        The frame and its neighbours; None when nothing decodes at or before that time.
    """
    if media.facts.video is None:
        return None
    for step in (*_SEEK_STEPS_SECONDS, None):
        from_time = 0.0 if step is None else max(0.0, seconds - step)
        found = _decode_towards(media, seconds, from_time)
        if found is not None or from_time == 0.0:
            return found
    return None


def _decode_towards(media: MediaFile, seconds: float, from_time: float) -> Neighbourhood | None:
    video = media.facts.video
    if video is None:
        return None
    latest = seconds + TIME_TOLERANCE_SECONDS
    previous: Shown | None = None
    shown: Shown | None = None
    with media.decoding(video.codec) as container:
        stream: Any = container.streams[video.index]
        if from_time > 0:
            seek_near(container, stream, video.start_seconds + from_time)
        given = GivenPackets(origin=video.start_seconds)
        following: Shown | None = None
        for time, frame in _decoded(container, stream, given, seconds, video.codec):
            if time > latest:
                following = Shown(time, frame)
                break
            if shown is None or time > shown.time:
                previous, shown = shown, Shown(time, frame)
        if shown is None:
            return None
        return Neighbourhood(
            previous, shown, following, from_time, given.up_to(shown.time, setup_of(stream))
        )


class GivenPackets:
    """Notes what a decoder is given."""

    def __init__(self, *, origin: float) -> None:
        """Start with nothing; `origin` is the container time in seconds that is presented as 0."""
        self.origin = origin
        self._digests: list[bytes] = []
        self._times: list[float | None] = []

    def note(self, packet: Any, tick: float) -> None:
        """Take note of the next packet."""
        self._digests.append(digest(packet))
        self._times.append(None if packet.pts is None else packet.pts * tick - self.origin)

    def up_to(self, seconds: float, setup: bytes) -> DecodedPackets:
        """All until the one that is presented then; nothing if there is none."""
        near = [
            index
            for index, time in enumerate(self._times)
            if time is not None and abs(time - seconds) < TIME_TOLERANCE_SECONDS
        ]
        return DecodedPackets(setup, tuple(self._digests[: near[-1] + 1]) if near else ())


def digest(packet: Any) -> bytes:
    """Tell packets with other bytes apart."""
    return hashlib.blake2b(packet, digest_size=16).digest()


def setup_of(stream: Any) -> bytes:
    """Give a stream's codec header; empty without one."""
    return bytes(stream.codec_context.extradata or b"")


def seek_near(container: InputContainer, stream: Any, seconds: float) -> None:
    """Go to the keyframe before a container time in seconds."""
    if seconds <= 0:
        # A file is at its start when it is opened; some containers cannot seek at all.
        return
    container.seek(int(seconds / stream.time_base), stream=stream)


def _decoded(
    container: InputContainer, stream: Any, given: GivenPackets, seconds: float, codec: str
) -> Iterator[tuple[float, Any]]:
    """Decode on, passing over frames that nothing refers to until near the wanted time."""
    origin = given.origin
    near = origin + seconds - _reordering_seconds(stream, codec)
    tick = float(stream.time_base)
    for packet in container.demux(stream):
        stamp = packet.dts if packet.dts is not None else packet.pts
        hidden = packet.is_discard or (stamp is not None and stamp * stream.time_base < near)
        if codec in _SKIPPABLE_CODECS:
            stream.codec_context.skip_frame = "NONREF" if hidden else "DEFAULT"
        if packet.size:
            given.note(packet, tick)
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if frame.pts is not None and not is_stray(frame, stream.time_base):
                yield float(frame.pts * stream.time_base) - origin, frame


def _reordering_seconds(stream: Any, codec: str) -> float:
    """How long before its time a frame may have to be decoded for one that is shown then."""
    rate = stream.average_rate
    if codec not in _SKIPPABLE_CODECS or not rate:
        return _LARGEST_REORDERING_SECONDS
    return min(float(LARGEST_REORDERING_FRAMES / rate), _LARGEST_REORDERING_SECONDS)


def presented_times(
    media: MediaFile, *, stream_index: int, start: float, end: float
) -> list[float]:
    """List when the packets of a stream are presented, from `start` until before `end`.

    Args:
        media: The media file.
        stream_index: The stream in its container.
        start: Presented time of the first packet wanted; half a millisecond earlier counts.
        end: Presented time before which the last one starts.

    Returns:
        Presented times in seconds, ascending.
    """
    origin = presented_origin(media.facts)
    found: list[float] = []
    after_the_end = 0
    with media.packets() as container:
        stream: Any = container.streams[stream_index]
        tick = float(stream.time_base)
        seek_near(container, stream, origin + start - _LARGEST_REORDERING_SECONDS)
        earliest, latest = start - TIME_TOLERANCE_SECONDS, end - TIME_TOLERANCE_SECONDS
        for packet in container.demux(stream):
            # Thousands of packets: each property is a call, so each is asked for once.
            pts, dts = packet.pts, packet.dts
            stamp = dts if pts is None else pts
            if stamp is None or packet.size == 0:
                continue
            if (stamp if dts is None else dts) * tick - origin >= end:
                after_the_end += 1
                if dts is not None or after_the_end > _PACKETS_AFTER_THE_END:
                    break
            time = stamp * tick - origin
            if earliest <= time < latest and not packet.is_discard:
                found.append(time)
    return sorted(found)


def identical(one: Any, other: Any) -> bool:
    """Tell whether two decoded frames have the same pixels."""
    if (one.width, one.height, one.format.name) != (other.width, other.height, other.format.name):
        return False
    components = one.format.components
    sample_bytes = 2 if components[0].bits > 8 else 1  # noqa: PLR2004 - bits in a byte
    if len(one.planes) == 1:
        sample_bytes *= len(components)
    return all(
        np.array_equal(_pixels(a, sample_bytes), _pixels(b, sample_bytes))
        for a, b in zip(one.planes, other.planes, strict=True)
    )


def _pixels(plane: Any, sample_bytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)
    # Lines are padded; the padding is not part of the picture.
    return rows[:, : plane.width * sample_bytes]


def difference(one: Any, other: Any, *, rotate_one: int = 0) -> float:
    """Root mean square difference of two frames' brightness, 0 (same) to 255.

    Args:
        one: A decoded frame.
        other: Another, perhaps scaled or turned.
        rotate_one: Clockwise degrees by which a player turns the first.
    """
    width = min(_COMPARED_WIDTH, other.width)
    height = max(1, round(other.height * width / other.width))
    turned = rotate_one in {90, 270}
    first = one.reformat(
        width=height if turned else width, height=width if turned else height, format="gray"
    ).to_ndarray()
    second = other.reformat(width=width, height=height, format="gray").to_ndarray()
    first = np.rot90(first, k=-rotate_one // 90)
    error = first.astype(np.float64) - second.astype(np.float64)
    return float(np.sqrt(np.mean(error * error)))
