"""Sentences: where one utterance ends and the next begins, with or without punctuation.

Belongs here: splitting a transcript's words into sentences. Does not belong here: what the
sentences are about.

Engines differ: some punctuate, some give bare words in segments cut at silences, and captions come
in cues that break anywhere. So punctuation decides where there is any, pauses decide everywhere,
and the ends of segments decide only where there is no punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from videomoments_dagster.speech.transcript import Segment, Word

_CLOSING = "\"'\u2019\u201d\u00bb)]}"
_FINAL_MARK = re.compile(r"[.!?\u2026\u3002\uff01\uff1f\u061f\u0964]$")
_INITIALS = re.compile(r"^(?:[^\W\d_]\.)+$")
_ORDINAL = re.compile(r"^\d+\.$")
_ABBREVIATION_LIST = """
adj. approx. apr. aug. ave. capt. cf. co. col. corp. dec. dept. dr. e.g. ed. eds. eq. esp. est.
etc. feb. fig. figs. gen. gov. hon. i.e. inc. jan. jr. jul. jun. lt. ltd. mar. messrs. mr. mrs.
ms. mt. no. nos. nov. oct. p. pp. prof. rep. rev. sec. sen. sep. sept. sgt. sr. st. vol. vs. viz.
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_LIST.split())

_WORDS_PER_SENTENCE_AT_MOST = 60.0  # Fewer full stops than this is a text without punctuation.
_PAUSE_IN_PUNCTUATED = 1.5
_PAUSE_IN_BARE = 0.6
_FEWEST_WORDS_BEFORE_SEGMENT_END = 8
_MOST_WORDS = 60
_LONGEST_SECONDS = 45.0
_FEWEST_WORDS_OF_A_PART = 4


@dataclass(frozen=True, slots=True)
class Sentence:
    """A run of words that is said as one.

    Attributes:
        first: Index of its first word.
        stop: Index after its last word.
        start: Start of its first word, seconds.
        end: Latest end among its words, seconds.
        text: Its words joined by single spaces.
    """

    first: int
    stop: int
    start: float
    end: float
    text: str


def split_sentences(words: Sequence[Word], segments: Sequence[Segment]) -> tuple[Sentence, ...]:
    """Split words into sentences.

    Args:
        words: Words in time order.
        segments: The pieces that the engine gave, in time order.

    Returns:
        Sentences that cover all words in order, none of them empty.
    """
    if not words:
        return ()
    starts = np.array([word.start for word in words])
    ends = np.maximum.accumulate(np.array([word.end for word in words]))
    gaps = starts[1:] - ends[:-1]
    marks = _ends_with_final_mark(words)
    punctuated = marks.sum() * _WORDS_PER_SENTENCE_AT_MOST >= len(words)
    if punctuated:
        breaks = marks[:-1] | (gaps >= _PAUSE_IN_PUNCTUATED)
    else:
        breaks = marks[:-1] | (gaps >= _PAUSE_IN_BARE)
        breaks = _with_segment_ends(breaks, at=_segment_ends(starts, segments))
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(words)]
    return tuple(
        Sentence(
            first=first,
            stop=stop,
            start=float(starts[first]),
            end=float(max(word.end for word in words[first:stop])),
            text=" ".join(word.text.strip() for word in words[first:stop]),
        )
        for whole_first, whole_stop in pairwise(edges)
        for first, stop in _split_long(whole_first, whole_stop, starts=starts, ends=ends, gaps=gaps)
    )


def _ends_with_final_mark(words: Sequence[Word]) -> npt.NDArray[np.bool_]:
    """Whether each word ends a sentence by its punctuation and by what follows it."""
    found = np.zeros(len(words), dtype=np.bool_)
    for at, word in enumerate(words):
        text = word.text.strip().rstrip(_CLOSING)
        if not _FINAL_MARK.search(text):
            continue
        following = words[at + 1].text.strip() if at + 1 < len(words) else ""
        found[at] = not _continues(text, following)
    return found


def _continues(text: str, following: str) -> bool:
    """Whether a full stop after `text` belongs to the word rather than to a sentence."""
    if text.endswith(("...", "\u2026")):
        return following[:1].islower()
    if not text.endswith("."):
        return False
    if _ORDINAL.match(text):
        # "3." "5" is a decimal split in two, "the 3." "oktober" an ordinal; "in 1960." ends.
        return following[:1].isdigit() or following[:1].islower()
    if text.lower() in _ABBREVIATIONS:
        return text.lower() not in ("etc.", "inc.", "ltd.", "co.", "corp.", "jr.", "sr.") or (
            following[:1].islower()
        )
    # "J." "Smith", but "the U.S." "We": a run of initials ends a sentence only before a capital.
    return bool(_INITIALS.match(text)) and (len(text) == len("J.") or following[:1].islower())


def _segment_ends(
    starts: npt.NDArray[np.float64], segments: Sequence[Segment]
) -> npt.NDArray[np.bool_]:
    """For each word but the last, whether the next word lies in another segment."""
    if not segments:
        return np.zeros(len(starts) - 1, dtype=np.bool_)
    owner = np.searchsorted(np.array([s.start for s in segments]), starts, side="right")
    return np.asarray(np.diff(owner) != 0)


def _with_segment_ends(
    breaks: npt.NDArray[np.bool_], *, at: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Add the segment ends that come when enough words have been said since the last break.

    Cues of a few words would otherwise count as sentences.
    """
    added = breaks.copy()
    first = 0
    for index in np.flatnonzero(breaks | at).tolist():
        if breaks[index] or index + 1 - first >= _FEWEST_WORDS_BEFORE_SEGMENT_END:
            added[index] = True
            first = index + 1
    return added


def _split_long(
    first: int,
    stop: int,
    *,
    starts: npt.NDArray[np.float64],
    ends: npt.NDArray[np.float64],
    gaps: npt.NDArray[np.float64],
) -> list[tuple[int, int]]:
    """Split a run of words at its longest pauses until every part is short enough."""
    parts: list[tuple[int, int]] = []
    waiting = [(first, stop)]
    while waiting:
        first, stop = waiting.pop()
        long = stop - first > _MOST_WORDS or ends[stop - 1] - starts[first] > _LONGEST_SECONDS
        if not long or stop - first < 2 * _FEWEST_WORDS_OF_A_PART:
            parts.append((first, stop))
            continue
        low, high = first + _FEWEST_WORDS_OF_A_PART, stop - _FEWEST_WORDS_OF_A_PART
        pauses = gaps[low - 1 : high]
        longest = np.flatnonzero(pauses >= pauses.max()) + low
        middle = (first + stop) / 2
        at = int(longest[np.argmin(np.abs(longest - middle))])
        waiting += [(at, stop), (first, at)]
    return parts
