"""The geometry of a page's timeline: widths in per cent of the video's length, heights in pixels.

Colours are in `page.css`, the SVG in `page.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videomoments_dagster.base.text import clock, tick_times
from videomoments_dagster.moments.records import Clip, Moment
from videomoments_dagster.speech.transcript import Word, speech_density, spoken_stretches

SPEECH_BINS = 200
BARS_TOP = 30
BARS_HEIGHT = 44

_LOWEST_BAR = 10
_NARROWEST_PERCENT = 0.7


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch: `x` and `width` in per cent, `y` and `height` in pixels."""

    x: str
    width: str
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A time under the timeline, at `x` per cent."""

    x: str
    text: str


def moment_bar(moment: Moment, duration: float) -> Bar:
    """Place a moment; the higher its score, the higher its bar."""
    score = 5 if moment.score is None else min(10, max(0, moment.score))
    height = _LOWEST_BAR + round((BARS_HEIGHT - _LOWEST_BAR) * score / 10)
    return _bar(moment, duration, y=BARS_TOP + BARS_HEIGHT - height, height=height)


def refined_bar(moment: Moment, duration: float) -> Bar:
    """Place refined boundaries, in a lane of their own under the bars."""
    return _bar(moment, duration, y=BARS_TOP + BARS_HEIGHT + 3, height=4)


def clip_bar(clip: Clip, duration: float) -> Bar:
    """Place a clip, padding included, under everything."""
    return _bar(clip, duration, y=BARS_TOP, height=BARS_HEIGHT)


def speech_path(words: Sequence[Word], duration: float) -> str:
    """Draw how much of each stretch is spoken: an SVG path in a box of bins by 100.

    Empty where nothing is said.
    """
    stretches = spoken_stretches(words, duration_seconds=duration)
    density = speech_density(stretches, duration_seconds=duration, parts=SPEECH_BINS)
    if not any(density):
        return ""
    return "M0 100" + "".join(f"V{100 - round(100 * share)}h1" for share in density) + "V100z"


def ticks(duration: float) -> tuple[Tick, ...]:
    """Give a few round times to write under the timeline."""
    return tuple(
        Tick(x=f"{time / duration * 100:.3f}%", text=clock(time))
        for time in tick_times(duration, at_most=5)
        # The last ones would be written over the edge.
        if time <= duration * 0.94
    )


def _bar(span: Moment | Clip, duration: float, *, y: int, height: int) -> Bar:
    """Place a stretch of the video; very short ones are drawn wide enough to be seen and hit."""
    left, right = (
        min(100.0, max(0.0, seconds / duration * 100))
        for seconds in (span.start_time, span.end_time)
    )
    width = max(_NARROWEST_PERCENT, right - left)
    return Bar(x=f"{min(left, 100 - width):.3f}%", width=f"{width:.3f}%", y=y, height=height)
