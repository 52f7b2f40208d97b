"""A transcript as captions that can be read: which words are shown when, on which lines.

Belongs here: cues. Does not belong here: how a file spells them (`webvtt`, `subrip`).

What holds of all cues: at most two lines of 42 columns; no cue begins before the one before it
has ended; each is shown for 1 to 7 seconds, or shorter where the next words follow sooner. Times
are whole milliseconds, as both formats have them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from videomoments_dagster.moments.exports.material import one_line
from videomoments_dagster.speech.transcript import Segment, Word

LINE_COLUMNS = 42
MOST_LINES = 2
LONGEST_MS = 7000
SHORTEST_MS = 1000

_PAUSE_MS = 1500
# Words fill no line to its end.
_FILLED = 0.9
_WIDE = {"W", "F"}
_COLON_OF_TIME = re.compile(r":(?=\d+[.,]\d)")


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption.

    Attributes:
        start_ms: When it appears, milliseconds.
        end_ms: When it goes, after `start_ms`.
        lines: One or two lines, none empty, without line breaks or controls.
    """

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """The smallest thing that is never divided: mostly a word and the space after it."""

    text: str
    start_ms: int
    end_ms: int
    ends_segment: bool = False


def cues(segments: Sequence[Segment], words: Sequence[Word]) -> tuple[Cue, ...]:
    """Divide a transcript into cues, at the times of its words.

    Args:
        segments: In time order.
        words: In time order, each inside a segment. A segment without words is shared out evenly.
    """
    shown: list[Cue] = []
    for run in _runs(list(_pieces(segments, words))):
        for group in _grouped(run):
            lines = _laid_out(_joined(group))
            if lines:
                shown.append(Cue(group[0].start_ms, max(piece.end_ms for piece in group), lines))
    return tuple(_timed(shown))


def without_times(line: str) -> str:
    """The line with another colon in what looks like a time with a fraction, such as 1:02.5.

    Some readers take a line with two of those for the beginning of a cue, whatever is between.
    """
    return _COLON_OF_TIME.sub("\u2236", line)


def columns(text: str) -> int:
    """Width of a text in columns: 2 for a wide character, 0 for a mark upon another."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(character) in {"Mn", "Me", "Cf"}
        else 2
        if unicodedata.east_asian_width(character) in _WIDE
        else 1
        for character in text
    )


def _pieces(segments: Sequence[Segment], words: Sequence[Word]) -> Iterator[_Piece]:
    at = 0
    for number, segment in enumerate(segments):
        following = segments[number + 1].start if number + 1 < len(segments) else None
        its_words: list[Word] = []
        while at < len(words) and (following is None or words[at].start < following):
            its_words.append(words[at])
            at += 1
        pieces = [
            small
            for piece in _texts_with_times(segment, its_words)
            for small in _no_longer_than_a_line(piece)
        ]
        for place, piece in enumerate(pieces):
            last = place + 1 == len(pieces)
            yield _Piece(
                piece.text + " " if last else piece.text,
                piece.start_ms,
                piece.end_ms,
                ends_segment=last,
            )


def _texts_with_times(segment: Segment, words: Sequence[Word]) -> list[_Piece]:
    """The segment's own text (which knows where spaces and commas are) at its words' times."""
    text = one_line(segment.text)
    starts: list[int] = []
    found = 0
    for word in words:
        found = text.find(one_line(word.text), found)
        if found < 0:
            break
        starts.append(found)
        found += len(one_line(word.text))
    if not words:
        return [_Piece(text, _ms(segment.start), _ms(segment.end))]
    if found < 0:
        texts = [f"{one_line(word.text)} " for word in words]
    else:
        edges = [0, *starts[1:], len(text)]
        texts = [text[a:b] for a, b in pairwise(edges)]
    return [
        _Piece(text, _ms(word.start), _ms(word.end))
        for text, word in zip(texts, words, strict=True)
        if text.strip()
    ]


def _no_longer_than_a_line(piece: _Piece) -> list[_Piece]:
    """The piece, or parts of it that fit on a line, at spaces where there are any."""
    if columns(piece.text.rstrip()) <= LINE_COLUMNS:
        return [piece]
    parts: list[str] = []
    rest = piece.text
    while columns(rest.rstrip()) > LINE_COLUMNS:
        end = len(rest)
        while columns(rest[:end]) > LINE_COLUMNS:
            end -= 1
        space = rest.rfind(" ", 1, end)
        cut = space + 1 if space > 0 else max(end, 1)
        parts.append(rest[:cut])
        rest = rest[cut:]
    parts.append(rest)
    span, whole = piece.end_ms - piece.start_ms, len(piece.text)
    pieces: list[_Piece] = []
    before = 0
    for part in parts:
        start = piece.start_ms + span * before // whole
        before += len(part)
        pieces.append(_Piece(part, start, piece.start_ms + span * before // whole))
    return [one for one in pieces if one.text.strip()]


def _runs(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces between which nothing ends: a segment, or several that are short, without a pause."""
    run: list[_Piece] = []
    for piece in pieces:
        if run:
            last = run[-1]
            full = last.ends_segment and last.end_ms - run[0].start_ms >= SHORTEST_MS
            if full or piece.start_ms - last.end_ms >= _PAUSE_MS:
                yield run
                run = []
        run.append(piece)
    if run:
        yield run


