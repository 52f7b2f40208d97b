"""A video's time line: where people speak, where its moments are, and how good they are.

Belongs here: the drawing, in two sizes. Does not belong here: measuring or choosing anything.

The small one fits what Dagster's UI shows at once, and gives up details until it does. The large
one has a scale and numbers. Times are seconds; moments that were moved are drawn below the ones
that they were moved from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from videomoments_dagster.base.text import clock
from videomoments_dagster.moments.pictures.clock import tick_times
from videomoments_dagster.moments.pictures.svg import (
    INLINE_CHARACTERS,
    MOST_CHARACTERS,
    markdown_picture,
    number,
    svg_address,
)

_SMALL_WIDTH, _SMALL_SPEECH, _SMALL_BAR = 600, 16, 12
_LARGE_WIDTH, _LEFT, _RIGHT = 880, 76, 14
_SPEECH, _BAR, _ROOM = 44, 22, 16
_DIGIT_WIDTH = 7
_LABELLED_FROM_WIDTH = 6.0
_MOST_NAMED_IN_WORDS = 12
_STYLE = (
    "svg{background:#fff}text{font:11px sans-serif;fill:#444}.f{fill:#fff}.g{stroke:#ddd}"
    ".p{fill:#b8c0cc}.m{fill:#2f6fde}.o{fill:none;stroke:#8a93a3}"
    "@media(prefers-color-scheme:dark){svg{background:#12151f}text{fill:#ccd}.f{fill:#12151f}"
    ".g{stroke:#333a4a}.p{fill:#4b5568}.m{fill:#6ea0ff}.o{stroke:#8a93a3}}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A moment on the time line. Times in seconds; `score` 0 to 10, or None."""

    start: float
    end: float
    score: int | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is drawn.

    Attributes:
        duration_seconds: Length of the video.
        density: Gives the share of speech in so many equal parts of the video.
        moments: The moments, in order of time.
        before: Where they were before their boundaries were moved; empty where they were not.
    """

    duration_seconds: float
    density: Callable[[int], Sequence[float]]
    moments: Sequence[Bar]
    before: Sequence[Bar] = field(default=())


def small_timeline(timeline: Timeline) -> str:
    """Markdown with a time line that Dagster's UI shows at once; empty where it cannot be."""
    words = _in_short(timeline)
    for parts, scores in ((75, True), (50, True), (30, True), (30, False), (15, False)):
        picture = svg_address(_small(timeline, parts=parts, scores=scores))
        text = markdown_picture(picture, words=words)
        if len(text) <= INLINE_CHARACTERS:
            return text
    return ""


def large_timeline(timeline: Timeline) -> str:
    """Markdown with a time line that has a scale; empty where it would be too much to keep."""
    words = _at_length(timeline)
    for parts, scores in ((158, True), (79, True), (79, False), (20, False)):
        picture = svg_address(_large(timeline, parts=parts, scores=scores))
        text = markdown_picture(picture, words=words)
        if len(text) <= MOST_CHARACTERS:
            return text
    return ""


def _in_short(timeline: Timeline) -> str:
    [share] = timeline.density(1)
    return (
        f"Time line of {clock(timeline.duration_seconds)}: {len(timeline.moments)} moments, "
        f"speech in {share:.0%}"
    )


def _at_length(timeline: Timeline) -> str:
    named = [
        f"{clock(bar.start)} to {clock(bar.end)}"
        + ("" if bar.score is None else f" (score {bar.score})")
        for bar in timeline.moments[:_MOST_NAMED_IN_WORDS]
    ]
    if len(timeline.moments) > len(named):
        named.append(f"and {len(timeline.moments) - len(named)} more")
    return _in_short(timeline) + (": " + ", ".join(named) if named else "")


def _small(timeline: Timeline, *, parts: int, scores: bool) -> str:
    """Grey and blue of a middling brightness, which stand out from white and from black."""
    scale = _Scale(timeline.duration_seconds, left=0, width=_SMALL_WIDTH)
    top = 14 if scores else 0
    middle = top + _SMALL_BAR // 2
    moved = top + _SMALL_BAR + 3
    base = moved + (4 if timeline.before else 0) + _SMALL_SPEECH
    speech = _area(timeline.density(parts), scale, base, _SMALL_SPEECH)
    drawn = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_SMALL_WIDTH}' height='{base}'>",
        f"<path fill='#888' opacity='.6' d='{speech}'/>",
    ]
    if timeline.before:
        lines = "".join(
            f"M{scale.pixel(bar.start)},{moved}h{scale.pixels(bar.end - bar.start)}"
            for bar in timeline.before
        )
        drawn.append(f"<path stroke='#888' stroke-width='3' d='{lines}'/>")
    if timeline.moments:
        lines = "".join(
            f"M{scale.pixel(bar.start)},{middle}h{scale.pixels(bar.end - bar.start)}"
            for bar in timeline.moments
        )
        drawn.append(f"<path stroke='#4682e6' stroke-width='{_SMALL_BAR}' d='{lines}'/>")
    if scores:
        drawn.append(
            _scores(
                timeline.moments,
                scale,
                y=10,
                attributes=" fill='#777' style='font:11px sans-serif'",
            )
        )
    return "".join(drawn) + "</svg>"


