"""Noun groups and short clauses of a sentence that can stand alone as a title.

A sentence's word classes are one string of letters, so what makes a group is a regular expression
over it. Groups hold no pronoun and no verb; clauses do hold a verb, and begin and end where a
clause of the sentence does, so that nothing is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from videomoments_dagster.moments.finding.function_words import GENERIC_NOUNS, ROMANCE
from videomoments_dagster.moments.finding.word_classes import TaggedSentence

_QUESTION, _DOING, _CLAUSE = 1.35, 1.1, 0.85
_SAYS_OF_WHAT = 0.6  # "the function representing mass": the -ing form belongs to the noun before.
_GOES_ON = 0.8
_MANY_IN_A_ROW = 0.6
_NOT_A_WORD = 0.4
_SINGLE = 0.45
_NAME_ALONE = 0.6
_WANTS_MORE = 0.5  # "The cost" of "the cost of it": its complement is none that a title can hold.
_LOOSELY_JOINED = 0.92
_OBLIQUE = 0.8
_MOST_WORDS = 10
_FEWEST_WORDS_OF_CLAUSE = 4
_FEWEST_WORDS_OF_DOING = 2

_HEAD_LAST = r"(?:(?<=[DOR])[GE](?=[AMNP]))?(?:[AM]|[NP]'?)*[NP](?!')"
_HEAD_FIRST = r"[AM]*(?:N|P+)[AM]*"
_ANY = r"N{1,2}"
_CLAUSE_EDGE = ",C"

_TRIMMED_LIST = """
last next other same whole entire certain particular little big small good bad nice great crazy
different new old own actual real main specific simple exact only few many much more most less
least several various single final quick very pretty cool awesome amazing interesting fun right
wrong sure able available possible important key full general two three four huge tiny better best
worse worst long short high low early late common basic weird funny lovely letzte letzten nächste
nächsten andere anderen gute guten große großen kleine kleinen ganze
"""
_TRIMMED = frozenset(_TRIMMED_LIST.split())
_LOOSE_PREPOSITIONS_LIST = """
in on for behind between with from about under over against without inside within through across
into among around beyond in auf für hinter zwischen mit aus über unter gegen ohne im vom zum zur
bei zu an am durch dans pour sur avec sans entre contre vers à au aux en con para sin sobre entre
contra hacia em no na nos nas com sem por para in nel nella nei nelle con su sul sulla per tra fra
senza contro a al alla ai alle في من على بين عن
"""
_LOOSE_PREPOSITIONS = frozenset(_LOOSE_PREPOSITIONS_LIST.split())
_OR = frozenset({"or", "oder", "ou", "o", "u", "या"})
_BETWEEN = frozenset({"between", "zwischen", "entre", "tra", "fra"})
_LETTERS_SAID = frozenset({"dot", "com", "www", "http", "https"})
_GENITIVE_ARTICLES = frozenset({"des", "der", "eines", "einer", "von", "vom"})
_DEFINITE = {
    "en": frozenset({"the"}),
    "fr": frozenset({"le", "la", "les", "l'", "l\u2019"}),
    "es": frozenset({"el", "la", "los", "las"}),
    "pt": frozenset({"o", "a", "os", "as"}),
    "it": frozenset({"il", "lo", "la", "i", "gli", "le", "l'", "l\u2019"}),
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words of a sentence that can stand alone.

    Attributes:
        text: The words as they were said.
        aptness: How well a phrase of its kind serves as a title; about 1.
        words: How many words it has.
    """

    text: str
    aptness: float
    words: int


class _Grammar:
    """What a noun group and a clause are in one language."""

    def __init__(self, language: str) -> None:
        romance = language in ROMANCE
        group = _HEAD_FIRST if romance else _HEAD_LAST
        more = rf"[OR]D?{group}"
        if not romance and language not in ("en", "de"):
            # Hindi and Arabic: what else stands there may be a verb, so few words are taken.
            group, more = _ANY, "ON" if language == "hi" else f"R{_ANY}"
        self.starts = re.compile(r"[AMGENP]")
        self.groups = [
            re.compile(group + tail)
            for tail in ("", f"C{group}", more, more * 2, f"C{group}{more}", f"{more}C{group}")
        ]
        anything = r"[^X,Q]*"
        acting = "I" if romance else "G"
        self.clauses = [
            (re.compile(rf"QA?D?{group}(?:{more})?B?V{anything}"), _QUESTION),
            (re.compile(rf"QT?I{anything}"), _QUESTION),
            (re.compile(rf"{acting}D?{group}(?:C{group})?(?:{more})?"), _DOING),
            (re.compile(rf"D?{group}(?:{more})?B?V{anything}"), _CLAUSE),
        ]
        if language != "en":
            # Verbs are not always known for what they are, or come last.
            self.clauses[0] = (re.compile(rf"Q(?=.*[NP]){anything}"), _QUESTION)
        if language not in ("en", "de"):
            self.clauses.pop()


