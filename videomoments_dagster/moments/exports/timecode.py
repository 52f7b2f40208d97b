"""Frame rates, frames and SMPTE timecodes, and exact conversion between them and seconds.

Seconds are floats on the presented timeline. They become frames by exact rational arithmetic, so
that an hour of 29.97 is not a frame off.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

_DROPPING = (30, 60)
_SAME_RATE = Fraction(4, 10_000)
_HIGHEST_WHOLE = 240
_SECONDS_PER_DAY = 24 * 3600
_TENS_OF_MINUTES = 10
_TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)[:;](\d\d\d?)")


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
    def drops_frames(self) -> bool:
        """Whether its timecode is drop-frame, so that it keeps up with the clock."""
        return self.is_ntsc and self.nominal in _DROPPING

    def __str__(self) -> str:
        return f"{float(self.exact):.6g}"


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
    base = rate.nominal
    number = frames
    if rate.drops_frames:
        dropped = base // 15
        per_minute = base * 60 - dropped
        per_ten = per_minute * _TENS_OF_MINUTES + dropped
        tens, rest = divmod(frames, per_ten)
        # The first of ten minutes is whole.
        minutes = 0 if rest < base * 60 else 1 + (rest - base * 60) // per_minute
        number += dropped * (tens * (_TENS_OF_MINUTES - 1) + minutes)
    seconds, frame = divmod(number, base)
    if not 0 <= seconds < _SECONDS_PER_DAY:
        raise TimecodeOutOfRange(f"frame {frames} at {rate} frames a second is not within a day")
    hours, rest = divmod(seconds, 3600)
    separator = ";" if rate.drops_frames else ":"
    width = len(str(base - 1)) if base > 1 else 1
    return f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}{separator}{frame:0{max(2, width)}d}"


def frames_of(code: str, rate: FrameRate) -> int:
    """Read a timecode of that rate.

    Raises:
        ValueError: It is none, or names a frame that the rate does not have.
    """
    match = _TIMECODE.fullmatch(code)
    if match is None:
        raise ValueError(f"'{code}' is no timecode")
    hours, minutes, seconds, frame = map(int, match.groups())
    base = rate.nominal
    dropped = base // 15 if rate.drops_frames else 0
    if frame >= base or (seconds == 0 and frame < dropped and minutes % _TENS_OF_MINUTES):
        raise ValueError(f"'{code}' names no frame at {rate} frames a second")
    all_minutes = hours * 60 + minutes
    number = (all_minutes * 60 + seconds) * base + frame
    return number - dropped * (all_minutes - all_minutes // _TENS_OF_MINUTES)
