"""What a page draws and plays by: bars of its timeline, and the words in its segments.

Widths are in per cent of the video's length, heights in pixels. Colours are in `page.css`, the SVG
is in `page.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videomoments_dagster.base.text import clock, one_line, tick_times
from videomoments_dagster.moments.records import Clip, Moment
from videomoments_dagster.speech.transcripts import (
    Transcript,
    Word,
    speech_density,
    spoken_stretches,
)

SPEECH_BINS = 200
BARS_TOP = 30
BARS_HEIGHT = 44

_LOWEST_BAR = 10
_NARROWEST_PERCENT = 0.7
_CLOSE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch: `x` and `width` in per cent, `y` and `height` in pixels."""

    x: str
    width: str
    y: int
    height: int


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


def ticks(duration: float) -> list[dict[str, str]]:
    """Give a few round times to write under the timeline, each with its place `x` in per cent."""
    return [
        {"x": f"{time / duration * 100:.3f}%", "text": clock(time)}
        for time in tick_times(duration, at_most=5)
        # The last ones would be written over the edge.
        if time <= duration * 0.94
    ]


def _bar(span: Moment | Clip, duration: float, *, y: int, height: int) -> Bar:
    """Place a stretch of the video; very short ones are drawn wide enough to be seen and hit."""
    left, right = (
        min(100.0, max(0.0, seconds / duration * 100)) if duration > 0 else 0.0
        for seconds in (span.start_time, span.end_time)
    )
    width = max(_NARROWEST_PERCENT, right - left)
    return Bar(x=f"{min(left, 100 - width):.3f}%", width=f"{width:.3f}%", y=y, height=height)


@dataclass(frozen=True, slots=True)
class PageSegment:
    """A segment as a page shows it.

    The page's script makes words of the text only where it is played or clicked, by `words`.

    Attributes:
        text: Its text on one line.
        start: Seconds of the presented timeline.
        end: Likewise.
        words: Three whole numbers a word, separated by spaces: UTF-16 units since the end of the
            word before, UTF-16 units of the word, and hundredths of a second since the start of
            the word before (of the segment, for the first).
    """

    text: str
    start: float
    end: float
    words: str


def spoken_segments(transcript: Transcript) -> tuple[PageSegment, ...]:
    """Give the segments that have a text, with their words.

    A word that does not stand in the text of its segment is left out: the text is what is shown.
    """
    words = transcript.words
    found: list[PageSegment] = []
    at = 0
    for segment in transcript.segments:
        text, place, last = one_line(segment.text), 0, round(segment.start * 100)
        numbers: list[int] = []
        while at < len(words) and words[at].start <= segment.end + _CLOSE_SECONDS:
            word, spoken = one_line(words[at].text), round(words[at].start * 100)
            begins = text.find(word, place) if word else -1
            # At a common boundary it may be the first word of the next segment.
            if begins < 0 and words[at].start >= segment.end - _CLOSE_SECONDS:
                break
            at += 1
            if begins >= 0:
                numbers += [_units(text[place:begins]), _units(word), max(0, spoken - last)]
                place, last = begins + len(word), max(last, spoken)
        if text:
            offsets = " ".join(map(str, numbers))
            found.append(PageSegment(text, segment.start, segment.end, offsets))
    return tuple(found)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