def phrases(sentence: TaggedSentence, *, language: str) -> Iterator[Phrase]:
    """Give the phrases of a sentence that can stand alone, each with how apt it is.

    Args:
        sentence: A tagged sentence.
        language: Its ISO 639-1 code, one that there are word classes for.
    """
    grammar = _grammar(language)
    if language == "de":
        sentence = _with_genitives(sentence)
    tags = sentence.tags
    for first in range(len(tags)):
        before = tags[first - 1] if first else ","
        yield from _clauses(sentence, first, before, grammar)
        if before in "AMGENP'" or not grammar.starts.match(tags, first):
            continue
        yield from _groups(sentence, first, grammar, language=language)


def _clauses(
    sentence: TaggedSentence, first: int, before: str, grammar: _Grammar
) -> Iterator[Phrase]:
    tags = sentence.tags
    for pattern, aptness in grammar.clauses:
        if not (found := pattern.match(tags, first)):
            continue
        stop = found.end()
        after = tags[stop : stop + 1]
        if aptness != _DOING and (after not in ("", ",") or tags[stop - 1] in "VDORCTQ'"[1:]):
            continue
        if aptness == _DOING and (after == "O" or before == "'"):
            continue
        if aptness == _CLAUSE and before != ",":
            continue
        if aptness == _CLAUSE and (first > 0 and after != "" and tags[stop:].strip(",")):
            continue
        words = stop - first
        fewest = _FEWEST_WORDS_OF_DOING if aptness == _DOING else _FEWEST_WORDS_OF_CLAUSE
        if fewest <= words <= _MOST_WORDS and not _generic(sentence, first, stop):
            worth = aptness * _wording(sentence, first, stop)
            if aptness == _DOING and before in "NP":
                worth *= _SAYS_OF_WHAT
            yield Phrase(sentence.part(first, stop), worth, words)


def _groups(
    sentence: TaggedSentence, first: int, grammar: _Grammar, *, language: str
) -> Iterator[Phrase]:
    begin, oblique = _without_what_tells_nothing(sentence, first, language=language)
    article = begin > 0 and _kept_article(sentence, begin, language)
    # Longer patterns may end where shorter ones do.
    ends = (found.end() for each in grammar.groups if (found := each.match(sentence.tags, begin)))
    for stop in dict.fromkeys(ends):
        words = stop - begin
        if words > _MOST_WORDS or _generic(sentence, begin, stop):
            continue
        if (aptness := _aptness_of_group(sentence, begin, stop)) > 0:
            aptness *= _OBLIQUE if oblique else 1.0
            yield Phrase(sentence.part(begin - article, stop), aptness, words)


def _without_what_tells_nothing(
    sentence: TaggedSentence, first: int, *, language: str
) -> tuple[int, bool]:
    """Where a group begins without "same" and "little", and whether it lost its German case."""
    tags, begin, oblique = sentence.tags, first, False
    while tags[begin] in "AME" and begin + 1 < len(tags):
        word = sentence.part(begin, begin + 1)
        declined = language == "de" and not _stands_alone(sentence, begin)
        # "New" of "New York" is no such word.
        if not declined and (word not in _TRIMMED):
            break
        oblique = oblique or declined
        begin += 1
    return begin, oblique