def _grouped(run: Sequence[_Piece]) -> list[list[_Piece]]:
    """Pieces that are shown together: about as many in each, so that none is left over alone."""
    full, loose = (list(_divided(run, filled=filled)) for filled in (1.0, _FILLED))
    return full if len(full) < len(loose) else loose


def _divided(run: Sequence[_Piece], *, filled: float) -> Iterator[list[_Piece]]:
    total = columns(_joined(run))
    by_space = math.ceil(total / (filled * MOST_LINES * LINE_COLUMNS))
    by_time = math.ceil((run[-1].end_ms - run[0].start_ms) / (filled * LONGEST_MS))
    wanted = total / max(by_space, by_time, 1)
    group: list[_Piece] = []
    used = 0
    for piece in run:
        if group:
            enough = used + columns(piece.text) / 2 > wanted
            too_long = piece.end_ms - group[0].start_ms > LONGEST_MS
            if enough or too_long or _laid_out(_joined([*group, piece])) is None:
                yield group
                group, used = [], 0
        group.append(piece)
        used += columns(piece.text)
    if group:
        yield group


def _joined(pieces: Sequence[_Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _laid_out(text: str) -> tuple[str, ...] | None:
    """One line, or two about as long as each other; None where two do not hold it."""
    whole = text.strip()
    if columns(whole) <= LINE_COLUMNS:
        return (whole,) if whole else ()
    if columns(whole) > MOST_LINES * LINE_COLUMNS:
        return None
    fitting = _breaks(whole, [at for at, character in enumerate(whole) if character == " "])
    if not fitting and any(unicodedata.east_asian_width(one) in _WIDE for one in whole):
        # Scripts without spaces break anywhere.
        fitting = _breaks(whole, range(1, len(whole)))
    return min(fitting, key=lambda pair: abs(columns(pair[0]) - columns(pair[1])), default=None)


def _breaks(text: str, places: Iterable[int]) -> list[tuple[str, str]]:
    """Both lines for each place at which a break leaves two that fit."""
    pairs = [(text[:at].strip(), text[at:].strip()) for at in places]
    return [pair for pair in pairs if all(line and columns(line) <= LINE_COLUMNS for line in pair)]


def _timed(shown: Sequence[Cue]) -> Iterator[Cue]:
    """The cues, none before the end of the one before it, none longer than can be borne."""
    before = -1
    starts: list[int] = []
    for cue in shown:
        before = max(cue.start_ms, before + 1, 0)
        starts.append(before)
    for number, cue in enumerate(shown):
        start = starts[number]
        end = min(max(cue.end_ms, start + SHORTEST_MS), start + LONGEST_MS)
        if number + 1 < len(starts):
            end = min(end, starts[number + 1])
        yield Cue(start, end, cue.lines)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
