"""A transcript as subtitles that can be read, and the files that players take: WebVTT and SubRip.

Of all subtitles holds: at most two lines of 42 columns; none begins before the one before it has
ended; each is shown for 1 to 7 seconds, or shorter where the next words follow sooner. Times are
whole milliseconds, as both formats have them.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise, zip_longest

from videomoments_dagster.base.text import one_line
from videomoments_dagster.moments.exports.material import Material, required_transcript
from videomoments_dagster.speech.transcripts import Segment, Word

LINE_COLUMNS = 42
MOST_LINES = 2
LONGEST_MS = 7000
SHORTEST_MS = 1000

_PAUSE_MS = 1500
# Words fill no line to its end.
_FILLED = 0.9
_WIDE = {"W", "F"}
_COLON_OF_TIME = re.compile(r":(?=\d+[.,]\d)")
# SubRip has no escapes, and players take these for tags and times.
_LOOK_ALIKES = str.maketrans({"<": "\u2039", ">": "\u203a", "{": "(", "}": ")"})


@dataclass(frozen=True, slots=True)
class Subtitle:
    """A subtitle.

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


def webvtt(material: Material) -> str:
    """Write the transcript as WebVTT (https://www.w3.org/TR/webvtt1/).

    `&`, `<` and `>` are escaped, so that nothing that is said is taken for a tag, and `-->` for
    a time.

    Raises:
        ResultMissing: There is no transcript.
    """
    cues = _cues(material, lambda line: html.escape(line, quote=False), point=".")
    return "\n".join(["WEBVTT\n", *cues])


def subrip(material: Material) -> str:
    """Write the transcript as SubRip.

    The format has no escapes: `<` and `>` become single angle quotation marks and braces
    become parentheses, so that nothing that is said is taken for a tag, and `-->` for a time.

    Raises:
        ResultMissing: There is no transcript.
    """
    cues = _cues(material, lambda line: line.translate(_LOOK_ALIKES), point=",")
    return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(cues, start=1))


def subtitles(segments: Sequence[Segment], words: Sequence[Word]) -> tuple[Subtitle, ...]:
    """Divide a transcript into subtitles, at the times of its words.

    Args:
        segments: In time order.
        words: In time order, each inside a segment. A segment without words is shared out evenly.
    """
    shown: list[Subtitle] = []
    for group in chain.from_iterable(map(_grouped, _split(_pieces(segments, words), _ends_run))):
        if lines := _laid_out(_joined(group)):
            end = max(piece.end_ms for piece in group)
            shown.append(Subtitle(group[0].start_ms, end, lines))
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
        1 + (unicodedata.east_asian_width(character) in _WIDE)
        for character in text
        if unicodedata.category(character) not in {"Mn", "Me", "Cf"}
    )


def _cues(material: Material, spelled: Callable[[str], str], *, point: str) -> Iterator[str]:
    """Each subtitle as the lines of a file: its times, and what is shown."""
    transcript = required_transcript(material)
    for one in subtitles(transcript.segments, transcript.words):
        lines = "".join(f"{spelled(without_times(line))}\n" for line in one.lines)
        yield f"{_clock(one.start_ms, point)} --> {_clock(one.end_ms, point)}\n{lines}"


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _pieces(segments: Sequence[Segment], words: Sequence[Word]) -> Iterator[_Piece]:
    at = 0
    for segment, following in zip_longest(segments, segments[1:]):
        end = len(words)
        if following is not None:
            end = bisect_left(words, following.start, lo=at, key=lambda word: word.start)
        whole = _texts_with_times(segment, words[at:end])
        pieces = list(chain.from_iterable(map(_no_longer_than_a_line, whole)))
        at = end
        yield from pieces[:-1]
        for last in pieces[-1:]:
            yield replace(last, text=last.text + " ", ends_segment=True)