def _aptness_of_group(sentence: TaggedSentence, begin: int, stop: int) -> float:
    """How well a group serves as a title; 0 if a preposition in it belongs to a verb mostly."""
    tags, after = sentence.tags[begin:stop], sentence.tags[stop : stop + 1]
    joined = [at for at in range(begin, stop) if sentence.tags[at] == "R"]
    if any(sentence.part(at, at + 1).lower() not in _LOOSE_PREPOSITIONS for at in joined):
        return 0.0
    if any(_joins_unlike(sentence, at) for at in range(begin, stop) if sentence.tags[at] == "C"):
        return 0.0
    aptness = _wording(sentence, begin, stop) * _LOOSELY_JOINED ** len(joined)
    if len(tags) == 1:
        aptness *= _SINGLE
    if set(tags) <= {"P", "C"}:
        aptness *= _NAME_ALONE
    if after == "O" or _half_of_a_pair(sentence, begin, stop):
        aptness *= _WANTS_MORE
    elif after in ("R", "T"):
        aptness *= _GOES_ON
    return aptness


def _joins_unlike(sentence: TaggedSentence, at: int) -> bool:
    """Whether "and" joins a name and a noun, where two clauses meet more often than not."""
    tags = sentence.tags
    last = next((tag for tag in tags[at + 1 :] if tag in "NP"), "")
    return sentence.part(at, at + 1).lower() in _OR or tags[at - 1] != last


def _wording(sentence: TaggedSentence, first: int, stop: int) -> float:
    """Less than 1 for addresses, abbreviations that were spelt in lower case, and pile-ups."""
    words = [sentence.part(at, at + 1) for at in range(first, stop)]
    aptness = 1.0
    said = [
        word.lower()
        for word, tag in zip(words, sentence.tags[first:stop], strict=True)
        if tag in "NPA"
    ]
    if len(set(said)) < len(said) or re.search(r"[AMNP']{5}", sentence.tags[first:stop]):
        aptness *= _MANY_IN_A_ROW
    if any("." in word[1:] or "/" in word or word.lower() in _LETTERS_SAID for word in words):
        aptness *= _NOT_A_WORD
    for word, tag in zip(words, sentence.tags[first:stop], strict=True):
        if tag in "NP" and len(word) <= 2 and word.isascii() and word.islower():  # noqa: PLR2004
            aptness *= _NOT_A_WORD
    return aptness


def _half_of_a_pair(sentence: TaggedSentence, first: int, stop: int) -> bool:
    """Whether "between" has one side only."""
    at = [at for at in range(first, stop) if sentence.part(at, at + 1).lower() in _BETWEEN]
    return (
        bool(at)
        and "C" not in sentence.tags[at[-1] : stop]
        and sentence.tags[stop : stop + 1] != ","
    )


def _generic(sentence: TaggedSentence, first: int, stop: int) -> bool:
    return any(
        sentence.tags[at] == "N" and sentence.part(at, at + 1).lower() in GENERIC_NOUNS
        for at in range(first, stop)
    )


def _kept_article(sentence: TaggedSentence, begin: int, language: str) -> bool:
    if sentence.tags[begin - 1] != "D":
        return False
    article = sentence.part(begin - 1, begin).lower()
    if language == "de":
        return sentence.tags[begin] == "A" and article in ("der", "die", "das")
    return article in _DEFINITE.get(language, ())


def _stands_alone(sentence: TaggedSentence, at: int) -> bool:
    """Whether a German adjective has an ending that it has in a title, in the nominative."""
    word = sentence.part(at, at + 1).lower()
    if sentence.tags[at] == "M":
        return True
    article = sentence.part(at - 1, at).lower() if at else ""
    if article == "die":
        return word.endswith(("e", "en"))
    if article in ("der", "das"):
        return word.endswith("e")
    return sentence.tags[max(at - 1, 0)] != "D" and word.endswith(("e", "es"))


def _with_genitives(sentence: TaggedSentence) -> TaggedSentence:
    """A German sentence with "of" for the articles of a genitive behind a noun."""
    tags = list(sentence.tags)
    for at in range(1, len(tags)):
        word = sentence.part(at, at + 1).lower()
        if tags[at] in "DR" and tags[at - 1] == "N" and word in _GENITIVE_ARTICLES:
            tags[at] = "O"
    return TaggedSentence(sentence.text, sentence.places, "".join(tags))


_GRAMMARS: dict[str, _Grammar] = {}


def _grammar(language: str) -> _Grammar:
    if language not in _GRAMMARS:
        _GRAMMARS[language] = _Grammar(language)
    return _GRAMMARS[language]
