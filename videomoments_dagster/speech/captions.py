"""Reading SubRip and WebVTT as people and programs really write them.

Belongs here: from bytes to cues with their words, as pure functions. Does not belong here:
finding caption files, and what a transcript is (`captions_engine`).

The reader is our own because word-by-word WebVTT puts time stamps inside the text, and readers
that take every line with two stamps for a timing line lose those words.
"""

from __future__ import annotations

import codecs
import html
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from videomoments_dagster.speech.transcript import Segment, Word
from videomoments_dagster.speech.word_times import SpokenSegment, clean_text, spread_words

_STAMP = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMING = re.compile(rf"^\s*{_STAMP}\s*-->\s*{_STAMP}(?:\s.*)?$")
_INLINE_STAMP = re.compile(rf"<{_STAMP}>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")
_SOUND_DESCRIPTION = re.compile(r"\[[^\[\]]*\]|[♩♪♫♬]")
_SPEAKER_MARK = re.compile(r"^\s*(?:[-\u2013\u2014]\s+|>{2,}\s*)")
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u2060\ufeff]")
_HEADER_LANGUAGE = re.compile(r"^Language:\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)\s*$", re.MULTILINE)

_ROLLING_SHARE = 0.2
_ROLLING_GAP_SECONDS = 0.1


class NotCaptions(ValueError):
    """The bytes are neither SubRip nor WebVTT."""


@dataclass(frozen=True, slots=True)
class TimedText:
    """A piece of one line, and the time stamp in front of it if it has one, seconds."""

    text: str
    start: float | None


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption, tags and sound descriptions removed.

    Attributes:
        start: Seconds at which it appears.
        end: Seconds at which it disappears; not always after `start`.
        lines: The lines that are not empty, each as its timed pieces.
    """

    start: float
    end: float
    lines: tuple[tuple[TimedText, ...], ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The lines without their time stamps."""
        return tuple(clean_text("".join(piece.text for piece in line)) for line in self.lines)

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(self.texts)


@dataclass(frozen=True, slots=True)
class Captions:
    """What a caption file says.

    Attributes:
        cues: Cues with something said, by start, each word once.
        language: Language that the file's header names, or None.
    """

    cues: tuple[Cue, ...]
    language: str | None = None

    @property
    def spoken(self) -> list[SpokenSegment]:
        """The cues as segments with their words."""
        return [
            (Segment(text=cue.text, start=cue.start, end=cue.end), _words_of(cue))
            for cue in self.cues
        ]

    @property
    def word_times_are_spread(self) -> bool:
        """Whether times of words were worked out, rather than given by the file."""
        return any(
            len(cue.text.split()) > 1
            and not any(piece.start is not None for line in cue.lines for piece in line)
            for cue in self.cues
        )


