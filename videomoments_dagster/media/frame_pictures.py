"""Pictures taken out of a video: the best of a stretch as its thumbnail, and single frames.

Keyframes are looked at first, because each costs one seek and one decoded frame however long the
file is. The picture is encoded from the very frame that was judged; to find it again with an
ffmpeg process would cost more than everything else here and could land on its neighbour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.base.files import replaced_whole, spoken_name
from videomoments_dagster.media.container import (
    UNREADABLE,
    MediaFile,
    frames_of,
    open_media,
    seek_near,
    time_of,
)
from videomoments_dagster.media.facts import MediaFacts, VideoStream
from videomoments_dagster.media.frame_access import (
    NAL_CODECS,
    TIME_TOLERANCE_SECONDS,
    frame_at,
    pixels,
)
from videomoments_dagster.media.stills import (
    PRESENTABLE_EXPOSURE,
    Luma,
    best_frame,
    encoded_jpeg,
    exposure,
    upright,
)

_PACKETS_TRIED = 300
_FRAMES_DECODED = 120
# A long black opening inside one group of pictures is worth waiting for.
_FRAMES_DECODED_FOR_LIGHT = 900
_FRAMES_PAST_THE_END = 24
_FRAMES_BETWEEN_SAMPLES = 24


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
        return pixels(self.picture.planes[0])


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
        raise MediaFailed(f"{spoken_name(media)} has no picture, so there is no thumbnail of it")
    deadline = time.monotonic() + timeout_seconds
    # The first picture is also shown before its own time.
    start_time = max(start_time, facts.pictures_start)
    end_time = max(end_time, start_time + 2 * TIME_TOLERANCE_SECONDS)
    stretch = _Stretch(media, facts, facts.video, start_time, end_time, samples, deadline)
    candidates = _look_at(stretch)
    if not candidates:
        if stretch.late():
            raise MediaFailed(
                f"No frame of {spoken_name(media)} was decoded within {timeout_seconds:g} s"
            )
        raise MediaFailed(
            f"No frame of {spoken_name(media)} from {start_time:.1f} s to {end_time:.1f} s decodes",
            remedy="Play that part of the file to see whether it is damaged",
        )
    chosen = candidates[best_frame([candidate.luma for candidate in candidates])]
    with replaced_whole(destination) as part:
        part.write_bytes(encoded_jpeg(chosen.picture))
    return ThumbnailChoice(destination, chosen.time, chosen.picture.width, chosen.picture.height)


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
        return self.start - TIME_TOLERANCE_SECONDS <= seconds < self.end - TIME_TOLERANCE_SECONDS


_Look = Callable[[_Stretch, InputContainer, Any], Iterator[_Candidate]]


def _look_at(stretch: _Stretch) -> list[_Candidate]:
    """Candidates in order of time, without damaged ones where there are others."""
    found = _collected(stretch, _keyframes)
    if len(found) < min(3, stretch.samples) or not any(map(_is_presentable, found)):
        times = {candidate.time for candidate in found}
        more = _collected(stretch, partial(_decoded_through, skip="NONREF"))
        # The keyframe before may be hidden by an edit list, and all that is shown be B-frames.
        more = more or found or _collected(stretch, partial(_decoded_through, skip="DEFAULT"))
        found += [candidate for candidate in more if candidate.time not in times]
    found.sort(key=lambda candidate: candidate.time)
    return [candidate for candidate in found if not candidate.damaged] or found


def _is_presentable(candidate: _Candidate) -> bool:
    return not candidate.damaged and exposure(candidate.luma) >= PRESENTABLE_EXPOSURE


def _collected(stretch: _Stretch, look: _Look) -> list[_Candidate]:
    """Run one way of looking; what it saw before the file turned out broken still counts."""
    found: list[_Candidate] = []
    with (
        suppress(*UNREADABLE, OverflowError),
        open_media(stretch.media, stretch.facts) as container,
    ):
        stream: Any = container.streams[stretch.video.index]
        stream.codec_context.thread_count = 1
        for candidate in look(stretch, container, stream):
            found.append(candidate)  # noqa: PERF402 - a failure must not lose what was seen
    return found


def _keyframes(stretch: _Stretch, container: InputContainer, stream: Any) -> Iterator[_Candidate]:
    """The keyframes before the sample times, each once."""
    origin = stretch.facts.origin_seconds
    decoded: set[int] = set()
    seen: set[float] = set()
    for moment in sample_times(stretch.start, stretch.end, stretch.samples):
        if stretch.late():
            return
        seek_near(container, stream, origin + moment)
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
    for packet in islice(container.demux(stream), _PACKETS_TRIED):
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
        return next(((time_of(frame, stream), frame) for frame in frames), None)
    return None


def _decoded_through(
    stretch: _Stretch, container: InputContainer, stream: Any, *, skip: str
) -> Iterator[_Candidate]:
    """Frames of the stretch decoded one after the other, up to a number of them.

    Where no frame begins in the stretch, the one that is shown throughout it.
    """
    origin = stretch.facts.origin_seconds
    if stretch.video.codec in NAL_CODECS:
        stream.codec_context.skip_frame = skip
    if stretch.start > stretch.facts.pictures_start:
        seek_near(container, stream, origin + stretch.start)
    part = (stretch.end - stretch.start) / stretch.samples
    due = stretch.start
    since_sample = 0
    past_the_end = 0
    lit = False
    shown: tuple[float, Any] | None = None
    for decoded, frame in enumerate(_frames(stretch, container, stream)):
        seconds = time_of(frame, stream) - origin
        if seconds >= stretch.end - TIME_TOLERANCE_SECONDS:
            # One frame alone may carry a stray time.
            past_the_end += 1
            if past_the_end >= _FRAMES_PAST_THE_END:
                break
            continue
        past_the_end = 0
        if seconds < stretch.start - TIME_TOLERANCE_SECONDS:
            shown = (seconds, frame)
        elif seconds >= due - TIME_TOLERANCE_SECONDS or since_sample >= _FRAMES_BETWEEN_SAMPLES:
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
    end = stretch.facts.origin_seconds + stretch.end
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
        # An empty packet is the end of the file.
        for one in [*held, packet] if packet.size else [packet]:
            yield from frames_of(one)
        held.clear()
    else:
        return
    yield from stream.codec_context.decode(None)


def _candidate(stretch: _Stretch, stream: Any, seconds: float, frame: Any) -> _Candidate:
    picture = upright(frame, stream, stretch.video.rotation)
    return _Candidate(max(0.0, seconds), picture, bool(frame.is_corrupt))


class FrameSamples:
    """Frames of one video by presented time; its file is opened when the first is wanted."""

    def __init__(self, file: Callable[[], Path], *, facts: MediaFacts) -> None:
        """Prepare to look.

        Args:
            file: Gives the file; called only where a frame is wanted, since it may be fetched.
            facts: The file's probe.
        """
        self._file = file
        self._facts = facts

    def frames(self, times_seconds: Sequence[float]) -> tuple[bytes, ...]:
        """The frames shown at these times, as JPEG of at most 640x360 or 360x640 pixels.

        Args:
            times_seconds: Presented times in seconds.

        Returns:
            Pictures in the order of the times, without those that do not decode; none for a
            source without a picture.

        Raises:
            MediaFailed: If the file cannot be opened.
        """
        video = self._facts.video
        if video is None or not times_seconds:
            return ()
        path = self._file()
        try:
            with open_media(path, self._facts) as container, MediaFile(path, self._facts) as media:
                stream = container.streams[video.index]
                found = (frame_at(media, seconds) for seconds in times_seconds)
                return tuple(
                    encoded_jpeg(upright(one.frame, stream, video.rotation))
                    for one in found
                    if one is not None
                )
        except UNREADABLE as error:
            raise MediaFailed(
                f"no frames of {spoken_name(path)} can be decoded",
                remedy="Materialise 'video' for this partition again",
            ) from error
