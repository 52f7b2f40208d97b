"""What a clip has to show, worked out from the source once, before anything is cut.

Belongs here: the request, the source's frames at its ends, and what both ways of cutting and the
proof compare themselves with. Does not belong here: the cutting (`stream_copy`, `reencode`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.container import MediaFile
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.first_frame import (
    FirstFrame,
    first_frame_by_decoding,
    first_frame_by_packets,
)
from videomoments_dagster.media.frame_access import presented_times

_SAMPLES_PER_PACKET = 1152
_USUAL_FRAME_SECONDS = 0.04
_LONGEST_FRAME_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip to cut.

    Attributes:
        source_file: The file that it is cut from, open.
        start_time: Presented time in the source at which the clip starts, seconds.
        end_time: Presented time in the source at which it ends, seconds.
        first: The frame that the source shows at `start_time`; None for a source without a
            picture.
        pictures: Presented times of the source's pictures, from the first one until `end_time`.
        threads: Threads that decoding and encoding may use.
        timeout_seconds: Wall-clock limit of each ffmpeg process.
        cancelled: Set to stop ffmpeg.
    """

    source_file: MediaFile
    start_time: float
    end_time: float
    first: FirstFrame | None
    pictures: tuple[float, ...]
    threads: int
    timeout_seconds: float
    cancelled: threading.Event | None

    @property
    def source(self) -> Path:
        """The file that it is cut from."""
        return self.source_file.path

    @property
    def facts(self) -> MediaFacts:
        """That file's probe."""
        return self.source_file.facts

    @property
    def duration(self) -> float:
        """Seconds that the clip is to last."""
        return self.end_time - self.start_time

    @property
    def frame_seconds(self) -> float:
        """Usual length of a frame in seconds, as a tolerance; not that of a slide that stays."""
        video = self.facts.video
        if video is None:
            audio = self.facts.audio
            return _SAMPLES_PER_PACKET / audio.sample_rate if audio else 0.0
        if not video.frame_rate:
            return _USUAL_FRAME_SECONDS
        return min(1 / video.frame_rate, _LONGEST_FRAME_SECONDS)

    @property
    def what(self) -> str:
        """The work in words, for failures."""
        return f"cutting {self.start_time:.3f}-{self.end_time:.3f} s out of '{self.source.name}'"


def plan_clip(
    source_file: MediaFile,
    *,
    start_time: float,
    end_time: float,
    copied: bool,
    threads: int,
    timeout_seconds: float,
    cancelled: threading.Event | None,
) -> ClipPlan:
    """Look at the source where the clip is to start and end.

    Args:
        source_file: The file to cut from, open.
        start_time: Presented time in seconds at which the clip starts.
        end_time: Presented time in seconds at which it ends; cut to the video's duration.
        copied: Whether its packets are to be copied. Then the first frame is decoded only where
            packets leave a doubt.
        threads: Threads that decoding and encoding may use.
        timeout_seconds: Wall-clock limit of each ffmpeg process.
        cancelled: Set to stop ffmpeg.

    Raises:
        MediaFailed: The times are not inside the source, or its picture there does not decode.
    """
    source, facts = source_file.path, source_file.facts
    where = f"{start_time:.3f}-{end_time:.3f} s of '{source.name}'"
    if not 0 <= start_time < end_time:
        raise MediaFailed(f"A clip of {where} has no length")
    if start_time >= facts.duration_seconds:
        raise MediaFailed(
            f"A clip of {where} lies outside the source, which lasts {facts.duration_seconds:g} s"
        )
    end_time = min(end_time, facts.duration_seconds)
    first: FirstFrame | None = None
    pictures: list[float] = []
    if facts.video is not None:
        if copied:
            first = first_frame_by_packets(source_file, start_time)
        first = first or first_frame_by_decoding(source_file, start_time)
        if first is None:
            raise MediaFailed(f"No picture of '{source.name}' decodes at {start_time:.3f} s")
        pictures = presented_times(
            source_file,
            stream_index=facts.video.index,
            start=first.time,
            end=end_time,
        )
    return ClipPlan(
        source_file=source_file,
        start_time=start_time,
        end_time=end_time,
        first=first,
        pictures=tuple(pictures),
        threads=threads,
        timeout_seconds=timeout_seconds,
        cancelled=cancelled,
    )
