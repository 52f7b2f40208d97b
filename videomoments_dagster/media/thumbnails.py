"""One good still picture of a video or clip, as JPEG.

Belongs here: which frames are looked at, and turning the chosen one into a small upright picture.
Does not belong here: what makes a frame good (`frame_quality`); which files get a thumbnail.

Keyframes are looked at first, because each costs one seek and one decoded frame however long the
file is. The picture is encoded from the very frame that was judged; to find it again with an
ffmpeg process would cost more than everything else here and could land on its neighbour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
from av.container import InputContainer

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.container import open_media, presented_origin
from videomoments_dagster.media.facts import MediaFacts, VideoStream
from videomoments_dagster.media.frame_quality import (
    PRESENTABLE_EXPOSURE,
    Luma,
    best_frame,
    exposure,
)

LONG_SIDE = 640
SHORT_SIDE = 360

_JPEG_QUANTISER = "3"
_ENOUGH_KEYFRAMES = 3
_PACKETS_TRIED = 300
_FRAMES_DECODED = 120
# A long black opening inside one group of pictures is worth waiting for.
_FRAMES_DECODED_FOR_LIGHT = 900
_FRAMES_PAST_THE_END = 24
_FRAMES_BETWEEN_SAMPLES = 24
_TIME_TOLERANCE_SECONDS = 0.0005
_SKIPPABLE_CODECS = frozenset({"h264", "hevc"})
_TURNS = {0: (), 90: ("clock",), 180: ("clock", "clock"), 270: ("cclock",)}

# Numbers of ISO/IEC 23091-2, which ffmpeg's enumerations follow.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_HIGH_DEFINITION_FROM_HEIGHT = 720


@dataclass(frozen=True, slots=True)
class ThumbnailChoice:
    """A thumbnail that was written.

    Attributes:
        path: The JPEG file.
        time_seconds: Presented time of its frame in the media file.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
    """

    path: Path
    time_seconds: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A frame as the thumbnail would show it.

    Attributes:
        time: Presented time in seconds.
        picture: Upright frame of the final size, full range.
        damaged: Whether the decoder had to make up a part of it.
    """

    time: float
    picture: Any
    damaged: bool

    @property
    def luma(self) -> Luma:
        plane = self.picture.planes[0]
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)
        return rows[:, : plane.width]


def make_thumbnail(
    media: Path,
    facts: MediaFacts,
    *,
    start_time: float,
    end_time: float,
    destination: Path,
    samples: int = 9,
    timeout_seconds: float,
) -> ThumbnailChoice:
    """Write the best of some frames as a small JPEG, the right way up.

    The same file and times give the same picture. Several calls may run in threads at once.

    Args:
        media: Readable local file.
        facts: What probing found in it.
        start_time: Presented time from which frames are looked at, seconds.
        end_time: Presented time until which frames are looked at, seconds.
        destination: JPEG file to write; replaced if it exists.
        samples: How many moments of that stretch are looked at.
        timeout_seconds: After this, the best of what was seen so far is taken.

    Raises:
        ValueError: There is no such stretch, or no samples are asked for.
        MediaFailed: The file has no picture, none of it decodes, or nothing was decoded within
            the limit.
    """
    if not 0 <= start_time <= end_time or samples < 1:
        raise ValueError(f"no frames can be taken from {start_time} s to {end_time} s")
    if facts.video is None:
        raise MediaFailed(f"'{media.name}' has no picture, so there is no thumbnail of it")
    stretch = _Stretch(
        media=media,
        facts=facts,
        video=facts.video,
        start=start_time,
        end=end_time,
        samples=samples,
        deadline=time.monotonic() + timeout_seconds,
    )
    candidates = _look_at(stretch)
    if not candidates:
        if stretch.late():
            raise MediaFailed(
                f"No frame of '{media.name}' was decoded within {timeout_seconds:g} s"
            )
        raise MediaFailed(
            f"No frame of '{media.name}' from {start_time:.1f} s to {end_time:.1f} s decodes",
            remedy="Play that part of the file to see whether it is damaged",
        )
    chosen = candidates[best_frame([candidate.luma for candidate in candidates])]
    partial = destination.with_name(f".{destination.name}.part")
    try:
        partial.write_bytes(encoded_jpeg(chosen.picture))
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)
    return ThumbnailChoice(
        path=destination,
        time_seconds=chosen.time,
        width=chosen.picture.width,
        height=chosen.picture.height,
    )


