"""The timeline's geometry.

Belongs here: where speech, moments, refined boundaries and clips lie. Widths are per cent of the
video's length, heights pixels. Does not belong here: colours (`page.css`) or SVG (`page.html`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videomoments_dagster.base.text import clock
from videomoments_dagster.moments.records import Clip, Moment
from videomoments_dagster.speech.transcript import Word

SPEECH_BINS = 200
SPEECH_HEIGHT = 24
BARS_TOP = 30
BARS_HEIGHT = 44

_LOWEST_BAR = 10
_NARROWEST_PERCENT = 0.7
_HIGHEST_SCORE = 10
_MOST_TICKS = 5
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


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


def stretch(start: float, end: float, duration: float, *, y: int, height: int) -> Bar:
    """Place a stretch of the video; very short ones are drawn wide enough to be seen and hit."""
    left = _clamped(start / duration * 100)
    width = max(_NARROWEST_PERCENT, _clamped(end / duration * 100) - left)
    return Bar(
        x=f"{min(left, 100 - width):.3f}%",
        width=f"{width:.3f}%",
        y=y,
        height=height,
    )


def moment_bar(moment: Moment, duration: float) -> Bar:
    """Place a moment; the higher its score, the higher its bar."""
    score = _HIGHEST_SCORE / 2 if moment.score is None else moment.score
    share = min(1.0, max(0.0, score / _HIGHEST_SCORE))
    height = _LOWEST_BAR + round((BARS_HEIGHT - _LOWEST_BAR) * share)
    return stretch(
        moment.start_time,
        moment.end_time,
        duration,
        y=BARS_TOP + BARS_HEIGHT - height,
        height=height,
    )


def refined_bar(moment: Moment, duration: float) -> Bar:
    """Place refined boundaries, in a lane of their own under the bars."""
    return stretch(
        moment.start_time, moment.end_time, duration, y=BARS_TOP + BARS_HEIGHT + 3, height=4
    )


def clip_bar(clip: Clip, duration: float) -> Bar:
    """Place a clip, padding included, under everything."""
    return stretch(clip.start_time, clip.end_time, duration, y=BARS_TOP, height=BARS_HEIGHT)


def speech_path(words: Sequence[Word], duration: float) -> str:
    """Draw how much of each stretch is spoken: an SVG path in a box of bins by 100.

    Empty where nothing is said.
    """
    width = duration / SPEECH_BINS
    spoken = [0.0] * SPEECH_BINS
    for word in words:
        number = int(max(0.0, word.start) / width)
        start = word.start
        while number < SPEECH_BINS and start < word.end:
            end = min(word.end, (number + 1) * width)
            spoken[number] += max(0.0, end - start)
            start, number = end, number + 1
    if not any(spoken):
        return ""
    steps = [round(100 * min(1.0, seconds / width)) for seconds in spoken]
    return "M0 100" + "".join(f"V{100 - step}h1" for step in steps) + "V100z"


def ticks(duration: float) -> tuple[Tick, ...]:
    """Give a few round times to write under the timeline."""
    step = next((step for step in _STEPS if duration / step <= _MOST_TICKS), _STEPS[-1])
    while duration / step > _MOST_TICKS:
        step *= 2
    return tuple(
        Tick(x=f"{number * step / duration * 100:.3f}%", text=clock(number * step))
        for number in range(int(duration // step) + 1)
        # The last ones would be written over the edge.
        if number * step <= duration * 0.94
    )


def _clamped(percent: float) -> float:
    return min(100.0, max(0.0, percent))
