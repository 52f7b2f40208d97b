"""Single frames and packets of a media file by presented time.

Which frame is shown at a time, by decoding or by packets alone; which packets are presented in a
stretch; and comparing pictures.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from videomoments_dagster.media.container import MediaFile, frames_of, is_stray, seek_near
from videomoments_dagster.media.facts import VideoStream
from videomoments_dagster.media.orientation import Turn

TIME_TOLERANCE_SECONDS = 0.0005
REORDERING_FRAMES = 18
"""16 is the most that H.264 (A.3.1, max_dec_frame_buffering) and HEVC (A.4.2) let a frame wait for
others, and the frame before the one that is wanted is wanted too."""
NAL_CODECS = frozenset({"h264", "hevc"})
"""FFmpeg's names of the codecs whose packets are NAL units, which say what refers to them."""
_SEEK_STEPS_SECONDS = (0.0, 1.0, 5.0, 20.0, 60.0, 300.0)
_LONGEST_REORDERING_SECONDS = 2.0
_PACKETS_AFTER_THE_END = 400
_SOUND_STORED_EARLIER_SECONDS = (0.0, 2.0, 20.0)
_AUDIBLE_SECONDS = 0.005
_H264_SLICES, _H264_IDR = frozenset(range(1, 6)), frozenset({5})
_HEVC_SLICES, _HEVC_IDR = frozenset(range(32)), frozenset({19, 20})
_AVCC_VERSION = 1
_SHORTEST_AVCC_BYTES = 7
_SHORTEST_HVCC_BYTES = 23

Decoded = tuple[bytes, ...]
"""What a decoder was given for a frame; the same again gives the same pixels.

The codec's own header, then the digest of each packet in order of decoding; the frame's own is
the last. Empty where that is not known.
"""


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """The frame that is shown at a presented time.

    Attributes:
        time: Presented time in seconds at which it appears.
        decoded_from: Presented time to seek to for it to decode; mostly the time asked for, but
            some files mark keyframes that are none.
        decoded: What decoding it takes.
    """

    time: float
    decoded_from: float
    decoded: Decoded


@dataclass(frozen=True, slots=True)
class DecodedFrame(ShownFrame):
    """The frame that is shown at a presented time, with the frames beside it.

    Attributes:
        frame: The picture as decoded, not rotated.
        previous: The picture before it, None when decoding started after that.
        following: The picture after it, None at the end.
    """

    frame: Any
    previous: Any | None
    following: Any | None


def frame_at(media: MediaFile, seconds: float) -> DecodedFrame | None:
    """Decode the frame that is shown at a presented time: the last that appears by then.

    Before the first picture, that is the one.

    Args:
        media: The media file.
        seconds: Presented time.

    Returns:
        The frame and its neighbours; None when nothing decodes at or before that time.
    """
    video = media.facts.video
    if video is None:
        return None
    seconds = max(seconds, media.facts.pictures_start)
    for from_time in (*(max(0.0, seconds - step) for step in _SEEK_STEPS_SECONDS), 0.0):
        found = _decode_towards(media, video, seconds, from_time)
        if found is not None or from_time == 0.0:
            return found
    return None


def _decode_towards(
    media: MediaFile, video: VideoStream, seconds: float, from_time: float
) -> DecodedFrame | None:
    latest = seconds + TIME_TOLERANCE_SECONDS
    previous, shown, following = None, None, None
    time = -1.0
    with media.decoding(video.codec) as container:
        stream: Any = container.streams[video.index]
        origin = media.facts.origin_seconds
        if from_time > 0 and not seek_near(container, stream, origin + from_time):
            from_time = 0.0
        given = _GivenPackets(stream, origin)
        for appears, frame in _decode_on(container, given, seconds, codec=video.codec):
            if appears > latest:
                following = frame
                break
            if shown is None or appears > time:
                previous, shown, time = shown, frame, appears
        if shown is None:
            return None
        return DecodedFrame(time, from_time, given.up_to(time), shown, previous, following)


def frame_by_packets(media: MediaFile, seconds: float) -> ShownFrame | None:
    """Find the frame that is shown at a presented time without decoding up to it.

    Where it can be told: the keyframe before it is one at which any decoder starts afresh, so
    that its packets give the same pictures to all; and that keyframe decodes, as a whole picture.

    Args:
        media: The media file.
        seconds: Presented time.

    Returns:
        The frame; None where only decoding tells.
    """
    video = media.facts.video
    if video is None or video.codec not in NAL_CODECS:
        return None
    seconds = max(seconds, media.facts.pictures_start)
    latest = seconds + TIME_TOLERANCE_SECONDS
    origin = media.facts.origin_seconds
    with media.decoding(video.codec) as container:
        stream: Any = container.streams[video.index]
        seek_near(container, stream, origin + seconds)
        given = _GivenPackets(stream, origin)
        shown: float | None = None
        keyframe: bytes | None = None
        later = 0
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.pts is None or is_stray(packet, given.tick):
                return None
            if keyframe is None:
                keyframe = bytes(packet)
                if not refreshes_decoder(keyframe, codec=video.codec, setup=given.setup):
                    return None
            given.note(packet)
            time = packet.pts * given.tick - origin
            later += time > latest
            if later > REORDERING_FRAMES:
                break
            if not packet.is_discard and time <= latest and (shown is None or time > shown):
                shown = time
        if keyframe is None or shown is None or not _is_whole_picture(stream, keyframe):
            return None
        return ShownFrame(shown, seconds, given.up_to(shown))


