"""Reads SubRip and WebVTT as people and programs really write them.

The reader is our own because word-by-word WebVTT puts time stamps inside the text, and readers that
take every line with two stamps for a timing line lose those words.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from videomoments_dagster.speech.caption_cues import (
    STAMP,
    CaptionCue,
    said_once,
    seconds_of,
    without_stamps,
)
from videomoments_dagster.speech.caption_text import decoded
from videomoments_dagster.speech.transcripts import (
    UNSTORABLE,
    Segment,
    SpokenSegment,
    clean_text,
)

LARGEST_BYTES = 50 * 1024 * 1024
"""Larger files are no captions."""

_ARROW = "-->"
_TIMING = re.compile(rf"\s*{STAMP}\s*-->\s*{STAMP}(?:\s|$)")
_LIKE_A_TIME = re.compile(r"\d\s*:\s*\d")
_MOST_DIGITS = 10
_NO_TEXT_BLOCK = re.compile(r"(?:NOTE|STYLE|REGION|WEBVTT)(?:\s|$)")
_HEADER_LANGUAGE = re.compile(r"^Language:\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)\s*$", re.MULTILINE)

_LINE_END = re.compile(r"\r+\n?")
_SUBRIP_TAG = re.compile(r"</?[bius]\s*>|</?font(?:\s[^<>]*)?>|\{\\[^{}]*\}", re.IGNORECASE)
_WEBVTT_TAG = re.compile(
    r"</?(?:[biucs]|ruby|rt)(?:\.[^<>\s]*)?\s*>|</?(?:v|lang|font)(?:[.\s][^<>]*)?>|\{\\[^{}]*\}",
    re.IGNORECASE,
)
_SPEAKER_IN_BRACKETS = re.compile(r"^([^\w\[\n]*)\[[^\[\]\n]*\][^\S\n]*:", re.MULTILINE)
# `array[0]` and `items[i][j]` are said; what stands by itself describes a sound.
_BRACKETS = re.compile(r"(?<=[A-Za-z0-9_])(?:\[[a-z0-9_\"']?[^\[\]\s]*\])+|(\[[^\[\]]*\]|[♩♪♫♬])")
_SPEAKER_MARK = re.compile(r"^\s*(?:[-\u2013\u2014]\s+|>{2,}\s*)")
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u2060\ufeff]")
_PLAIN = re.compile(r"[^<{&\[\\\u2013\u2014>♩♪♫♬\u200b\u200e\u200f\u2060\ufeff-]*")


class NotCaptions(ValueError):
    """The bytes are neither SubRip nor WebVTT."""


@dataclass(frozen=True, slots=True)
class Captions:
    """What a caption file says.

    Attributes:
        cues: Cues with something said, by start, each word once.
        language: Language that the file's header names, or None.
        notes: What a reader should know of how the file was read.
    """

    cues: tuple[CaptionCue, ...]
    language: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def spoken(self) -> list[SpokenSegment]:
        """The cues as segments with their words; what begins before the video begins at 0."""
        return [
            (Segment(cue.text, max(cue.start, 0.0), max(cue.end, 0.0)), cue.words())
            for cue in self.cues
        ]

    @property
    def word_times_are_spread(self) -> bool:
        """Whether times of words were worked out, rather than given by the file."""
        return any(not cue.is_stamped and len(cue.words()) > 1 for cue in self.cues)


def read_captions(data: bytes, *, zero: float = 0.0) -> Captions:
    """Read SubRip or WebVTT.

    Tags, names of speakers, cue settings, comments and descriptions of sounds in square brackets
    are left out; entities are resolved; cues are sorted; text that captions repeat from cue to cue
    is kept once.

    Args:
        data: The file's bytes.
        zero: Time in the file, seconds, at which the video begins.

    Raises:
        NotCaptions: There is text but no cue and no WebVTT header, or it is too large.
    """
    if len(data) > LARGEST_BYTES:
        raise NotCaptions(f"it is larger than {LARGEST_BYTES // 1024**2} MiB")
    read = decoded(data)
    text = UNSTORABLE.sub("", _LINE_END.sub("\n", read.text))
    webvtt = text.lstrip().startswith("WEBVTT")
    found = list(_cues(text.split("\n"), webvtt=webvtt, zero=zero))
    cues = [cue for cue in found if cue is not None]
    if not cues and not webvtt and text.strip():
        raise NotCaptions("it holds no line of the form '00:00:01,000 --> 00:00:02,000'")
    notes = [read.note] if read.note else []
    if unreadable := len(found) - len(cues):
        notes.append(f"{unreadable} cues whose times cannot be read were left out")
    language = _HEADER_LANGUAGE.search(text) if webvtt else None
    return Captions(
        cues=said_once(cues),
        language=language[1] if language else None,
        notes=tuple(notes),
    )


def _cues(lines: list[str], *, webvtt: bool, zero: float) -> Iterator[CaptionCue | None]:
    """Give a cue per timing line, also for one without text; None where its times are unreadable.

    No line with an arrow is ever speech.
    """
    timings = [
        (at, match)
        for at, line in enumerate(lines)
        if _ARROW in line and ((match := _TIMING.match(line)) or _LIKE_A_TIME.search(line))
    ]
    before = next(filter(str.strip, reversed(lines[: timings[0][0]])), "") if timings else ""
    counter = _number(before)
    for (at, timing), following in zip_longest(timings, timings[1:]):
        body = lines[at + 1 : following[0] if following else len(lines)]
        if webvtt:
            body = _text_of_webvtt(body, is_last=following is None)
        elif following is not None:
            counter = _take_counter(body, after=counter)
        if timing is None:
            yield None
            continue
        stamps = timing.groups()
        half = len(stamps) // 2
        start, end = seconds_of(stamps[:half]) - zero, seconds_of(stamps[half:]) - zero
        yield CaptionCue(start, end, _said(body, webvtt=webvtt))


def _number(line: str) -> int | None:
    digits = line.strip()
    return int(digits) if digits.isdecimal() and len(digits) < _MOST_DIGITS else None


def _take_counter(body: list[str], *, after: int | None) -> int | None:
    """Remove the number of the cue that follows, and give it.

    It is directly before the timing line. Where every second line is empty, only one that goes on
    counting is no text.
    """
    blank = 0
    while body and not body[-1].strip():
        body.pop()
        blank += 1
    number = _number(body[-1]) if body else None
    if number is None or (blank and (after is None or number != after + 1)):
        return None
    body.pop()
    return number


def _text_of_webvtt(body: list[str], *, is_last: bool) -> list[str]:
    """The lines of a cue, without comments, styles, and the identifier of the next cue.

    Text may come after an empty line, although the format has none there.
    """
    kept: list[str] = []
    begin = 0
    while begin < len(body):
        stop = begin
        while stop < len(body) and body[stop].strip():
            stop += 1
        block = body[begin:stop]
        adjoining = stop == len(body) and not is_last
        identifier = adjoining and len(block) == 1 and begin > 0
        numbered = adjoining and len(block) > 1 and _number(block[-1]) is not None
        if begin == 0 or not (identifier or _NO_TEXT_BLOCK.match(block[0] if block else "")):
            kept += block[:-1] if numbered else block
        begin = stop + 1
    return kept


def _said(body: Sequence[str], *, webvtt: bool) -> tuple[str, ...]:
    """The lines that say something, without markup and descriptions."""
    text = "\n".join(body)
    if _PLAIN.fullmatch(text):
        return tuple(said for line in body if (said := " ".join(line.split())))
    # An arrow without times is none of a cue's, nor speech.
    text = "\n".join(line for line in body if _ARROW not in line)
    # Tags go before entities: `&lt;b&gt;` is text.
    text = (_WEBVTT_TAG if webvtt else _SUBRIP_TAG).sub("", text.replace("\\N", "\n"))
    text = _INVISIBLE.sub("", html.unescape(text))
    # A description of a sound can run over two lines, a line break inside it means nothing.
    text = _SPEAKER_IN_BRACKETS.sub(r"\1", text)
    text = _BRACKETS.sub(lambda match: " " if match[1] else match[0], text)
    lines = (clean_text(_SPEAKER_MARK.sub("", line)) for line in text.split("\n"))
    return tuple(line for line in lines if without_stamps(line))
