"""Titles: one readable line for a stretch of speech, in its own words.

Belongs here: choosing and tidying a phrase. Does not belong here: finding the stretch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

TITLE_MAX_CHARACTERS = 80
_LONGEST_FROM_OUTSIDE = 5_000

_MARKUP = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|&[a-z]+;")
_STRAY_MARKS = re.compile(r"[<>\[\]{}*_#`~|\\^\x00-\x1f\x7f]+")
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
    weight = {
        term: count * rarity.get(term, 0.0)
        for term, count in Counter(term for sentence in terms for term in sentence).items()
    }
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
    if best:
        return best
    readable = (phrase for text in texts for phrase, _, _ in _phrases(text))
    return next(readable, f"Moment at {_clock(start_time)}")


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
    shortened = _shorten(whole)
    if shortened:
        yield shortened, len(shortened) / len(whole), True


def _readable(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _tidy(text: str) -> str:
    """Remove markup, fillers at the front and punctuation at the end; capitalise."""
    plain = _STRAY_MARKS.sub(" ", _MARKUP.sub(" ", text))
    plain = " ".join("".join(c for c in plain if c.isprintable()).split())
    plain = _SPACE_BEFORE_MARK.sub(r"\1", plain).lstrip(".,;:-\u2013\u2014\u2026?! ")
    while (filler := _FILLER.match(plain)) and plain[filler.end() :].strip():
        plain = plain[filler.end() :].lstrip(".,;:-\u2013\u2014\u2026?! ")
    plain = plain.rstrip(".,;:-\u2013\u2014\u2026 ")
    if plain.count('"') % 2:
        plain = " ".join(plain.replace('"', " ").split())
    # A capital can take two characters, as of the German sharp s: keep those letters as they are.
    capital = plain[:1].upper()
    return capital + plain[1:] if len(capital) == 1 else plain


def _shorten(text: str) -> str:
    """Cut after the last whole word that leaves room for an ellipsis; empty if none does."""
    head = text[:TITLE_MAX_CHARACTERS]
    at = head.rfind(" ")
    return head[:at].rstrip(".,;:-\u2013\u2014 ") + "\u2026" if at > 0 else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def plain_title(text: str, *, at_most: int) -> str:
    """A title that came from outside as one plain line: no markup, no control characters.

    Args:
        text: The title.
        at_most: Most characters; a longer one is cut at a word and ends with an ellipsis.

    Returns:
        The line; empty if nothing readable is left.
    """
    printable = "".join(
        character if character.isprintable() else " " for character in text[:_LONGEST_FROM_OUTSIDE]
    )
    line = " ".join(_STRAY_MARKS.sub(" ", _MARKUP.sub(" ", printable)).split())
    line = line.strip("\"'\u201c\u201d ")
    if len(line) > at_most:
        cut = line[: at_most - 1]
        line = (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" ,;:-") + "\u2026"
    return line if any(character.isalnum() for character in line) else ""