def _is_whole_picture(stream: Any, packet: bytes) -> bool:
    """Whether a packet decodes alone, and not to fields, which may have packets of their own."""
    context = stream.codec_context
    context.flush_buffers()
    try:
        frames = [*context.decode(av.Packet(packet)), *context.decode(None)]
    except av.error.FFmpegError:
        return False
    finally:
        context.flush_buffers()
    return len(frames) == 1 and not frames[0].interlaced_frame


class _GivenPackets:
    """Notes what the decoder of a stream is given."""

    def __init__(self, stream: Any, origin: float) -> None:
        self.stream = stream
        self.origin = origin
        self.tick = float(stream.time_base)
        self.setup = setup_of(stream)
        self._noted: list[tuple[float, bytes]] = []

    def note(self, packet: Any) -> None:
        time = math.inf if packet.pts is None else packet.pts * self.tick
        self._noted.append((time - self.origin, digest(packet)))

    def up_to(self, seconds: float) -> Decoded:
        """All until the one that is presented then; nothing if there is none."""
        for last in reversed(range(len(self._noted))):
            if abs(self._noted[last][0] - seconds) < TIME_TOLERANCE_SECONDS:
                return (self.setup, *(packet for _, packet in self._noted[: last + 1]))
        return ()


def digest(packet: Any) -> bytes:
    """Tell packets with other bytes apart."""
    return hashlib.blake2b(packet, digest_size=16).digest()


def setup_of(stream: Any) -> bytes:
    """Give a stream's codec header; empty without one."""
    return bytes(stream.codec_context.extradata or b"")


def _decode_on(
    container: InputContainer, given: _GivenPackets, seconds: float, *, codec: str
) -> Iterator[tuple[float, Any]]:
    """Decode on, passing over frames that nothing refers to until near the wanted time.

    Gives each frame with the presented time at which it appears.
    """
    stream, origin = given.stream, given.origin
    skippable = codec in NAL_CODECS
    # How long before its time a frame may have to be decoded for one that is shown then.
    reordering = _LONGEST_REORDERING_SECONDS
    if skippable and stream.average_rate:
        reordering = min(float(REORDERING_FRAMES / stream.average_rate), reordering)
    near = origin + seconds - reordering
    for packet in container.demux(stream):
        if skippable:
            stamp = packet.dts if packet.dts is not None else packet.pts
            hidden = packet.is_discard or (stamp is not None and stamp * stream.time_base < near)
            stream.codec_context.skip_frame = "NONREF" if hidden else "DEFAULT"
        if packet.size:
            given.note(packet)
        for frame in frames_of(packet):
            if frame.pts is not None and not is_stray(frame, stream.time_base):
                yield float(frame.pts * stream.time_base) - origin, frame


def presented_times(media: MediaFile, *, start: float, end: float) -> list[float]:
    """List when the pictures of a file are presented, from `start` until before `end`.

    Args:
        media: A media file with a picture.
        start: Presented time of the first picture wanted; half a millisecond earlier counts.
        end: Presented time before which the last one starts.

    Returns:
        Presented times in seconds, ascending.
    """
    video = media.facts.video
    if video is None:
        return []
    origin = media.facts.origin_seconds
    found: list[float] = []
    after_the_end = 0
    with media.packets() as container:
        stream: Any = container.streams[video.index]
        tick = float(stream.time_base)
        seek_near(container, stream, origin + start - _LONGEST_REORDERING_SECONDS)
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


def sound_from(media: MediaFile, *, start: float, end: float, seek_to: float) -> float | None:
    """Find where to seek to, so that the sound of a stretch is read from its beginning.

    Args:
        media: A media file with picture and sound.
        start: Presented time at which the stretch starts, seconds.
        end: Presented time at which it ends.
        seek_to: Presented time that is sought for the pictures. The sound of that time may be
            stored before its keyframe.

    Returns:
        Presented time in seconds, mostly `seek_to`; None where there is no sound in the stretch.
    """
    found: tuple[float, float] | None = None
    for earlier in _SOUND_STORED_EARLIER_SECONDS:
        from_time = max(0.0, seek_to - earlier)
        first: float | None = None
        for begin, finish in _sound_packets(media, from_time=from_time, end=end):
            first = begin if first is None else first
            if finish > start + _AUDIBLE_SECONDS:
                if found is None or begin < found[0]:
                    found = begin, from_time
                break
        if from_time == 0.0 or (first is not None and first <= start):
            break
    return found[1] if found else None


