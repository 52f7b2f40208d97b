"""Pictures inside Markdown: a video's time line, a photograph, a sheet of thumbnails.

Dagster's UI shows `![words](data:image/...)`, and nothing of HTML. A picture there follows the
theme of the system by `prefers-color-scheme`, which need not be the theme of the UI: it has to be
readable in both either way.

A time line shows where people speak, where the moments are, and how good they are. The small one
fits what the UI shows at once, and gives up details until it does; the large one has a scale and
numbers. Moments that were moved are drawn below the ones that they were moved from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote
from xml.sax.saxutils import escape

from videomoments_dagster.base.text import clock, folded, shown, tick_times
from videomoments_dagster.moments.records import Moment

INLINE_CHARACTERS = 999
"""Longest Markdown that Dagster's UI shows at once; longer texts are behind a link."""

MOST_CHARACTERS = 20_000
"""Longest picture, since the event log keeps each for good."""

_WEBP = "data:image/webp;base64,"
_GAP = 4
_SMALL_WIDTH, _SMALL_SPEECH, _SMALL_BAR = 600, 16, 12
_LARGE_WIDTH, _LEFT, _RIGHT = 880, 76, 14
_SPEECH, _BAR, _ROOM = 44, 22, 16
_DIGIT_WIDTH = 7
_STYLE = (
    "svg{background:#fff}text{font:11px sans-serif;fill:#444}.f{fill:#fff}.g{stroke:#ddd}"
    ".p{fill:#b8c0cc}.m{fill:#2f6fde}.o{fill:none;stroke:#8a93a3}"
    "@media(prefers-color-scheme:dark){svg{background:#12151f}text{fill:#ccd}.f{fill:#12151f}"
    ".g{stroke:#333a4a}.p{fill:#4b5568}.m{fill:#6ea0ff}.o{stroke:#8a93a3}}"
)
_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\[]`*_<>&"})


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a time line shows.

    Attributes:
        duration_seconds: Length of the video.
        density: Gives the share of speech in so many equal parts of the video.
        moments: The moments, in order of time.
        before: Where they were before their boundaries were moved; empty where they were not.
    """

    duration_seconds: float
    density: Callable[[int], Sequence[float]]
    moments: Sequence[Moment]
    before: Sequence[Moment] = ()


def small_timeline(timeline: Timeline) -> str:
    """Markdown with a time line that Dagster's UI shows at once; empty where it cannot be."""
    ways = ((75, True), (50, True), (30, True), (30, False), (15, False))
    pictures = (_small(timeline, parts, scores=scores) for parts, scores in ways)
    return _first_fitting(pictures, words=_in_short(timeline), longest=INLINE_CHARACTERS)


def large_timeline(timeline: Timeline) -> str:
    """Markdown with a time line that has a scale; empty where it would be too much to keep."""
    ways = ((158, True), (79, True), (79, False), (20, False))
    pictures = (_large(timeline, parts, scores=scores) for parts, scores in ways)
    return _first_fitting(pictures, words=_at_length(timeline), longest=MOST_CHARACTERS)


def photograph(picture: str, *, words: str) -> str:
    """Markdown that shows a WebP picture, given as base64, and says what it shows."""
    return markdown_picture(f"{_WEBP}{picture}", words=words)


def labelled_sheet(
    *, picture: str, width: int, height: int, columns: int, labels: Sequence[str], of: int
) -> str:
    """Markdown that shows a sheet of equal tiles with a label in the corner of each.

    Labels are white on a dark strip over the photograph, so that they can be read in any theme.

    Args:
        picture: The sheet as WebP in base64.
        width: Its width in pixels.
        height: Its height in pixels.
        columns: Tiles in a row.
        labels: One for each tile, in reading order; shown as they are, whatever is in them.
        of: How many thumbnails there are, on the sheet or not.
    """
    rows = -(-len(labels) // columns)
    across, down = width / min(columns, len(labels)), height / rows
    drawn = [
        f"<image width='{width}' height='{height}' href='{_WEBP}{picture}'/>",
        "<style>text{font:11px sans-serif;fill:#fff}rect{fill:#000;opacity:.7}</style>",
    ]
    for place, label in enumerate(labels):
        left, bottom = place % columns * across, (place // columns + 1) * down
        wide = min(across, _DIGIT_WIDTH * len(label) + 2 * _GAP)
        drawn.append(
            f"<rect x='{_number(left)}' y='{_number(bottom - 16)}' width='{_number(wide)}' "
            "height='16'/>" + _text(text_content(label), left + _GAP, bottom - _GAP)
        )
    more = f" of {of}" if of > len(labels) else ""
    words = f"{len(labels)}{more} thumbnails: {', '.join(labels)}"
    return markdown_picture(_svg(width, height, drawn), words=words)


def markdown_picture(address: str, *, words: str) -> str:
    """Markdown that shows a picture, and says the same in words.

    Args:
        address: Address of the picture.
        words: What is to be seen, for those who do not see it.
    """
    return f"![{folded(words).translate(_MARKUP)}]({address})"


def text_content(text: str) -> str:
    """Text from anywhere as the content of an SVG element."""
    return escape(shown(text))


def _first_fitting(addresses: Iterable[str], *, words: str, longest: int) -> str:
    texts = (markdown_picture(address, words=words) for address in addresses)
    return next((text for text in texts if len(text) <= longest), "")


def _svg(width: int, height: int, drawn: Iterable[str]) -> str:
    """The address of a picture."""
    start = f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'>"
    return "data:image/svg+xml," + quote(f"{start}{''.join(drawn)}</svg>", safe="/:=,;'+-.!")


def _number(value: float) -> str:
    """A coordinate with one decimal at most, as short as it can be written."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def _in_short(timeline: Timeline) -> str:
    [share], count = timeline.density(1), len(timeline.moments)
    length = clock(timeline.duration_seconds)
    return f"Time line of {length}: {count} moments, speech in {share:.0%}"


def _at_length(timeline: Timeline) -> str:
    named = [
        f"{clock(one.start_time)} to {clock(one.end_time)}"
        + ("" if one.score is None else f" (score {one.score})")
        for one in timeline.moments[:12]
    ]
    if more := len(timeline.moments) - len(named):
        named.append(f"and {more} more")
    return _in_short(timeline) + (f": {', '.join(named)}" if named else "")


def _small(timeline: Timeline, parts: int, *, scores: bool) -> str:
    """Grey and blue of a middling brightness, which stand out from white and from black."""
    scale = _Scale(timeline.duration_seconds, left=0, width=_SMALL_WIDTH)
    top = 14 if scores else 0
    moved = top + _SMALL_BAR + 3
    base = moved + (4 if timeline.before else 0) + _SMALL_SPEECH
    speech = _area(timeline.density(parts), scale, base, _SMALL_SPEECH)
    drawn = [f"<path fill='#888' opacity='.6' d='{speech}'/>"]
    for moments, y, stroke, width in (
        (timeline.before, moved, "#888", 3),
        (timeline.moments, top + _SMALL_BAR // 2, "#4682e6", _SMALL_BAR),
    ):
        lines = (f"M{scale.pixel(one.start_time)},{y}h{scale.pixels(one)}" for one in moments)
        if moments:
            drawn.append(f"<path stroke='{stroke}' stroke-width='{width}' d='{''.join(lines)}'/>")
    if scores:
        style = " fill='#777' style='font:11px sans-serif'"
        drawn.append(_scores(timeline.moments, scale, y=10, attributes=style))
    return _svg(_SMALL_WIDTH, base, drawn)


def _large(timeline: Timeline, parts: int, *, scores: bool) -> str:
    scale = _Scale(timeline.duration_seconds, left=_LEFT, width=_LARGE_WIDTH - _LEFT - _RIGHT)
    lane, lanes = 24, []
    if timeline.before:
        lanes = [_text("found", 10, lane + _BAR - 7), *_boxes(timeline.before, scale, lane, "o")]
        lane += _BAR + 6 + (_ROOM if scores else 0)
    if scores and any(one.score is not None for one in timeline.moments):
        lanes += [_scores(timeline.moments, scale, y=lane - 4), _text("score", 10, lane - 4)]
    lanes.append(_text("refined" if timeline.before else "moments", 10, lane + _BAR - 7))
    lanes += _boxes(timeline.moments, scale, lane, "m")
    base = lane + _BAR + _ROOM + _SPEECH
    ticks = tick_times(timeline.duration_seconds, at_most=11)
    grid = "".join(f"M{scale.pixel(tick)},8V{base + 4}" for tick in ticks)
    centred = " text-anchor='middle'"
    drawn = [
        f"<style>{_STYLE}</style><rect class='f' width='100%' height='100%'/>",
        f"<path class='g' d='{grid}'/>",
        _text("speech", 10, base - 7),
        f"<path class='p' d='{_area(timeline.density(parts), scale, base, _SPEECH)}'/>",
        *lanes,
        *(_text(clock(tick), scale.position(tick), base + 17, centred) for tick in ticks),
    ]
    return _svg(_LARGE_WIDTH, base + 24, drawn)


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
        return _number(self.position(seconds))

    def pixels(self, moment: Moment) -> str:
        """Its length; the shortest can still be seen."""
        return _number(max(1.0, self.position(moment.end_time - moment.start_time) - self.left))


def _text(content: str, x: float, y: float, attributes: str = "") -> str:
    return f"<text x='{_number(x)}' y='{_number(y)}'{attributes}>{content}</text>"


def _boxes(moments: Sequence[Moment], scale: _Scale, top: int, kind: str) -> Iterator[str]:
    """One path for all moments of a score: the better the score, the stronger the colour."""
    by_score: defaultdict[int, str] = defaultdict(str)
    for one in moments:
        wide = scale.pixels(one)
        score = -1 if kind == "o" or one.score is None else one.score
        by_score[score] += f"M{scale.pixel(one.start_time)},{top}h{wide}v{_BAR}h-{wide}z"
    for score, boxes in sorted(by_score.items()):
        strength = "" if score < 0 else f" opacity='{_number(0.4 + 0.06 * min(10, score))}'"
        yield f"<path class='{kind}'{strength} d='{boxes}'/>"


def _scores(moments: Sequence[Moment], scale: _Scale, *, y: int, attributes: str = "") -> str:
    """All scores as one text, whose digits have each a place of their own."""
    places: list[str] = []
    digits, free = "", 0.0
    for one in moments:
        score = "" if one.score is None else str(one.score)
        wide = len(score) * _DIGIT_WIDTH
        left = scale.position((one.start_time + one.end_time) / 2) - wide / 2
        if score and left >= free:
            digits += score
            places += [str(round(left + n)) for n in range(0, wide, _DIGIT_WIDTH)]
            free = left + wide + 1
    return f"<text{attributes} y='{y}' x='{','.join(places)}'>{digits}</text>" if digits else ""


def _area(density: Sequence[float], scale: _Scale, base: int, height: int) -> str:
    """Steps of equal width; equal neighbours are one step."""
    wide = scale.width / len(density)
    path, part, level = f"M{_number(scale.left)},{base}", 0, 0
    for tall, run in groupby(round(share * height) for share in density):
        part += len(list(run))
        path += f"V{base - tall}" if tall != level else ""
        path += f"H{_number(scale.left + part * wide)}"
        level = tall
    return path + (f"V{base}z" if level else "z")