def read_captions(data: bytes) -> Captions:
    """Read SubRip or WebVTT.

    Tags, voice names, cue settings, comments and descriptions of sounds in square brackets are
    left out; entities are resolved; cues are sorted; text that rolling captions repeat from cue
    to cue is kept once.

    Args:
        data: The file's bytes, as UTF-8, UTF-16 or Windows-1252.

    Raises:
        NotCaptions: There is text but no cue and no WebVTT header.
    """
    text = _decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    webvtt = text.lstrip().startswith("WEBVTT")
    cues = [cue for cue in _cues(text.split("\n"), webvtt=webvtt) if cue is not None]
    if not cues and not webvtt and text.strip():
        raise NotCaptions("it holds no line of the form '00:00:01,000 --> 00:00:02,000'")
    ordered = sorted(dict.fromkeys(cues), key=lambda cue: (cue.start, cue.end))
    if _are_rolling(ordered):
        ordered = list(_unrolled(ordered))
    language = _HEADER_LANGUAGE.search(text) if webvtt else None
    return Captions(
        cues=tuple(cue for cue in _simultaneous_merged(ordered) if cue.text),
        language=language.group(1) if language else None,
    )


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    head = data[:200]
    zeros_first, zeros_second = head[::2].count(0), head[1::2].count(0)
    if max(zeros_first, zeros_second) > len(head) // 4:
        order = "utf-16-be" if zeros_first > zeros_second else "utf-16-le"
        return data.decode(order, errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _cues(lines: Sequence[str], *, webvtt: bool) -> Iterator[Cue | None]:
    """Give a cue per timing line, None for one without text."""
    timings = [(number, match) for number, line in enumerate(lines) if (match := _timing(line))]
    for position, (number, match) in enumerate(timings):
        last = position + 1 == len(timings)
        body = list(lines[number + 1 : len(lines) if last else timings[position + 1][0]])
        if webvtt:
            # Identifiers, comments and styles of what follows come after a blank line.
            blank = next((i for i, line in enumerate(body) if not line.strip("\n")), len(body))
            body = body[:blank]
        elif not last and body and body[-1].strip().isdecimal():
            body.pop()
        stamps = match.groups()
        yield _cue(_seconds(stamps[:4]), _seconds(stamps[4:]), body)


def _timing(line: str) -> re.Match[str] | None:
    # The cheap test first: few lines are timing lines.
    return _TIMING.match(line) if "-->" in line else None


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (group or "0" for group in groups)
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + float(f"0.{fraction}")


def _cue(start: float, end: float, body: Sequence[str]) -> Cue:
    # A description of a sound can run over two lines, a line break inside it means nothing.
    text = _SOUND_DESCRIPTION.sub(" ", _unmarked("\n".join(body)))
    lines = (_pieces(_SPEAKER_MARK.sub("", line)) for line in text.split("\n"))
    return Cue(start=start, end=end, lines=tuple(line for line in lines if line))


def _unmarked(text: str) -> str:
    """Remove tags and resolve entities, in that order: `&lt;b&gt;` is text."""
    return _INVISIBLE.sub("", html.unescape(_TAG.sub("", text.replace("\\N", "\n"))))


def _pieces(line: str) -> tuple[TimedText, ...]:
    pieces: list[TimedText] = []
    start: float | None = None
    position = 0
    for stamp in _INLINE_STAMP.finditer(line):
        pieces.append(TimedText(line[position : stamp.start()], start))
        start, position = _seconds(stamp.groups()), stamp.end()
    pieces.append(TimedText(line[position:], start))
    return tuple(piece for piece in pieces if clean_text(piece.text))


def _are_rolling(cues: Sequence[Cue]) -> bool:
    """Tell whether cues of two lines and more begin with the line that was shown last."""
    carried = sum(
        len(cue.texts) > 1 and before.texts[-1:] == cue.texts[:1]
        for before, cue in itertools.pairwise(cues)
    )
    return carried > 0 and carried >= _ROLLING_SHARE * len(cues)


def _unrolled(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Leave out of each cue the lines that the cue before it was showing already."""
    shown: tuple[str, ...] = ()
    shown_until = 0.0
    for cue in cues:
        texts = cue.texts
        repeated = 0
        if cue.start <= shown_until + _ROLLING_GAP_SECONDS:
            repeated = next(
                count
                for count in range(min(len(shown), len(texts)), -1, -1)
                if count == 0 or shown[-count:] == texts[:count]
            )
        if texts:
            shown, shown_until = texts, max(shown_until, cue.end)
        yield replace(cue, lines=cue.lines[repeated:])


def _simultaneous_merged(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Join cues with the same times: two speakers, or two lines given as two cues."""
    pending: Cue | None = None
    for cue in cues:
        if not cue.lines:
            continue
        if pending and (pending.start, pending.end) == (cue.start, cue.end):
            pending = replace(pending, lines=(*pending.lines, *cue.lines))
            continue
        if pending:
            yield pending
        pending = cue
    if pending:
        yield pending


def _words_of(cue: Cue) -> tuple[Word, ...]:
    """Give the words times: from stamps inside the text, and spread between them."""
    groups: list[tuple[float, str]] = []
    for line in cue.lines:
        for position, piece in enumerate(line):
            if piece.start is None and groups:
                # A stamp can stand inside a word, a line break cannot.
                joint = " " if position == 0 else ""
                groups[-1] = (groups[-1][0], groups[-1][1] + joint + piece.text)
            else:
                groups.append((cue.start if piece.start is None else piece.start, piece.text))
    words: list[Word] = []
    edges = [min(max(start, cue.start), max(cue.end, cue.start)) for start, _ in groups]
    for position, (_, text) in enumerate(groups):
        end = edges[position + 1] if position + 1 < len(edges) else max(cue.end, cue.start)
        words.extend(spread_words(text, start=edges[position], end=max(end, edges[position])))
    return tuple(words)
