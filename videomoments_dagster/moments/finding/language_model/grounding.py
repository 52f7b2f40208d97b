"""Grounding: from the lines and quotes that a model names to words, whose times are known.

Models are good at copying words and bad at copying numbers: the quote decides, near the line that
was named, and a line whose words are not there is not taken at its number. Words are compared
without case, punctuation and spaces, character by character, so that scripts without spaces work
alike.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from difflib import SequenceMatcher
from enum import IntEnum
from itertools import accumulate
from operator import itemgetter

from pydantic import BaseModel, Field

from videomoments_dagster.moments.finding.language_model.question_parts import Id, Rating, Text
from videomoments_dagster.moments.finding.outcomes import Boundaries
from videomoments_dagster.moments.finding.speech_layout import SpeechLayout

_LINES_AROUND = 3
_ALIKE = 0.75
_LONGEST_QUOTE = 80
"""Characters of a quote that count: the first of first words, the last of last words."""
_TELLING = 12
"""Characters from which on a quote that occurs once in a window says where it is by itself."""


class NamedMoment(BaseModel):
    """A moment as a model names it."""

    first_line: Id = Field(description="Id of the line in which the moment begins")
    last_line: Id = Field(description="Id of the line in which it ends")
    first_words: Text = Field(default="", description="Its first words, exactly as in the line")
    last_words: Text = Field(default="", description="Its last words, exactly as in the line")
    title: Text = Field(default="", description="One line that says what is in it")
    rating: Rating = Field(default=0.0, description="How good it is, 0 to 10")


class Grade(IntEnum):
    """How surely a boundary was found; the less, the surer."""

    EXACT = 0
    NEAR = 1


class Ungrounded(Exception):
    """A moment that is nowhere in the window; says why in a few words."""


def _plain(text: str) -> str:
    """A text as it is compared: compatible forms unified, no case, only letters and digits."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


class WindowWords:
    """The words of a window as one string of characters, and the way back to the words."""

    def __init__(self, layout: SpeechLayout, window: range) -> None:
        """Prepare to look for quotes.

        Args:
            layout: All words and sentences of the transcript.
            window: Indexes of the sentences to look in.
        """
        lines = layout.sentences[window.start : window.stop]
        # Words are counted from the window's first.
        self._lines = [(line.first - lines[0].first, line.stop - lines[0].first) for line in lines]
        self._words = layout.words[lines[0].first : lines[-1].stop]
        texts = [_plain(word.text) for word in self._words]
        self._text = "".join(texts)
        self._starts = [0, *accumulate(map(len, texts))]
        # Words without a letter or digit take no room; no quote begins or ends at them.
        spelled = [at for at, text in enumerate(texts) if text]
        self._begins = {self._starts[at]: at for at in spelled}
        self._ends = {self._starts[at + 1]: at for at in spelled}

    def ground(self, named: NamedMoment) -> tuple[Boundaries, Grade]:
        """Find the words of a moment.

        Returns:
            From the start of its first word to the end of its last, and the grade of the less
            sure end.

        Raises:
            Ungrounded: If the words of an end are neither where they were said to be nor found
                elsewhere for sure, there are none to find, or it ends before it begins.
        """
        first, first_grade = self._boundary(named.first_line, named.first_words, at_end=False)
        last, last_grade = self._boundary(named.last_line, named.last_words, at_end=True)
        if last < first:
            raise Ungrounded("it ends before it begins")
        span = Boundaries(self._words[first].start, self._words[last].end)
        return span, max(first_grade, last_grade)

    def _boundary(self, line: int, words: str, *, at_end: bool) -> tuple[int, Grade]:
        """The first (or last) word of a moment, counted from the window's first."""
        quote = _plain(words[:10_000])
        quote = quote[-_LONGEST_QUOTE:] if at_end else quote[:_LONGEST_QUOTE]
        # Of "..." and a copied line id nothing can be found, or anything.
        if not any(map(str.isalpha, quote)):
            raise Ungrounded("its quote has no words")
        exists = 1 <= line <= len(self._lines)
        if exists and (found := self._near(line - 1, quote, at_end=at_end)):
            return found
        if not exists or len(quote) >= _TELLING:
            places = self._places(quote, range(len(self._text)), at_end=at_end)
            if len(places) == 1:
                return places[0], Grade.NEAR
        missing = "its words are not there"
        raise Ungrounded(missing if exists else f"its line does not exist and {missing}")

    def _near(self, line: int, quote: str, *, at_end: bool) -> tuple[int, Grade] | None:
        """The place of a quote in a line or around it."""
        if within := self._places(quote, self._characters(line, line), at_end=at_end):
            # Said twice in the line, a moment is rather longer than shorter.
            return (within[-1] if at_end else within[0]), Grade.EXACT
        nearby = self._characters(line - _LINES_AROUND, line + _LINES_AROUND)
        if around := self._places(quote, nearby, at_end=at_end):
            return min(around, key=lambda word: abs(self._line_of(word) - line)), Grade.NEAR
        alike = self._alike(quote, nearby, at_end=at_end)
        return None if alike is None else (alike, Grade.NEAR)

    def _characters(self, first_line: int, last_line: int) -> range:
        """Where some lines are in the string of characters."""
        first = self._lines[max(first_line, 0)][0]
        stop = self._lines[min(last_line, len(self._lines) - 1)][1]
        return range(self._starts[first], self._starts[stop])

    def _line_of(self, word: int) -> int:
        return bisect_right(self._lines, word, key=itemgetter(0)) - 1

    def _places(self, quote: str, among: range, *, at_end: bool) -> list[int]:
        """Words at which the quote begins (ends) among some characters; it may reach beyond."""
        said = self._said_at(len(quote), among, at_end=at_end)
        return [word for word, text in said if text == quote]

    def _alike(self, quote: str, among: range, *, at_end: bool) -> int | None:
        """The word at which something nearly like the quote begins (ends), or None."""
        matcher = SequenceMatcher(None, b=quote, autojunk=False)
        best, place = _ALIKE, None
        for word, text in self._said_at(len(quote), among, at_end=at_end):
            matcher.set_seq1(text)
            if matcher.real_quick_ratio() < best or matcher.quick_ratio() < best:
                continue
            ratio = matcher.ratio()
            if ratio > best or (place is None and ratio >= best):
                best, place = ratio, word
        return place

    def _said_at(self, length: int, among: range, *, at_end: bool) -> Iterator[tuple[int, str]]:
        """Words that begin (end) among some characters, each with so much text from (up to) it."""
        if at_end:
            for edge, word in self._ends.items():
                if edge - 1 in among:
                    yield word, self._text[max(edge - length, 0) : edge]
        else:
            for edge, word in self._begins.items():
                if edge in among:
                    yield word, self._text[edge : edge + length]
