"""Grounding: from the lines and quotes that a model names to words, whose times are known.

Belongs here: finding quotes in a window, and how surely they were found. Does not belong here:
limits of length (`mending`), or choosing between moments (`merging`).

Models are good at copying words and bad at copying numbers: the quote decides, near the line that
was named, and the line decides where the quote is nowhere to be found. Words are compared without
case, punctuation and spaces, character by character, so that scripts without spaces work alike.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import IntEnum
from itertools import accumulate

from videomoments_dagster.moments.finding.language_model.answers import NamedMoment
from videomoments_dagster.moments.finding.language_model.windows import Window
from videomoments_dagster.moments.finding.sentences import Sentence
from videomoments_dagster.speech.transcript import Word

_LINES_AROUND = 3
_ALIKE = 0.75
_LONGEST_QUOTE = 80
"""Characters of a quote that count: the first of first words, the last of last words."""
_TELLING = 12
"""Characters from which on a quote that occurs once in a window says where it is by itself."""


class Grade(IntEnum):
    """How surely a boundary was found; the less, the surer."""

    EXACT = 0
    NEAR = 1
    LINE = 2


@dataclass(frozen=True, slots=True)
class Grounded:
    """Words from `first` to `last`, both included, and the grade of the less sure end."""

    first: int
    last: int
    grade: Grade


class Ungrounded(Exception):
    """A moment that is nowhere in the window; says why in a few words."""


def plain(text: str) -> str:
    """A text as it is compared: compatible forms unified, no case, only letters and digits."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


class WindowWords:
    """The words of a window as one string of characters, and the way back to the words."""

    def __init__(self, words: Sequence[Word], lines: Sequence[Sentence], window: Window) -> None:
        """Prepare to look for quotes.

        Args:
            words: All words of the transcript, in order.
            lines: All sentences of it.
            window: The window to look in.
        """
        self._lines = [(line.first, line.stop) for line in lines[window.first : window.stop]]
        self._first_word = self._lines[0][0]
        texts = [plain(words[at].text) for at in range(self._first_word, self._lines[-1][1])]
        self._text = "".join(texts)
        self._starts = [0, *accumulate(len(text) for text in texts)]
        # Words without a letter or digit take no room; no quote begins or ends at them.
        self._begins = {
            at: number
            for number, (at, text) in enumerate(zip(self._starts, texts, strict=False))
            if text
        }
        self._ends = {
            at + len(text): number
            for number, (at, text) in enumerate(zip(self._starts, texts, strict=False))
            if text
        }

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def ground(self, named: NamedMoment) -> Grounded:
        """Find the words of a moment.

        Raises:
            Ungrounded: If an end of it is neither where it was said to be nor quoted from
                anywhere, or it ends before it begins.
        """
        first, first_grade = self._boundary(named.first_line, named.first_words, at_end=False)
        last, last_grade = self._boundary(named.last_line, named.last_words, at_end=True)
        if last < first:
            raise Ungrounded("it ends before it begins")
        return Grounded(
            first=self._first_word + first,
            last=self._first_word + last,
            grade=max(first_grade, last_grade),
        )

    def _boundary(self, line: int, words: str, *, at_end: bool) -> tuple[int, Grade]:
        """The first (or last) word of a moment, counted from the window's first."""
        quote = plain(words[:10_000])
        quote = quote[-_LONGEST_QUOTE:] if at_end else quote[:_LONGEST_QUOTE]
        exists = 1 <= line <= len(self._lines)
        if exists and quote:
            found = self._near(line - 1, quote, at_end=at_end)
            if found is not None:
                return found
        if quote and (not exists or len(quote) >= _TELLING):
            places = self._places(quote, 0, len(self._text), at_end=at_end)
            if len(places) == 1:
                return places[0], Grade.NEAR
        if not exists:
            raise Ungrounded("its line does not exist and its words are not there")
        start, stop = self._lines[line - 1]
        return (stop - 1 if at_end else start) - self._first_word, Grade.LINE

    def _near(self, line: int, quote: str, *, at_end: bool) -> tuple[int, Grade] | None:
        """The place of a quote in a line or around it."""
        low, high = self._characters(line, line)
        within = self._places(quote, low, high, at_end=at_end)
        if within:
            # Said twice in the line, a moment is rather longer than shorter.
            return (within[-1] if at_end else within[0]), Grade.EXACT
        low, high = self._characters(line - _LINES_AROUND, line + _LINES_AROUND)
        around = self._places(quote, low, high, at_end=at_end)
        if around:
            return min(around, key=lambda word: abs(self._line_of(word) - line)), Grade.NEAR
        alike = self._alike(quote, low, high, at_end=at_end)
        return None if alike is None else (alike, Grade.NEAR)

    def _characters(self, first_line: int, last_line: int) -> tuple[int, int]:
        """From where to where some lines go in the string of characters."""
        first = self._lines[max(first_line, 0)][0] - self._first_word
        stop = self._lines[min(last_line, len(self._lines) - 1)][1] - self._first_word
        return self._starts[first], self._starts[stop]

    def _line_of(self, word: int) -> int:
        return bisect_right(self._lines, (self._first_word + word, len(self._starts) * 2)) - 1

    def _places(self, quote: str, low: int, high: int, *, at_end: bool) -> list[int]:
        """Words at which the quote begins (ends) from `low` to `high`; it may reach beyond."""
        edges = self._ends if at_end else self._begins
        found: list[int] = []
        margin = len(quote)
        at = self._text.find(quote, max(low - margin, 0))
        while at >= 0 and at < high:
            edge = at + len(quote) if at_end else at
            inside = low < edge <= high if at_end else low <= edge < high
            if inside and edge in edges:
                found.append(edges[edge])
            at = self._text.find(quote, at + 1)
        return found

    def _alike(self, quote: str, low: int, high: int, *, at_end: bool) -> int | None:
        """The word at which something nearly like the quote begins (ends), or None."""
        matcher = SequenceMatcher(None, b=quote, autojunk=False)
        best, place = _ALIKE, None
        for edge, word in (self._ends if at_end else self._begins).items():
            if not (low < edge <= high if at_end else low <= edge < high):
                continue
            said = (
                self._text[max(edge - len(quote), 0) : edge]
                if at_end
                else self._text[edge : edge + len(quote)]
            )
            matcher.set_seq1(said)
            if matcher.real_quick_ratio() < best or matcher.quick_ratio() < best:
                continue
            ratio = matcher.ratio()
            if ratio > best or (place is None and ratio >= best):
                best, place = ratio, word
        return place
