"""Titles: one readable line for a stretch of speech, in its own words or in a model's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

from videomoments_dagster.base.text import clock, folded

TITLE_MAX_CHARACTERS = 80
_MODEL_TITLE_MAX_CHARACTERS = 120
_LONGEST_FROM_OUTSIDE = 5_000

_MARKUP = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|&[a-z]+;")
_STRAY_MARKS = re.compile(r"[<>\[\]{}*_#`~|\\^\x00-\x1f\x7f]+")
_MARKS = ".,;:-\u2013\u2014\u2026"
_SPACE_BEFORE_MARK = re.compile(r"\s+([.,;:?!])")
_CLAUSE_END = re.compile(r"(?<=[,;:\u2014])\s+")
_FILLER = re.compile(
    r"(?:and|but|so|or|well|okay|ok|now|um+|uh+|er|yeah|yes|right|like|then|because|alright|hmm?"
    r"|you know|i mean|actually|basically)(?:\s*,\s*|\s+)",
    re.IGNORECASE,
)
_LEANING = re.compile(r"(?:it|he|she|they|this|that|these|those|there|which|who)\b", re.IGNORECASE)

_FEWEST_TERMS = 2
_CUT_PENALTY = 0.8
_LEANING_PENALTY = 0.7
_TAKEN_PENALTY = 0.1
_OPENING_BONUS = 1.15
_SHORT_LENGTH_OFFSET = 4


def title_of(
    texts: Sequence[str],
    *,
    terms: Sequence[Sequence[str]],
    rarity: Mapping[str, float],
    start_time: float,
    taken: Collection[str] = (),
) -> str:
    """Give a stretch the most telling of its phrases as a title.

    Args:
        texts: The stretch's sentences.
        terms: The index terms of each of them.
        rarity: How much each term tells in the whole transcript.
        start_time: Where the stretch starts, seconds, for when nothing readable is said.
        taken: Titles of other stretches, used again only if there is nothing else.

    Returns:
        At most `TITLE_MAX_CHARACTERS` characters, whole words, no markup.
    """
    uses = Counter(chain.from_iterable(terms))
    weight = {term: count * rarity[term] for term, count in uses.items()}
    best, best_value = "", 0.0
    for at, (text, sentence) in enumerate(zip(texts, terms, strict=True)):
        # Not a set: its order, and so the rounding of the sum, differs from process to process.
        different = dict.fromkeys(sentence)
        telling = sum(weight[term] for term in different)
        if telling <= 0:
            continue
        if len(different) < _FEWEST_TERMS:
            telling /= 2
        for phrase, share, cut in _phrases(text):
            value = telling * share / (len(phrase.split()) + _SHORT_LENGTH_OFFSET) ** 0.5
            value *= _CUT_PENALTY if cut else 1.0
            value *= _LEANING_PENALTY if _LEANING.match(phrase) else 1.0
            value *= _OPENING_BONUS if at == 0 else 1.0
            value *= _TAKEN_PENALTY if phrase in taken else 1.0
            if value > best_value:
                best, best_value = phrase, value
    readable = (phrase for text in texts for phrase, _, _ in _phrases(text))
    return best or next(readable, f"Moment at {clock(start_time)}")


def _phrases(text: str) -> Iterator[tuple[str, float, bool]]:
    """Phrases of a sentence that fit a title: the phrase, its share of it, whether it is cut."""
    whole = _tidy(text)
    if not _readable(whole):
        return
    if len(whole) <= TITLE_MAX_CHARACTERS:
        yield whole, 1.0, False
        return
    for clause in _CLAUSE_END.split(whole):
        phrase = _tidy(clause)
        if _readable(phrase) and len(phrase) <= TITLE_MAX_CHARACTERS and len(phrase.split()) > 2:  # noqa: PLR2004
            yield phrase, len(phrase) / len(whole), False
    # After the last whole word that leaves room for an ellipsis.
    head = whole[:TITLE_MAX_CHARACTERS].rpartition(" ")[0]
    if head:
        shortened = head.rstrip(".,;:-\u2013\u2014 ") + "\u2026"
        yield shortened, len(shortened) / len(whole), True


def _readable(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _tidy(text: str) -> str:
    """Remove markup, fillers at the front and punctuation at the end; capitalise."""
    plain = _STRAY_MARKS.sub(" ", _MARKUP.sub(" ", text))
    plain = folded("".join(filter(str.isprintable, plain)))
    plain = _SPACE_BEFORE_MARK.sub(r"\1", plain).lstrip(_MARKS + "?! ")
    while (filler := _FILLER.match(plain)) and plain[filler.end() :].strip():
        plain = plain[filler.end() :].lstrip(_MARKS + "?! ")
    plain = plain.rstrip(_MARKS + " ")
    if plain.count('"') % 2:
        plain = folded(plain.replace('"', " "))
    # A capital can take two characters, as of the German sharp s: keep those letters as they are.
    capital = plain[:1].upper()
    return capital + plain[1:] if len(capital) == 1 else plain


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
