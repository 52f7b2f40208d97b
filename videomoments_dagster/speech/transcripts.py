"""What is said in a recording, word by word, with times that everything after it relies on.

Times are seconds on the presented timeline of the video. Engines do give times that run
backwards, overlap, lie past the end or are not numbers: `well_formed` repairs them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL stores no NUL in text or JSONB, and UTF-8 has no form for a lone surrogate."""

_BRIDGED_GAP_SECONDS = 0.5

# Chinese and Japanese are written without spaces: each character counts as a word, as it does in
# word processors, with the small letters and signs that prolong it.
_PROLONGING = (
    "\u3005\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e\u3095\u3096\u3099-\u309e"
    "\u30a1\u30a3\u30a5\u30a7\u30a9\u30c3\u30e3\u30e5\u30e7\u30ee\u30f5\u30f6\u30fc-\u30fe"
    "\uff67-\uff70\uff9e\uff9f"
)
_UNSPACED = (
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
_WIDE_MARKS = "\u3001-\u3004\u3008-\u303f\uff01-\uff65"
_OPENING = (
    "(\\[{\u2018\u201c\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u3018\uff08\uff3b\uff5b\uff62"
)
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_BETWEEN_UNSPACED = re.compile(
    # Before a character, before what opens it, and between it and a word of another script.
    f"(?<=[^{_OPENING}])(?=(?![{_PROLONGING}])[{_UNSPACED}])"
    f"|(?<=[^{_OPENING}])(?=[{_OPENING}])"
    f"|(?<=[{_UNSPACED}{_WIDE_MARKS}])(?<![{_OPENING}])(?=[^\\W{_UNSPACED}])"
)
_NO_SPACE_AFTER = re.compile(f"[{_UNSPACED}{_WIDE_MARKS}]$")
_NO_SPACE_BEFORE = re.compile(f"[{_UNSPACED}{_WIDE_MARKS}]")


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word. `start` <= `end`, both in seconds of the presented timeline."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech that an engine gave as one piece, mostly a sentence or a cue."""

    text: str
    start: float
    end: float


SpokenSegment = tuple[Segment, Sequence[Word]]
"""A segment as an engine gave it, with its words; without words they are made from its text."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a video.

    Word times never go backwards, lie inside the video, and every word lies inside a segment.
    No speech is an empty transcript: no words, no segments, `full_text` "".

    Attributes:
        full_text: The segments' texts, as `joined`.
        words: All words in order.
        segments: All segments in order.
        language: ISO 639-1 code, at most 10 characters.
        transcription_service: Engine and model, such as "faster-whisper:small", at most 50.
        processing_time_seconds: Wall-clock time that the engine took.
        notes: What a reader of the metadata should know, such as word times that were spread.
    """

    full_text: str
    words: tuple[Word, ...]
    segments: tuple[Segment, ...]
    language: str
    transcription_service: str
    processing_time_seconds: float
    notes: tuple[str, ...] = ()


def clean_text(text: str) -> str:
    """Remove what cannot be stored, strip, and turn every run of white space into one space."""
    return " ".join(UNSTORABLE.sub("", text).split())


def joined(texts: Iterable[str]) -> str:
    """Join pieces of speech by single spaces, without one inside Chinese and Japanese."""
    pieces = [text for text in texts if text]
    spaced = " ".join(pieces)
    if not _HAS_UNSPACED.search(spaced):
        return spaced
    parts = pieces[:1]
    for before, text in pairwise(pieces):
        if not (_NO_SPACE_AFTER.search(before[-1]) and _NO_SPACE_BEFORE.match(text)):
            parts.append(" ")
        parts.append(text)
    return "".join(parts)


def split_words(text: str) -> list[str]:
    """Split text at white space, and Chinese and Japanese at each character.

    Punctuation stays with the word that it follows, or opens.
    """
    words = text.split()
    if text.isascii() or not _HAS_UNSPACED.search(text):
        return words
    return [one for word in words for one in _BETWEEN_UNSPACED.split(word)]


def spread_words(text: str, *, start: float, end: float) -> tuple[Word, ...]:
    """Share a span out among the words of a text in proportion to their length.

    Each word counts for its characters and the space after it. The words follow each other
    without gaps, from `start` to `end`.

    Args:
        text: What is said.
        start: Seconds at which the first word starts.
        end: Seconds at which the last word ends, not before `start`.
    """
    texts = split_words(text)
    sizes = [len(word) + 1 for word in texts]
    total = sum(sizes) or 1
    edges = [start + (end - start) * before / total for before in accumulate(sizes, initial=0)]
    return tuple(map(Word, texts, edges, edges[1:]))


def well_formed(
    words_by_segment: Iterable[SpokenSegment], *, duration: float
) -> tuple[tuple[Word, ...], tuple[Segment, ...]]:
    """Repair times and texts so that everything after transcription may rely on them.

    Of what is returned, these hold: times are finite and inside `[0, duration]`; `start` <=
    `end`; a word or segment starts no earlier than the one before it ends; every word lies
    inside a segment; no text is empty, has white space at its ends, or cannot be stored. Times
    that satisfy this already are kept, rounded to milliseconds.

    Segments are put in order of their start. Where two overlap, the earlier one ends where the
    later one starts. Segments that start at or after `duration` are dropped.

    Args:
        words_by_segment: Segments and their words.
        duration: Presented duration of the media, seconds.

    Raises:
        ValueError: If `duration` is negative or not finite.
    """
    if not 0 <= duration < math.inf:
        raise ValueError(f"duration must be finite and not negative, not {duration}")
    spoken = _ordered(words_by_segment, duration=duration)
    words: list[Word] = []
    segments: list[Segment] = []
    limits = [*(segment.start for segment, _ in spoken[1:]), duration]
    for (segment, given), limit in zip(spoken, limits, strict=False):
        text, start, end = segment.text, segment.start, min(segment.end, limit)
        segments.append(Segment(text, start, end))
        words += _inside(given or spread_words(text, start=start, end=end), start=start, end=end)
    return tuple(words), tuple(segments)


def _ordered(
    words_by_segment: Iterable[SpokenSegment], *, duration: float
) -> list[tuple[Segment, list[Word]]]:
    """Clean every segment by itself, and sort by start."""
    kept: list[tuple[Segment, list[Word]]] = []
    start = 0.0
    for segment, given in words_by_segment:
        words = [Word(text, w.start, w.end) for w in given if (text := clean_text(w.text))]
        text = clean_text(segment.text) or joined(word.text for word in words)
        start = _first_number([segment.start, *(word.start for word in words)], otherwise=start)
        start_inside = max(start, 0.0)
        first = _milliseconds(start_inside, duration)
        # Rounding can carry a start over the end, and one from behind the end before it.
        if not text or start_inside >= duration or first >= duration:
            continue
        end = _first_number([segment.end, *(w.end for w in reversed(words))], otherwise=first)
        kept.append((Segment(text, first, _milliseconds(max(end, first), duration)), words))
    return sorted(kept, key=lambda item: item[0].start)


def _inside(words: Sequence[Word], *, start: float, end: float) -> list[Word]:
    """Fit words into a span, in their order, none starting before the one before it ends."""
    fitted: list[Word] = []
    for position, word in enumerate(words):
        first = start if math.isnan(word.start) else min(max(word.start, start), end)
        last = first if math.isnan(word.end) else word.end
        following = words[position + 1].start if position + 1 < len(words) else math.nan
        if following >= word.start:
            last = min(last, following)
        first = _milliseconds(first, end)
        start = max(first, _milliseconds(last, end))
        fitted.append(Word(word.text, first, start))
    return fitted


def _first_number(candidates: Iterable[float], *, otherwise: float) -> float:
    return next((value for value in candidates if not math.isnan(value)), otherwise)


def _milliseconds(seconds: float, limit: float) -> float:
    """Round to milliseconds without passing a limit that may lie between two.

    Engines hand over numpy's floats, which neither JSON nor the database driver takes.
    """
    return float(min(round(min(seconds, limit), 3), limit))


def spoken_stretches(
    words: Iterable[Word], *, duration_seconds: float
) -> list[tuple[float, float]]:
    """Starts and ends of speech, in order and apart from each other, inside the video.

    Gaps of up to half a second between words count as speech.

    Args:
        words: Words in any order; what lies outside the video does not count.
        duration_seconds: Length of the video.
    """
    stretches: list[tuple[float, float]] = []
    clipped = ((max(0.0, word.start), min(word.end, duration_seconds)) for word in words)
    for start, end in sorted((start, end) for start, end in clipped if start <= end):
        if stretches and start - stretches[-1][1] <= _BRIDGED_GAP_SECONDS:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], end))
        else:
            stretches.append((start, end))
    return stretches


def spoken_seconds(stretches: Iterable[tuple[float, float]]) -> float:
    """How long the speech is in all."""
    return sum(end - start for start, end in stretches)


def speech_density(
    stretches: Sequence[tuple[float, float]], *, duration_seconds: float, parts: int
) -> tuple[float, ...]:
    """Share of speech in equal parts of the video, each 0 to 1.

    Args:
        stretches: As `spoken_stretches` gives them.
        duration_seconds: Length of the video; 0 gives parts without speech.
        parts: How many parts there are.
    """
    if duration_seconds <= 0:
        return (0.0,) * parts
    length = duration_seconds / parts
    spoken = [0.0] * parts
    for start, end in stretches:
        for part in range(int(start / length), min(parts, int(end / length) + 1)):
            spoken[part] += max(0.0, min(end, (part + 1) * length) - max(start, part * length))
    return tuple(min(1.0, seconds / length) for seconds in spoken)
