"""What every transcript's times satisfy, whatever the engine or the caption file said.

Belongs here: the repair of times and texts, as pure functions. Does not belong here: where the
words come from.

Engines do give times that run backwards, overlap, lie past the end or are not numbers, and
everything after transcription relies on their order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from videomoments_dagster.speech.transcript import Segment, Word

SpokenSegment = tuple[Segment, Sequence[Word]]
"""A segment as an engine gave it, with its words; without words they are made from its text."""

# PostgreSQL stores no NUL in text or JSONB, and UTF-8 has no form for a lone surrogate.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Remove what cannot be stored, strip, and turn every run of white space into one space."""
    return " ".join(_UNSTORABLE.sub("", text).split())


def spread_words(text: str, *, start: float, end: float) -> tuple[Word, ...]:
    """Share a span out among the words of a text in proportion to their length.

    Each word counts for its characters and the space after it. The words follow each other
    without gaps, from `start` to `end`.

    Args:
        text: What is said.
        start: Seconds at which the first word starts.
        end: Seconds at which the last word ends, not before `start`.
    """
    texts = text.split()
    total = sum(len(word) + 1 for word in texts)
    words: list[Word] = []
    before, edge = 0, start
    for word in texts:
        before += len(word) + 1
        next_edge = start + (end - start) * before / total
        words.append(Word(text=word, start=edge, end=next_edge))
        edge = next_edge
    return tuple(words)


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
    if not math.isfinite(duration) or duration < 0:
        raise ValueError(f"duration must be finite and not negative, not {duration}")
    spoken = _ordered(words_by_segment, duration=duration)
    words: list[Word] = []
    segments: list[Segment] = []
    for position, (segment, its_words) in enumerate(spoken):
        end = segment.end
        if position + 1 < len(spoken):
            end = min(end, spoken[position + 1][0].start)
        inside = _inside(its_words, start=segment.start, end=end)
        if not inside:
            inside = tuple(
                Word(text=word.text, start=_ms(word.start, end), end=_ms(word.end, end))
                for word in spread_words(segment.text, start=segment.start, end=end)
            )
        segments.append(Segment(text=segment.text, start=segment.start, end=end))
        words.extend(inside)
    return tuple(words), tuple(segments)


def joined(segments: Iterable[Segment]) -> str:
    """Join the segments' texts by single spaces."""
    return " ".join(segment.text for segment in segments)


def _ordered(
    words_by_segment: Iterable[SpokenSegment], *, duration: float
) -> list[tuple[Segment, list[Word]]]:
    """Clean every segment by itself, and sort by start."""
    kept: list[tuple[Segment, list[Word]]] = []
    start_before = 0.0
    for segment, given_words in words_by_segment:
        words = [
            Word(text=text, start=word.start, end=word.end)
            for word in given_words
            if (text := clean_text(word.text))
        ]
        text = clean_text(segment.text) or " ".join(word.text for word in words)
        start = _first_number([segment.start, *(word.start for word in words)], start_before)
        start_before = start
        start = _ms(min(max(start, 0.0), duration), duration)
        if not text or start >= duration:
            continue
        end = _first_number([segment.end, *(word.end for word in reversed(words))], start)
        end = _ms(min(max(end, start), duration), duration)
        kept.append((Segment(text=text, start=start, end=max(start, end)), words))
    kept.sort(key=lambda item: item[0].start)
    return kept


def _inside(words: Sequence[Word], *, start: float, end: float) -> tuple[Word, ...]:
    """Fit words into a span, in their order, none starting before the one before it ends."""
    fitted: list[Word] = []
    cursor = start
    for position, word in enumerate(words):
        first = min(max(_first_number([word.start], cursor), cursor), end)
        last = _first_number([word.end], first)
        if position + 1 < len(words):
            following = words[position + 1].start
            if following >= word.start:
                last = min(last, following)
        first = _ms(first, end)
        last = max(first, _ms(min(last, end), end))
        fitted.append(Word(text=word.text, start=first, end=last))
        cursor = last
    return tuple(fitted)


def _first_number(candidates: Iterable[float], otherwise: float) -> float:
    return next((value for value in candidates if not math.isnan(value)), otherwise)


def _ms(seconds: float, limit: float) -> float:
    """Round to milliseconds without passing a limit that may lie between two.

    Engines hand over numpy's floats, which neither JSON nor the database driver takes.
    """
    return float(min(round(seconds, 3), limit))
