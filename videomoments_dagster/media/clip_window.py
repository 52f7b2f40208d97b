"""How much of a video the clip of a moment shows.

Belongs here: padding and its limits, as arithmetic. Does not belong here: cutting.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    return ClipWindow(
        start_time=start,
        end_time=end,
        padding_left=moment_start - start,
        padding_right=end - moment_end,
    )
