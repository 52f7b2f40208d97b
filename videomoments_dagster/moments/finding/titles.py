"""Titles: what sets a stretch of speech apart, as a person would put it over a chapter.

A title is a noun group or a short clause that was said in the stretch: no pronoun that stands for
something outside, no conjunction that leans on what was before, nothing cut. Each is worth what
its words tell of the stretch against the rest of the video.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise

from videomoments_dagster.base.text import clock, folded
from videomoments_dagster.moments.finding.function_words import WORD_CLASSES
from videomoments_dagster.moments.finding.noun_groups import Phrase, phrases
from videomoments_dagster.moments.finding.terms import (
    STOP_WORDS,
    inverse_document_frequency,
    sentence_terms,
    tokens,
)
from videomoments_dagster.moments.finding.unspaced import unspaced_phrases
from videomoments_dagster.moments.finding.word_classes import WordClasses

TITLE_MAX_WIDTH = 60
"""Characters of a title found in speech; full-width ones count twice."""

_MODEL_TITLE_MAX_CHARACTERS = 120
_LONGEST_FROM_OUTSIDE = 5_000

_MARKUP = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|&[a-z]+;")
_STRAY_MARKS = re.compile(r"[<>\[\]{}*_#`~|\\^\x00-\x1f\x7f]+")
_MARKS = ".,;:-\u2013\u2014\u2026\u3001\u3002\uff0c\uff1b\u060c\u0964"
_SPACE_BEFORE_MARK = re.compile(r"\s+([.,;:?!])")
# Engines give "Borsuk -Ulam" and "13 ,000" as two words each.
_SPLIT_WORD = re.compile(r"(?<=\w) ?([-,])(?=\d{3}\b)|(?<=[^\W\d_]) (-)(?=[^\W\d_])")
_CLAUSE_END = re.compile(r"(?<=[,;:\u2014\u060c])\s+|(?<=[\u3001\u3002\uff0c\uff1b\uff01\uff1f])")
_FILLER = re.compile(
    r"(?:and|but|so|or|well|okay|ok|now|um+|uh+|er|yeah|yes|right|like|then|because|alright|hmm?"
    r"|you know|i mean|actually|basically)(?:\s*,\s*|\s+)",
    re.IGNORECASE,
)
_LEANING = re.compile(
    r"\b(?:i|you|he|she|it|we|they|me|my|your|his|her|him|its|our|us|them|their|this|that|these"
    r"|those|there|here|which|who)\b",
    re.IGNORECASE,
)

_UNSPACED_LANGUAGES = ("ja", "zh")
_WITH_MODEL = ("en", "de")
_ENDING = re.compile(r"(?:en|es|er|em|os|as|[esnoai])$")
_LONGER_THAN_ROOT = 5
_SHORTEST_TERM = 3

_SENTENCES_OF_A_SAMPLE = 300
_MOST_SENTENCES = 7
_OPENING_SENTENCES = 2
_REPEATS_COUNT = 0.7
_ONCE_IS_LITTLE = 0.4
_LEAST_CONCENTRATION = 0.4
_OPENING_BONUS = 1.2
_SAID_AGAIN = 0.25
_COLLOCATION_BONUS = 1.3
_PASSING_MENTION = 0.5
_SHORT_PENALTY = 0.8
_LENGTH_OFFSET = 3
_LENGTH_POWER = 0.5
_ALIKE = 0.5
_ALIKE_PENALTY = 0.5
_LEANING_PENALTY = 0.3
_FEWEST_WORDS = 2
_MOST_KEYWORDS = 3


class TitleWriter:
    """Finds titles for stretches of one transcript."""

    def __init__(
        self, texts: Sequence[str], *, terms: Sequence[Sequence[str]], language: str
    ) -> None:
        """Look at the words of the whole.

        Args:
            texts: The sentences of the transcript.
            terms: The index terms of each of them.
            language: ISO 639-1 code; empty counts as English.
        """
        self._language = language[:2].lower() or "en"
        shouted = _mostly_capitals(texts)
        self._texts = [text.lower() for text in texts] if shouted else texts
        self._terms = terms if self._language == "en" else list(map(self._terms_of, self._texts))
        self._rarity = inverse_document_frequency(self._terms)
        self._uses = Counter(chain.from_iterable(self._terms))
        self._pairs = Counter(chain.from_iterable(map(pairwise, self._terms)))
        self._classes = WordClasses(self._texts, language=self._language)
        self._known: dict[int, list[Phrase]] = {}

    def title(
        self, first: int, stop: int, *, start_time: float, taken: Collection[str] = ()
    ) -> str:
        """Title the sentences from `first` up to, not including, `stop`.

        Args:
            first: Index of the first sentence.
            stop: Index after the last.
            start_time: Where the stretch starts, seconds, for when nothing readable is said.
            taken: Titles of other stretches, not used again.

        Returns:
            One plain line of at most `TITLE_MAX_WIDTH`, without markup.
        """
        uses = Counter(chain.from_iterable(self._terms[first:stop]))
        weight = {term: self._weight(term, count) for term, count in uses.items()}
        found = [
            (at, phrase)
            for at in self._telling(first, stop, weight)
            for phrase in self._phrases(at)
        ]
        again = Counter(phrase.text.casefold() for _, phrase in found)
        others = [frozenset(self._terms_of(title)) for title in taken]
        used = {title.casefold() for title in taken}
        best, best_value = "", 0.0
        for at, phrase in found:
            if _width(phrase.text) > TITLE_MAX_WIDTH:
                continue
            # Not a set: its order, and so the rounding of the sum, differs from process to process.
            spoken = self._terms_of(phrase.text)
            own = dict.fromkeys(spoken)
            value = sum(weight.get(term, 0.0) for term in own) * phrase.aptness
            value /= (phrase.words + _LENGTH_OFFSET) ** _LENGTH_POWER
            if self._are_a_collocation(spoken):
                value *= _COLLOCATION_BONUS
            elif phrase.words <= _FEWEST_WORDS:
                value *= _SHORT_PENALTY
            value *= 1.0 if any(uses[term] > 1 for term in own) else _PASSING_MENTION
            value *= _OPENING_BONUS if at == first else 1.0
            value *= again[phrase.text.casefold()] ** _SAID_AGAIN
            value *= _ALIKE_PENALTY if _is_alike(own.keys(), others) else 1.0
            if value > best_value and _capitalised(phrase.text).casefold() not in used:
                best, best_value = phrase.text, value
        return _capitalised(best) if best else self._plainer(first, stop, weight, start_time, used)

    def _are_a_collocation(self, terms: Sequence[str]) -> bool:
        return any(self._pairs[pair] > 1 for pair in pairwise(terms))

    def _weight(self, term: str, count: int) -> float:
        """What a term tells of a stretch that says it `count` times."""
        concentration = count / self._uses[term]
        here_only = _LEAST_CONCENTRATION + (1 - _LEAST_CONCENTRATION) * concentration
        return float(self._rarity[term] * (count - _ONCE_IS_LITTLE) ** _REPEATS_COUNT * here_only)

    def _telling(self, first: int, stop: int, weight: Mapping[str, float]) -> list[int]:
        """The sentences that tell most, in order: tagging them all would take too long."""

        def value(at: int) -> float:
            told = sum(weight[term] for term in dict.fromkeys(self._terms[at]))
            return float(told / (len(self._terms[at]) + _LENGTH_OFFSET) ** 0.5)

        most = sorted(range(first, stop), key=value, reverse=True)[:_MOST_SENTENCES]
        return sorted({*most, *range(first, min(first + _OPENING_SENTENCES, stop))})

    def _phrases(self, at: int) -> list[Phrase]:
        if at not in self._known:
            self._known[at] = list(self._found_phrases(plain(self._texts[at])))
        return self._known[at]

    def _found_phrases(self, text: str) -> Iterator[Phrase]:
        if self._language in _UNSPACED_LANGUAGES:
            return unspaced_phrases(text, language=self._language)
        if self._language in _WITH_MODEL or self._language in WORD_CLASSES:
            return phrases(self._classes.tagged(text), language=self._language)
        return _clauses(text)

    def _terms_of(self, text: str) -> list[str]:
        if self._language == "en":
            return sentence_terms([text], language="en")[0]
        known = WORD_CLASSES.get(self._language, {})
        words = (token.rpartition("'")[2] for token in tokens(text))
        return [
            _ENDING.sub("", word) if len(word) > _LONGER_THAN_ROOT else word
            for word in words
            if word not in known and (len(word) >= _SHORTEST_TERM or not word.isascii())
        ]

    def _plainer(
        self,
        first: int,
        stop: int,
        weight: Mapping[str, float],
        start_time: float,
        used: Collection[str],
    ) -> str:
        """A title where no phrase will do: a clause, words that tell, or the time."""
        said = [plain(text) for text in self._texts[first:stop]]
        clauses = [phrase.text for text in said for phrase in _clauses(text)]
        words = dict.fromkeys(word for text in said for word in _words(text))
        value = {
            word: sum(weight.get(term, 0.0) for term in self._terms_of(word)) for word in words
        }
        telling = sorted(filter(value.__getitem__, words), key=value.__getitem__, reverse=True)
        choices = chain(
            (clause for clause in clauses if not _LEANING.search(clause)),
            (", ".join(telling[:count]) for count in range(_MOST_KEYWORDS, 0, -1)),
            clauses,
        )
        for choice in map(_capitalised, choices):
            if (
                _readable(choice)
                and _width(choice) <= TITLE_MAX_WIDTH
                and choice.casefold() not in used
            ):
                return choice
        return f"Moment at {clock(start_time)}"


def _clauses(text: str) -> Iterator[Phrase]:
    """Clauses as they stand between marks, where words have no known classes."""
    for clause in dict.fromkeys((text, *_CLAUSE_END.split(text))):
        phrase = plain(clause)
        words = len(phrase.split())
        if _readable(phrase) and _width(phrase) <= TITLE_MAX_WIDTH:
            aptness = _LEANING_PENALTY if _LEANING.search(phrase) else 1.0
            yield Phrase(phrase, aptness if words >= _FEWEST_WORDS else aptness / 2, words)


def _words(text: str) -> Iterable[str]:
    return (word for word in re.findall(r"\w+", text) if word.lower() not in STOP_WORDS)


def _is_alike(terms: Collection[str], others: Iterable[frozenset[str]]) -> bool:
    return any(
        len(other.intersection(terms)) > _ALIKE * len(other.union(terms)) for other in others
    )


def _mostly_capitals(texts: Iterable[str]) -> bool:
    text = "".join(islice(texts, _SENTENCES_OF_A_SAMPLE))
    capitals = sum(map(str.isupper, text))
    return capitals > sum(map(str.islower, text))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _readable(text: str) -> bool:
    return any(character.isalnum() for character in text)


def plain(text: str) -> str:
    """Text without markup, fillers at the front and punctuation at the end."""
    line = _STRAY_MARKS.sub(" ", _MARKUP.sub(" ", text))
    line = folded("".join(filter(str.isprintable, line)))
    line = _SPLIT_WORD.sub(r"\1\2", _SPACE_BEFORE_MARK.sub(r"\1", line)).lstrip(_MARKS + "?! ")
    while (filler := _FILLER.match(line)) and line[filler.end() :].strip():
        line = line[filler.end() :].lstrip(_MARKS + "?! ")
    line = line.rstrip(_MARKS + " ")
    return folded(line.replace('"', " ")) if line.count('"') % 2 else line


def _capitalised(text: str) -> str:
    """Text with a capital first, but for names like "iPhone"."""
    # A capital can take two characters, as of the German sharp s: keep those letters as they are.
    capital = text[:1].upper()
    return text if len(capital) != 1 or text[1:2].isupper() else capital + text[1:]


def plain_title(text: str) -> str:
    """A model's title as a plain line of at most 120 characters: no markup, no control characters.

    A longer one is cut at a word and ends with an ellipsis; empty if nothing readable is left.
    """
    printable = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_FROM_OUTSIDE])
    line = folded(_STRAY_MARKS.sub(" ", _MARKUP.sub(" ", printable))).strip("\"'\u201c\u201d ")
    if len(line) > _MODEL_TITLE_MAX_CHARACTERS:
        cut = line[: _MODEL_TITLE_MAX_CHARACTERS - 1].rsplit(" ", 1)[0]
        line = cut.rstrip(" ,;:-") + "\u2026"
    return line if _readable(line) else ""
