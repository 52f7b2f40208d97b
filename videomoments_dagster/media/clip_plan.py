"""What a clip has to show, worked out once, before anything is cut.

That is how much of the video it shows around its moment, and the source's pictures there, with
which both ways of cutting and the proof compare themselves.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.base.files import spoken_name
from videomoments_dagster.media.container import UNREADABLE, MediaFile
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.frame_access import (
    ShownFrame,
    frame_at,
    frame_by_packets,
    presented_times,
    sound_from,
)


@dataclass(frozen=True, slots=True)
class ClipWindow:
    """The part of a video that a clip shows, in seconds of the presented timeline.

    Attributes:
        start_time: Where the clip starts, at least 0.
        end_time: Where the clip ends, at most the video's duration.
        padding_left: Seconds before the moment that the video had room for.
        padding_right: Seconds after the moment that the video had room for.
    """

    start_time: float
    end_time: float
    padding_left: float
    padding_right: float


def clip_window(
    moment_start: float,
    moment_end: float,
    *,
    duration: float,
    padding_left: float = 15.0,
    padding_right: float = 30.0,
) -> ClipWindow:
    """Pad a moment on both sides, as far as the video goes.

    Args:
        moment_start: Start of the moment in seconds, inside the video.
        moment_end: End of the moment in seconds, after its start.
        duration: Presented duration of the video in seconds.
        padding_left: Seconds wanted before the moment.
        padding_right: Seconds wanted after the moment.

    Raises:
        ValueError: The moment or the padding is no such thing.
    """
    if not 0 <= moment_start < moment_end:
        raise ValueError(f"a moment from {moment_start} s to {moment_end} s has no length")
    if moment_start >= duration:
        raise ValueError(f"a moment at {moment_start} s is not inside a video of {duration} s")
    if padding_left < 0 or padding_right < 0:
        raise ValueError("padding cannot be negative")
    moment_end = min(moment_end, duration)
    start = max(0.0, moment_start - padding_left)
    end = min(duration, moment_end + padding_right)
    return ClipWindow(start, end, moment_start - start, end - moment_end)


CutMethod = Literal["auto", "copy", "encode"]


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """A clip to cut.

    Attributes:
        source: The video.
        facts: Its probe.
        start_time: Presented time in seconds at which the clip starts.
        end_time: Presented time in seconds at which it ends; cut to the video's duration.
        destination: MP4 file to write; appears only when it is finished and proved.
        method: "copy" never encodes, "encode" never copies, "auto" copies where it can.
    """

    source: Path
    facts: MediaFacts
    start_time: float
    end_time: float
    destination: Path
    method: CutMethod = "auto"


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip to cut, and what the source shows there.

    Attributes:
        source: The file that it is cut from, open.
        start_time: Presented time in the source at which the clip starts, seconds.
        end_time: Presented time in the source at which it ends, seconds.
        first: The frame that the source shows at `start_time`; None for a source without a
            picture. It may begin only later, and is held from `start_time` then.
        pictures: Presented times of the source's pictures, from `first` until `end_time`.
        sound_from: Presented time to seek to for its sound; None where the source has none there.
        cancelled: Set to stop ffmpeg.
    """

    source: MediaFile
    start_time: float
    end_time: float
    first: ShownFrame | None
    pictures: tuple[float, ...]
    sound_from: float | None
    cancelled: threading.Event | None

    @property
    def facts(self) -> MediaFacts:
        """The source's probe."""
        return self.source.facts

    @property
    def duration(self) -> float:
        """Seconds that the clip is to last."""
        return self.end_time - self.start_time

    @property
    def frame_seconds(self) -> float:
        """Usual length of a frame in seconds, as a tolerance; not that of a slide that stays."""
        video, audio = self.facts.video, self.facts.audio
        if video is None:
            return 1152 / audio.sample_rate if audio else 0.0  # an MP3's packet; AAC has 1024
        return min(1 / video.frame_rate, 0.25) if video.frame_rate else 0.04

    @property
    def task(self) -> str:
        """The work in words, for failures."""
        span = f"{self.start_time:.3f}-{self.end_time:.3f}"
        return f"cutting {span} s out of {spoken_name(self.source.path)}"


def plan_clip(
    source: MediaFile, request: ClipRequest, *, copied: bool, cancelled: threading.Event | None
) -> ClipPlan:
    """Look at the source where the clip is to start and end.

    Args:
        source: The file to cut from, open.
        request: The clip.
        copied: Whether its packets are to be copied. Then the first frame is decoded only where
            packets leave a doubt.
        cancelled: Set to stop ffmpeg.

    Raises:
        MediaFailed: The times are not inside the source, or it cannot be read there.
    """
    name, lasts = source.path.name, source.facts.duration_seconds
    start, end = request.start_time, min(request.end_time, lasts)
    where = f"{start:.3f}-{request.end_time:.3f} s of '{name}'"
    if not 0 <= start < request.end_time:
        raise MediaFailed(f"A clip of {where} has no length")
    if start >= lasts:
        raise MediaFailed(f"A clip of {where} lies outside the source, which lasts {lasts:g} s")
    if source.facts.video is None:
        return ClipPlan(source, start, end, None, (), start, cancelled)
    try:
        first = (frame_by_packets(source, start) if copied else None) or frame_at(source, start)
        if first is not None:
            pictures = tuple(presented_times(source, start=first.time, end=end)) or (first.time,)
            sought = min(first.time, first.decoded_from, start)
            heard_from = None
            if source.facts.audio is not None:
                heard_from = sound_from(source, start=start, end=end, seek_to=sought)
            return ClipPlan(source, start, end, first, pictures, heard_from, cancelled)
    except (*UNREADABLE, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise MediaFailed(f"'{name}' cannot be read for cutting: {why}") from error
    raise MediaFailed(f"No picture of '{name}' decodes at {start:.3f} s")
