"""Frame rates, frames and SMPTE timecodes, and exact conversion between them and seconds.

Seconds are floats on the presented timeline. They become frames by exact rational arithmetic, so
that an hour of 29.97 is not a frame off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

_DROPPING = (30, 60)
_SAME_RATE = Fraction(4, 10_000)
_HIGHEST_WHOLE = 240
_SECONDS_PER_DAY = 24 * 3600


class TimecodeOutOfRange(ValueError):
    """A time that no timecode can name: a day and more, or before 0."""


@dataclass(frozen=True, slots=True)
class FrameRate:
    """A frame rate that timecodes can count.

    Attributes:
        nominal: Frames that a second of timecode has, such as 30 for 29.97.
        is_ntsc: Whether it runs at 1000/1001 of that.
    """

    nominal: int
    is_ntsc: bool = False

    @property
    def exact(self) -> Fraction:
        """Frames per second, exactly."""
        return Fraction(self.nominal * 1000, 1001) if self.is_ntsc else Fraction(self.nominal)

    @property
    def dropped(self) -> int:
        """Numbers that a minute of its timecode leaves out to keep up with the clock; mostly 0."""
        return self.nominal // 15 if self.is_ntsc and self.nominal in _DROPPING else 0

    @property
    def frames_per_hour(self) -> int:
        """Frames in an hour of timecode, of whose minutes every tenth leaves out nothing."""
        return self.nominal * 3600 - self.dropped * 54


_KNOWN = (
    *map(FrameRate, (24, 25, 30, 48, 50, 60, 100, 120)),
    *(FrameRate(nominal, is_ntsc=True) for nominal in (24, 30, 48, 60, 120)),
)

FALLBACK_RATE = FrameRate(25)
"""For what has no frame rate: sound only, or a container that doesn't say."""


def frame_rate_of(stored: float | None) -> FrameRate:
    """The rate that timecodes of a video are counted in.

    A whole number of frames a second is taken as it is, and so are the NTSC rates, however their
    average was rounded. Anything else (mostly a variable rate) becomes the nearest rate that
    editors know, as they would conform it. Times stay right; only their grid is another.

    Args:
        stored: Average frames per second, or None.
    """
    if stored is None or not math.isfinite(stored) or stored <= 0:
        return FALLBACK_RATE
    rate = Fraction(stored)
    nearest = min(_KNOWN, key=lambda one: abs(one.exact - rate))
    whole = FrameRate(min(max(1, round(rate)), _HIGHEST_WHOLE))
    same = (one for one in (nearest, whole) if abs(one.exact - rate) <= one.exact * _SAME_RATE)
    return next(same, nearest)


def frames_at(seconds: float, rate: FrameRate) -> int:
    """The frame nearest to a time; halves go up."""
    return math.floor(Fraction(seconds) * rate.exact + Fraction(1, 2))


def timecode(frames: int, rate: FrameRate) -> str:
    """Write a frame number as `hh:mm:ss:ff`, or as drop-frame `hh:mm:ss;ff`.

    Drop-frame timecode leaves out the numbers (not the frames) 0 and 1 of each minute, of 59.94
    the numbers 0 to 3, except of every tenth minute.

    Raises:
        TimecodeOutOfRange: It is not within a day.
    """
    base, number = rate.nominal, frames
    if rate.dropped:
        per_minute = base * 60 - rate.dropped
        tens, rest = divmod(frames, per_minute * 10 + rate.dropped)
        # The first of ten minutes is whole.
        number += rate.dropped * (tens * 9 + max(0, (rest - rate.dropped) // per_minute))
    seconds, frame = divmod(number, base)
    if not 0 <= seconds < _SECONDS_PER_DAY:
        raise TimecodeOutOfRange(f"frame {frames} is not within a day")
    minutes, width = seconds // 60, max(2, len(str(base - 1)))
    separator = ";" if rate.dropped else ":"
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds % 60:02d}{separator}{frame:0{width}d}"