def _large(timeline: Timeline, *, parts: int, scores: bool) -> str:
    width = _LARGE_WIDTH - _LEFT - _RIGHT
    scale = _Scale(timeline.duration_seconds, left=_LEFT, width=width)
    lane, lanes = 24, []
    if timeline.before:
        lanes.append(_label("found", lane + _BAR - 7))
        lanes += _boxes(timeline.before, scale, top=lane, kind="o")
        lane += _BAR + 6 + (_ROOM if scores else 0)
    if scores:
        lanes.append(_scores(timeline.moments, scale, y=lane - 4, attributes=""))
        if lanes[-1]:
            lanes.append(_label("score", lane - 4))
    lanes.append(_label("refined" if timeline.before else "moments", lane + _BAR - 7))
    lanes += _boxes(timeline.moments, scale, top=lane, kind="m")
    base = lane + _BAR + _ROOM + _SPEECH
    height = base + 24
    ticks = tick_times(timeline.duration_seconds, at_most=11)
    grid = "".join(f"M{scale.pixel(tick)},8V{base + 4}" for tick in ticks)
    return "".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{_LARGE_WIDTH}' height='{height}'>",
            f"<style>{_STYLE}</style><rect class='f' width='100%' height='100%'/>",
            f"<path class='g' d='{grid}'/>",
            _label("speech", base - 7),
            f"<path class='p' d='{_area(timeline.density(parts), scale, base, _SPEECH)}'/>",
            *lanes,
            *(
                f"<text x='{scale.pixel(tick)}' y='{base + 17}' text-anchor='middle'>"
                f"{clock(tick)}</text>"
                for tick in ticks
            ),
            "</svg>",
        ]
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """From seconds to pixels. What lies outside the video is drawn at its edge."""

    duration_seconds: float
    left: float
    width: float

    def position(self, seconds: float) -> float:
        share = seconds / self.duration_seconds if self.duration_seconds > 0 else 0.0
        return self.left + self.width * min(1.0, max(0.0, share))

    def pixel(self, seconds: float) -> str:
        return number(self.position(seconds))

    def pixels(self, seconds: float) -> str:
        """A length; the shortest can still be seen."""
        return number(max(1.0, self.position(seconds) - self.left))


def _label(text: str, y: float) -> str:
    return f"<text x='10' y='{number(y)}'>{text}</text>"


def _boxes(bars: Sequence[Bar], scale: _Scale, *, top: int, kind: str) -> list[str]:
    """One path for all moments of a score: the better the score, the stronger the colour."""
    by_score: dict[int | None, list[str]] = {}
    for bar in bars:
        wide = scale.pixels(bar.end - bar.start)
        box = f"M{scale.pixel(bar.start)},{top}h{wide}v{_BAR}h-{wide}z"
        by_score.setdefault(bar.score if kind == "m" else None, []).append(box)
    return [
        f"<path class='{kind}'{_strength(score)} d='{''.join(boxes)}'/>"
        for score, boxes in sorted(
            by_score.items(), key=lambda one: -1 if one[0] is None else one[0]
        )
    ]


def _strength(score: int | None) -> str:
    return "" if score is None else f" opacity='{number(0.4 + 0.06 * min(10, max(0, score)))}'"


def _scores(bars: Sequence[Bar], scale: _Scale, *, y: int, attributes: str) -> str:
    """All scores as one text, whose digits have each a place of their own."""
    places: list[str] = []
    digits = ""
    free = 0.0
    for bar in bars:
        if bar.score is None:
            continue
        shown = str(bar.score)
        middle = scale.position((bar.start + bar.end) / 2)
        left = middle - len(shown) * _DIGIT_WIDTH / 2
        if left < free:
            continue
        digits += shown
        places += [str(round(left + n * _DIGIT_WIDTH)) for n in range(len(shown))]
        free = left + len(shown) * _DIGIT_WIDTH + 1
    return f"<text{attributes} y='{y}' x='{','.join(places)}'>{digits}</text>" if digits else ""


def _area(density: Sequence[float], scale: _Scale, base: int, height: int) -> str:
    """Steps of equal width; equal neighbours are one step."""
    wide = scale.width / len(density)
    path = [f"M{number(scale.left)},{base}"]
    level, since = 0, 0
    for part, share in enumerate([*density, 0.0]):
        tall = round(share * height) if part < len(density) else 0
        if tall == level and part < len(density):
            continue
        if part > since:
            path.append(f"H{number(scale.left + part * wide)}")
        if tall != level:
            path.append(f"V{base - tall}")
        level, since = tall, part
    return "".join(path) + "z"