def fitted_size(
    width: int, height: int, *, pixel_aspect: Fraction = Fraction(1)
) -> tuple[int, int]:
    """Size of the thumbnail of an upright picture.

    Args:
        width: Pixels across, as presented.
        height: Pixels down, as presented.
        pixel_aspect: Width of one pixel divided by its height, as presented.

    Returns:
        Even width and height with the picture's proportions, within 640x360, or 360x640 for a
        picture that is taller than wide; never larger than the picture is shown.
    """
    shown_width = width * pixel_aspect
    portrait = shown_width < height
    box = (SHORT_SIDE, LONG_SIDE) if portrait else (LONG_SIDE, SHORT_SIDE)
    scale = min(Fraction(1), box[0] / shown_width, Fraction(box[1], height))
    return _even(shown_width * scale), _even(height * scale)


def _even(length: Fraction) -> int:
    return max(2, 2 * round(length / 2))


def sample_times(start: float, end: float, samples: int) -> list[float]:
    """Middles of equal parts of a stretch, in seconds."""
    part = (end - start) / samples
    return [start + (number + 0.5) * part for number in range(samples)]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What is looked at, and until when."""

    media: Path
    facts: MediaFacts
    video: VideoStream
    start: float
    end: float
    samples: int
    deadline: float

    def late(self) -> bool:
        return time.monotonic() >= self.deadline

    def contains(self, seconds: float) -> bool:
        return self.start - _TIME_TOLERANCE_SECONDS <= seconds < self.end - _TIME_TOLERANCE_SECONDS


_Look = Callable[[_Stretch, InputContainer, Any], Iterator[_Candidate]]


def _look_at(stretch: _Stretch) -> list[_Candidate]:
    """Candidates in order of time, without damaged ones where there are others."""
    found = _collected(stretch, _keyframes)
    if len(found) < min(_ENOUGH_KEYFRAMES, stretch.samples) or not any(map(_is_presentable, found)):
        times = {candidate.time for candidate in found}
        more = _collected(stretch, _decoded_through)
        found += [candidate for candidate in more if candidate.time not in times]
    found.sort(key=lambda candidate: candidate.time)
    return [candidate for candidate in found if not candidate.damaged] or found


def _is_presentable(candidate: _Candidate) -> bool:
    return not candidate.damaged and exposure(candidate.luma) >= PRESENTABLE_EXPOSURE


def _collected(stretch: _Stretch, look: _Look) -> list[_Candidate]:
    """Run one way of looking; what it saw before the file turned out broken still counts."""
    found: list[_Candidate] = []
    try:
        with open_media(stretch.media, stretch.facts) as container:
            stream: Any = container.streams[stretch.video.index]
            stream.codec_context.thread_count = 1
            for candidate in look(stretch, container, stream):
                found.append(candidate)  # noqa: PERF402 - a failure must not lose what was seen
    except (av.error.FFmpegError, OSError, OverflowError):
        pass
    return found


def _keyframes(stretch: _Stretch, container: InputContainer, stream: Any) -> Iterator[_Candidate]:
    """The keyframes before the sample times, each once."""
    origin = presented_origin(stretch.facts)
    decoded: set[int] = set()
    seen: set[float] = set()
    for moment in sample_times(stretch.start, stretch.end, stretch.samples):
        if stretch.late():
            return
        container.seek(int((origin + moment) / stream.time_base), stream=stream)
        found = _first_keyframe(container, stream, decoded)
        if found is None:
            continue
        seconds = found[0] - origin
        if stretch.contains(seconds) and seconds not in seen:
            seen.add(seconds)
            yield _candidate(stretch, stream, seconds, found[1])


def _first_keyframe(
    container: InputContainer, stream: Any, decoded: set[int]
) -> tuple[float, Any] | None:
    """The next keyframe, unless its time is among those that were decoded before."""
    for tried, packet in enumerate(container.demux(stream)):
        if tried > _PACKETS_TRIED:
            return None
        if not packet.is_keyframe or packet.is_discard:
            continue
        if packet.pts is not None:
            if packet.pts in decoded:
                return None
            decoded.add(packet.pts)
        try:
            # Draining gives the frame at once, without the packets it would be reordered with.
            frames = [*packet.decode(), *stream.codec_context.decode(None)]
        except av.error.FFmpegError:
            return None
        return next(((_stamp(frame, stream), frame) for frame in frames), None)
    return None


def _decoded_through(
    stretch: _Stretch, container: InputContainer, stream: Any
) -> Iterator[_Candidate]:
    """Frames of the stretch decoded one after the other, up to a number of them.

    Where no frame begins in the stretch, the one that is shown throughout it.
    """
    origin = presented_origin(stretch.facts)
    if stretch.video.codec in _SKIPPABLE_CODECS:
        stream.codec_context.skip_frame = "NONREF"
    if stretch.start > 0:
        container.seek(int((origin + stretch.start) / stream.time_base), stream=stream)
    part = (stretch.end - stretch.start) / stretch.samples
    due = stretch.start
    since_sample = 0
    past_the_end = 0
    lit = False
    shown: tuple[float, Any] | None = None
    for decoded, frame in enumerate(_frames(stretch, container, stream)):
        seconds = _stamp(frame, stream) - origin
        if seconds >= stretch.end - _TIME_TOLERANCE_SECONDS:
            # One frame alone may carry a stray time.
            past_the_end += 1
            if past_the_end >= _FRAMES_PAST_THE_END:
                break
            continue
        past_the_end = 0
        if seconds < stretch.start - _TIME_TOLERANCE_SECONDS:
            shown = (seconds, frame)
        elif seconds >= due - _TIME_TOLERANCE_SECONDS or since_sample >= _FRAMES_BETWEEN_SAMPLES:
            shown = None
            due = max(due, seconds) + part
            since_sample = 0
            candidate = _candidate(stretch, stream, seconds, frame)
            lit = lit or _is_presentable(candidate)
            yield candidate
        since_sample += 1
        if decoded >= (_FRAMES_DECODED if lit else _FRAMES_DECODED_FOR_LIGHT):
            break
    if shown is not None:
        yield _candidate(stretch, stream, *shown)


def _frames(stretch: _Stretch, container: InputContainer, stream: Any) -> Iterator[Any]:
    """Decoded frames; what is past the end is decoded only where more of the stretch follows."""
    end = presented_origin(stretch.facts) + stretch.end
    held: list[Any] = []
    for packet in container.demux(stream):
        if stretch.late():
            return
        # No frame is shown before it is decoded.
        if packet.size and packet.dts is not None and packet.dts * stream.time_base >= end:
            held.append(packet)
            if len(held) < _FRAMES_PAST_THE_END:
                continue
            break
        yield from _decoded([*held, packet] if packet.size else [packet])
        held.clear()
    else:
        return
    yield from stream.codec_context.decode(None)


def _decoded(packets: Iterable[Any]) -> Iterator[Any]:
    """Frames of those packets that decode; an empty packet is the end of the file."""
    for packet in packets:
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue


def _stamp(frame: Any, stream: Any) -> float:
    stamp = frame.pts if frame.pts is not None else frame.dts
    return float((stamp or 0) * (frame.time_base or stream.time_base))


def _candidate(stretch: _Stretch, stream: Any, seconds: float, frame: Any) -> _Candidate:
    return _Candidate(
        time=max(0.0, seconds),
        picture=_upright(frame, stream, stretch.video.rotation),
        damaged=bool(frame.is_corrupt),
    )


def _upright(frame: Any, stream: Any, rotation: int) -> Any:
    """Reduce a frame to the thumbnail's size, square pixels, JPEG's colours, and turn it."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    aspect = aspect if aspect > 0 else Fraction(1)
    width, height = frame.width, frame.height
    if rotation in {90, 270}:
        final = fitted_size(height, width, pixel_aspect=1 / aspect)
        scaled = (final[1], final[0])
    else:
        scaled = fitted_size(width, height, pixel_aspect=aspect)
    graph = av.filter.Graph()
    graph.threads = 1
    nodes = [
        graph.add_buffer(
            width=width, height=height, format=frame.format, time_base=stream.time_base
        ),
        graph.add(
            "scale",
            f"w={scaled[0]}:h={scaled[1]}:flags=area+accurate_rnd+full_chroma_int"
            f":in_color_matrix={_matrix(frame)}:out_color_matrix=bt601",
        ),
        graph.add("setsar", "1"),
        *(graph.add("transpose", turn) for turn in _TURNS[rotation]),
        # This format is full range; the scaler knows each frame's own.
        graph.add("format", "yuvj420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    graph.push(frame)
    return graph.pull()


def presented_jpeg(frame: Any, stream: Any, *, rotation: int) -> bytes:
    """A decoded frame as people see it: turned, with square pixels, within a thumbnail's size.

    Args:
        frame: The frame as decoded.
        stream: The stream that it is of, still open.
        rotation: Clockwise degrees that a player turns it by.
    """
    return encoded_jpeg(_upright(frame, stream, rotation))


def _matrix(frame: Any) -> str:
    guess = "bt709" if min(frame.width, frame.height) >= _HIGH_DEFINITION_FROM_HEIGHT else "bt601"
    return _MATRICES.get(int(frame.colorspace), guess)


def encoded_jpeg(picture: Any, *, quantiser: str = _JPEG_QUANTISER) -> bytes:
    """A picture in the format yuvj420p as a JPEG; the same pixels always give the same bytes."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = picture.width, picture.height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.sample_aspect_ratio = Fraction(1)
    # Exact: without the encoder's name and version in the file.
    encoder.options = {"qmin": quantiser, "qmax": quantiser, "flags": "+bitexact"}
    picture.pts = 0
    picture.time_base = encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