def _sound_packets(
    media: MediaFile, *, from_time: float, end: float
) -> Iterator[tuple[float, float]]:
    """When packets of sound start and end, presented, from a seek until `end`."""
    origin, streams = media.facts.origin_seconds, media.facts.streams
    with media.packets() as container:
        seek_near(container, container.streams[streams[0].index], origin + from_time)
        for packet in container.demux([container.streams[stream.index] for stream in streams]):
            if packet.pts is None or packet.size == 0:
                continue
            begin = float(packet.pts * packet.time_base) - origin
            if packet.stream_index == streams[0].index:
                if begin > end + _LONGEST_REORDERING_SECONDS:
                    return
            elif begin >= end - _AUDIBLE_SECONDS:
                return
            else:
                lasts = float((packet.duration or 0) * packet.time_base)
                yield begin, begin + max(lasts, 2 * _AUDIBLE_SECONDS)


def refreshes_decoder(packet: bytes, *, codec: str, setup: bytes) -> bool:
    """Tell whether a packet holds an IDR picture, and no other.

    Nothing decoded after it refers to anything before it, whatever a decoder was given before
    (ITU-T H.264, 7.4.1.2.4; H.265, 3.76). Containers mark other pictures as keyframes too, behind
    which some pictures do refer to what lies before them.

    Args:
        packet: The packet's bytes, its NAL units each behind their length, as MP4, Matroska and
            FLV store them.
        codec: FFmpeg's name of the codec.
        setup: The codec's own header, an avcC or hvcC (ISO/IEC 14496-15).

    Returns:
        Whether it is certain; False also for other codecs and for what cannot be read.
    """
    if codec == "h264":
        if len(setup) < _SHORTEST_AVCC_BYTES or setup[0] != _AVCC_VERSION:
            return False
        types = {unit & 0x1F for unit in _first_bytes(packet, (setup[4] & 3) + 1)}
        return types & _H264_SLICES == _H264_IDR
    if codec == "hevc":
        if len(setup) < _SHORTEST_HVCC_BYTES or not (setup[0] or setup[1] or setup[2] > 1):
            return False
        types = {(unit >> 1) & 0x3F for unit in _first_bytes(packet, (setup[21] & 3) + 1)}
        slices = types & _HEVC_SLICES
        return bool(slices) and slices <= _HEVC_IDR
    return False


def _first_bytes(packet: bytes, length_bytes: int) -> Iterator[int]:
    """The first byte of each NAL unit; nothing from where the lengths do not fit on."""
    at = 0
    while at + length_bytes < len(packet):
        length = int.from_bytes(packet[at : at + length_bytes], "big")
        at += length_bytes
        if not 0 < length <= len(packet) - at:
            return
        yield packet[at]
        at += length


def identical(one: Any, other: Any) -> bool:
    """Tell whether two decoded frames have the same pixels."""
    if (one.width, one.height, one.format.name) != (other.width, other.height, other.format.name):
        return False
    components = one.format.components
    sample_bytes = 2 if components[0].bits > 8 else 1  # noqa: PLR2004 - bits in a byte
    if len(one.planes) == 1:
        sample_bytes *= len(components)
    return all(
        np.array_equal(pixels(a, sample_bytes), pixels(b, sample_bytes))
        for a, b in zip(one.planes, other.planes, strict=True)
    )


def pixels(plane: Any, sample_bytes: int = 1) -> NDArray[np.uint8]:
    """Bytes of one plane of a decoded frame, row by row."""
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)
    # Lines are padded; the padding is not part of the picture.
    return rows[:, : plane.width * sample_bytes]


def difference(one: Any, other: Any, *, turn_one: Turn | None = None) -> float:
    """Root mean square difference of two frames' brightness, 0 (same) to 255.

    Args:
        one: A decoded frame.
        other: Another, perhaps scaled or turned.
        turn_one: How a player shows the first.
    """
    width = min(320, other.width)
    height = max(1, round(other.height * width / other.width))
    sides = (height, width) if turn_one and turn_one.transposed else (width, height)
    first = _grey(one, *sides)
    shown = turn_one.applied(first) if turn_one else first
    return float(np.sqrt(np.mean((shown - _grey(other, width, height)) ** 2)))


def _grey(frame: Any, width: int, height: int) -> NDArray[np.float64]:
    grey = frame.reformat(width=width, height=height, format="gray").to_ndarray()
    return np.asarray(grey, dtype=np.float64)