def _texts_with_times(segment: Segment, words: Sequence[Word]) -> list[_Piece]:
    """The segment's own text (which knows where spaces and commas are) at its words' times."""
    text = one_line(segment.text)
    if not words:
        return [_Piece(text, _ms(segment.start), _ms(segment.end))] if text else []
    said = [one_line(word.text) for word in words]
    starts: list[int] = []
    found = 0
    for one in said:
        starts.append(text.find(one, found))
        if starts[-1] < 0:
            # The segment does not say its words: they are shown as they are.
            texts = [f"{each} " for each in said]
            break
        found = starts[-1] + len(one)
    else:
        texts = [text[a:b] for a, b in pairwise([0, *starts[1:], len(text)])]
    pieces = zip(texts, words, strict=True)
    return [_Piece(each, _ms(at.start), _ms(at.end)) for each, at in pieces if each.strip()]


def _no_longer_than_a_line(piece: _Piece) -> list[_Piece]:
    """The piece, or parts of it that fit on a line, at spaces where there are any."""
    parts: list[str] = []
    rest = piece.text
    while columns(rest.rstrip()) > LINE_COLUMNS:
        fits = next(n for n in range(len(rest), 0, -1) if columns(rest[:n]) <= LINE_COLUMNS)
        cut = rest.rfind(" ", 1, fits) + 1 or fits
        parts.append(rest[:cut])
        rest = rest[cut:]
    parts.append(rest)
    span, whole = piece.end_ms - piece.start_ms, len(piece.text)
    times = [piece.start_ms + span * n // whole for n in accumulate(map(len, parts), initial=0)]
    timed = zip(parts, pairwise(times), strict=True)
    return [_Piece(part, start, end) for part, (start, end) in timed if part.strip()]


def _ends_run(run: Sequence[_Piece], piece: _Piece) -> bool:
    """Whether no subtitle holds both: there is a pause, or the end of a segment that is long."""
    last = run[-1]
    full = last.ends_segment and last.end_ms - run[0].start_ms >= SHORTEST_MS
    return full or piece.start_ms - last.end_ms >= _PAUSE_MS


def _grouped(run: Sequence[_Piece]) -> list[list[_Piece]]:
    """Pieces that are shown together: about as many in each, so that none is left over alone."""
    full, loose = (list(_divided(run, filled=filled)) for filled in (1.0, _FILLED))
    return full if len(full) < len(loose) else loose


def _divided(run: Sequence[_Piece], *, filled: float) -> Iterator[list[_Piece]]:
    total = columns(_joined(run))
    by_space = math.ceil(total / (filled * MOST_LINES * LINE_COLUMNS))
    by_time = math.ceil((run[-1].end_ms - run[0].start_ms) / (filled * LONGEST_MS))
    wanted = total / max(by_space, by_time, 1)

    def ends(group: list[_Piece], piece: _Piece) -> bool:
        enough = columns(_joined(group)) + columns(piece.text) / 2 > wanted
        too_long = piece.end_ms - group[0].start_ms > LONGEST_MS
        return enough or too_long or _laid_out(_joined([*group, piece])) is None

    return _split(run, ends)


def _split(
    pieces: Iterable[_Piece], ends: Callable[[list[_Piece], _Piece], bool]
) -> Iterator[list[_Piece]]:
    """Groups in order; one ends where `ends` says so of it and the piece after it."""
    group: list[_Piece] = []
    for piece in pieces:
        if group and ends(group, piece):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _joined(pieces: Iterable[_Piece]) -> str:
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


def _timed(shown: Sequence[Subtitle]) -> Iterator[Subtitle]:
    """The subtitles, none before the end of the one before it, none longer than can be borne."""
    wanted = (one.start_ms for one in shown)
    starts = list(accumulate(wanted, lambda last, start: max(start, last + 1), initial=-1))[1:]
    for one, start, following in zip_longest(shown, starts, starts[1:]):
        end = min(max(one.end_ms, start + SHORTEST_MS), start + LONGEST_MS)
        yield Subtitle(start, end if following is None else min(end, following), one.lines)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
