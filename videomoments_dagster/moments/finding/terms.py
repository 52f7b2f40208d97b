"""Index terms: what a spoken word counts as when texts are compared.

Belongs here: normalising, stop words and light stemming. Does not belong here: anything that
looks at more than one word's neighbourhood, or at times.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_TOKEN = re.compile(r"\w+(?:['\u2019]\w+)*")
# Chinese and Japanese write no spaces: overlapping pairs of characters stand in for words there.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]{2,}")
_VOWEL = re.compile(r"[aeiouy]")

_SHORTEST_STEM = 3
_LONGEST_UNNAMED_FUNCTION_WORD = 3
_COMMON_SHARE_OF_SENTENCES = 1 / 7
_FEWEST_SENTENCES_FOR_COMMON = 20

_STOP_WORD_LIST = """
a able about above absolutely across actually after again against ago ah ahead ain all almost
along already alright also although always am among an and another any anybody anyhow anymore
anyone anything anyway are aren around as ask at away back basically be became because become been
before being below besides best better between beyond bit both but by call called came can cannot
cant cause certain certainly come comes coming could couldn couldnt did didn didnt different do
does doesn doesnt doing don done dont down during each either else enough especially etc even
eventually ever every everybody everyone everything everywhere exactly fact far feel few first
fine five for found four from further gave get gets getting give given gives giving go goes going
gone gonna good got gotta great guess guy guys had hadn happen happens hardly has hasn have haven
havent having he hello her here hers herself hey hi him himself his hm hmm how however huh i if in
indeed instead into is isn isnt it its itself ive just keep kept kind kinda knew know known knows
last later least less let lets like likely little ll long look looked looking looks lot lots made
mainly make makes making many may maybe me mean means meant might mine mm mmhmm mmm more most
mostly much must mustn my myself namely near nearly need needed needs neither never new next nice
no nobody none nor not nothing now nowhere of off often oh ok okay on once one ones only onto or
other others otherwise ought our ours ourselves out over own particular particularly perhaps place
please plus point possible possibly pretty probably put quite rather re really right s said same
saw say saying says second see seem seemed seems seen several shall shan she should shouldn
shouldnt show since so some somebody somehow someone something sometime sometimes somewhat
somewhere soon sort still stuff such sure t take taken takes taking talk talked talking tell than
thank thanks that thats the their theirs them themselves then there therefore theres these they
theyre thing things think thinking thinks third this those though thought three through thus till
to together told too took toward towards tried tries true try trying two uh uhhuh um under unless
until up upon us use used using usually ve very want wanted wants was wasn wasnt way ways we well
went were weren weve what whatever whats when whenever where wherever whether which while who
whoever whole whom whose why will with within without won wont would wouldn wouldnt yeah yep yes
yet you youre your yours yourself yourselves yup
"""
STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


def stem(word: str) -> str:
    """Strip the commonest English endings, so that inflections of a word count as one term.

    Args:
        word: A lower-case word.

    Returns:
        A stem of at least three characters, or the word itself where it is too short.
    """
    base = _without_plural(word)
    for ending in ("ingly", "edly", "ing", "ed"):
        rest = base.removesuffix(ending)
        if rest != base and len(rest) >= _SHORTEST_STEM and _VOWEL.search(rest):
            base = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    for ending, kept in (
        ("ization", "iz"),
        ("ation", "at"),
        ("ness", ""),
        ("ment", ""),
        ("ly", ""),
    ):
        rest = base.removesuffix(ending)
        if rest != base and len(rest) >= _SHORTEST_STEM + 1:
            base = rest + kept
            break
    if len(base) > _SHORTEST_STEM and base.endswith("e"):
        return base[:-1]
    if len(base) > _SHORTEST_STEM and base.endswith("y"):
        return base[:-1] + "i"
    return base


def _without_plural(word: str) -> str:
    if len(word) <= _SHORTEST_STEM or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > _SHORTEST_STEM + 1:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word if word.endswith(("ss", "us", "is")) else word[:-1]


def tokens(text: str) -> list[str]:
    """Split text into lower-case tokens without punctuation; unspaced scripts into pairs."""
    found: list[str] = []
    for match in _TOKEN.finditer(text.casefold()):
        token = match.group().replace("\u2019", "'")
        if _UNSPACED.fullmatch(token):
            found.extend(token[at : at + 2] for at in range(len(token) - 1))
        else:
            found.append(token)
    return found


def _english_term(token: str) -> str | None:
    """The term of one token, or None for a stop word."""
    head = token.split("'", 1)[0]
    if token.replace("'", "") in STOP_WORDS or head in STOP_WORDS or len(head) < 2:  # noqa: PLR2004
        return None
    return stem(head)


def sentence_terms(texts: Sequence[str], *, language: str) -> list[list[str]]:
    """Give the index terms of each sentence, in order and with repeats.

    English has a stop list and a stemmer. In other languages, words of at most three letters and
    words that are spoken in more than a seventh of the sentences are left out instead.

    Args:
        texts: One text a sentence.
        language: ISO 639-1 code of the texts; empty counts as English.

    Returns:
        One list of terms a sentence; a sentence without content words has an empty list.
    """
    split = [tokens(text) for text in texts]
    if language[:2].lower() in ("", "en"):
        known: dict[str, str | None] = {}
        for token in {token for sentence in split for token in sentence}:
            known[token] = _english_term(token)
        return [
            [term for token in sentence if (term := known[token]) is not None] for sentence in split
        ]
    spoken_in = Counter(token for sentence in split for token in set(sentence))
    most = (
        len(split) * _COMMON_SHARE_OF_SENTENCES
        if len(split) >= _FEWEST_SENTENCES_FOR_COMMON
        else len(split)
    )
    return [
        [
            token
            for token in sentence
            if spoken_in[token] <= most
            and (len(token) > _LONGEST_UNNAMED_FUNCTION_WORD or not token.isascii())
        ]
        for sentence in split
    ]
