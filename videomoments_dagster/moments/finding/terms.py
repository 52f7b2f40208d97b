"""Index terms, what a spoken word counts as when texts are compared, and how much each tells.

The centrality of sentences is continuous LexRank: G. Erkan and D. R. Radev, "LexRank: Graph-based
Lexical Centrality as Salience in Text Summarization", Journal of Artificial Intelligence Research
22, 2004. The similarity of two sentences is the cosine of their tf-idf vectors, so the similarity
matrix is `X X^T` for the sparse matrix `X` of unit rows. It is never built: each step of the power
iteration multiplies by `X^T` and then by `X`, which keeps time and memory linear in the words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

_TOKEN = re.compile(r"\w+(?:['\u2019]\w+)*")
# Chinese and Japanese write no spaces: overlapping pairs of characters stand in for words there.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]{2,}")
_VOWEL = re.compile(r"[aeiouy]")

_SHORTEST_STEM = 3
_LONGEST_UNNAMED_FUNCTION_WORD = 3
_COMMON_SHARE_OF_SENTENCES = 1 / 7
_FEWEST_SENTENCES_FOR_COMMON = 20
_JUMP = 0.15  # Probability of going on anywhere instead of to a similar sentence.
_TOLERANCE = 1e-8
_MOST_STEPS = 200

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
_SUFFIXES = {"ization": "iz", "ation": "at", "ness": "", "ment": "", "ly": ""}


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
    for ending, kept in _SUFFIXES.items():
        rest = base.removesuffix(ending)
        if rest != base and len(rest) >= _SHORTEST_STEM + 1:
            base = rest + kept
            break
    if len(base) > _SHORTEST_STEM and base.endswith(("e", "y")):
        return base[:-1] + ("i" if base.endswith("y") else "")
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


def _english_term(token: str) -> str:
    """The term of one token; empty for a stop word."""
    head = token.split("'", 1)[0]
    known = token.replace("'", "") in STOP_WORDS or head in STOP_WORDS
    return "" if known or len(head) < 2 else stem(head)  # noqa: PLR2004 - a letter says nothing


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
        known = {token: _english_term(token) for token in set(chain.from_iterable(split))}
        return [[term for token in sentence if (term := known[token])] for sentence in split]
    spoken_in = Counter(chain.from_iterable(map(set, split)))
    few = len(split) < _FEWEST_SENTENCES_FOR_COMMON
    most = len(split) * (1 if few else _COMMON_SHARE_OF_SENTENCES)

    def tells(token: str) -> bool:
        long = len(token) > _LONGEST_UNNAMED_FUNCTION_WORD or not token.isascii()
        return long and spoken_in[token] <= most

    return [list(filter(tells, sentence)) for sentence in split]


def inverse_document_frequency(sentences: Sequence[Sequence[str]]) -> dict[str, float]:
    """Give `log(1 + N / n)` for each term that occurs in `n` of `N` sentences."""
    spoken_in = Counter(term for terms in sentences for term in dict.fromkeys(terms))
    return {term: float(np.log1p(len(sentences) / n)) for term, n in spoken_in.items()}


def sentence_centrality(sentences: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
    """Rank sentences by continuous LexRank.

    Args:
        sentences: The index terms of each sentence.

    Returns:
        One value a sentence, with mean 1 over the sentences that have terms; 0 for those that
        have none.
    """
    count = len(sentences)
    rarity = inverse_document_frequency(sentences)
    column = {term: at for at, term in enumerate(rarity)}
    entries = [
        (row, column[term], frequency * rarity[term])
        for row, terms in enumerate(sentences)
        for term, frequency in Counter(terms).items()
    ]
    if not entries:
        return np.zeros(count)
    row_of, column_of, value = map(np.array, zip(*entries, strict=True))
    value = value / np.sqrt(np.bincount(row_of, weights=value**2, minlength=count))[row_of]

    def similarity_times(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        by_term = np.bincount(column_of, weights=value * vector[row_of], minlength=len(column))
        totals = np.bincount(row_of, weights=value * by_term[column_of], minlength=count)
        return np.asarray(totals, dtype=np.float64)

    present = np.bincount(row_of, minlength=count) > 0
    degree = np.where(present, similarity_times(np.ones(count)), 1.0)
    start = present / present.sum()
    rank = start
    for _ in range(_MOST_STEPS):
        before, rank = rank, _JUMP * start + (1 - _JUMP) * similarity_times(rank / degree)
        if np.abs(rank - before).sum() < _TOLERANCE:
            break
    return np.asarray(rank * present.sum(), dtype=np.float64)
