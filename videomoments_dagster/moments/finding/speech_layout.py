"""Speech on a time line: its sentences, what a stretch of it says, and where it may be cut.

Engines differ: some punctuate, some give bare words in segments cut at silences, and captions come
in cues that break anywhere. So punctuation ends sentences where there is any, pauses do everywhere,
and the ends of segments do only where there is no punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from videomoments_dagster.moments.finding.announcements import announcements
from videomoments_dagster.moments.finding.terms import (
    inverse_document_frequency,
    sentence_centrality,
    sentence_terms,
    tokens,
)
from videomoments_dagster.moments.finding.titles import TitleWriter
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word, joined

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Lengths are differences of floats: 30.1 - 0.1 is not 30.0. A microsecond is far below a frame.
LENGTH_TOLERANCE = 1e-6

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
_ENDING_ABBREVIATIONS = ("etc.", "inc.", "ltd.", "co.", "corp.", "jr.", "sr.")

_WORDS_PER_SENTENCE_AT_MOST = 60.0  # Fewer full stops than this is a text without punctuation.
_PAUSE_IN_PUNCTUATED = 1.5
_PAUSE_IN_BARE = 0.6
_FEWEST_WORDS_BEFORE_SEGMENT_END = 8
_MOST_WORDS = 60
_LONGEST_SECONDS = 45.0
_FEWEST_WORDS_OF_A_PART = 4

_BRIDGED_GAP = 0.5
_FULL_PAUSE = 1.0
_SENTENCE_EDGE_WEIGHT = 0.65
_LEANING_PENALTY = 0.15
_LEANING_OPENER_LIST = """
also and because but he his it its or she so that their them then there's these they this those
which who
"""
_LEANING_OPENERS = frozenset(_LEANING_OPENER_LIST.split())
_ANSWER_LIST = """
yeah yes yep yup no nope right exactly sure absolutely definitely totally correct true mm hmm mmhmm
agreed ja genau nein stimmt oui non exactement sí claro exacto sim certo esatto certo nee precies
"""
_HANGING_OPENERS = _LEANING_OPENERS | frozenset(_ANSWER_LIST.split())


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
    following = [*(word.text.strip() for word in words[1:]), ""]
    marks = np.array([_ends_sentence(*pair) for pair in zip(words, following, strict=True)])
    if marks.sum() * _WORDS_PER_SENTENCE_AT_MOST >= len(words):
        breaks = marks[:-1] | (gaps >= _PAUSE_IN_PUNCTUATED)
    else:
        breaks = marks[:-1] | (gaps >= _PAUSE_IN_BARE)
        _add_segment_ends(breaks, starts=starts, segments=segments)
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(words)]
    return tuple(
        Sentence(
            first=first,
            stop=stop,
            start=float(starts[first]),
            end=float(max(word.end for word in words[first:stop])),
            text=joined(word.text.strip() for word in words[first:stop]),
        )
        for run in pairwise(edges)
        for first, stop in _split_long(*run, starts=starts, ends=ends, gaps=gaps)
    )


def _ends_sentence(word: Word, following: str) -> bool:
    """Whether a word ends a sentence by its punctuation and by the word that follows it."""
    text, goes_on = word.text.strip().rstrip(_CLOSING), following[:1].islower()
    if not _FINAL_MARK.search(text):
        return False
    if text.endswith(("...", "\u2026")):
        return not goes_on
    if not text.endswith("."):
        return True
    if _ORDINAL.match(text):
        # "3." "5" is a decimal split in two, "the 3." "oktober" an ordinal; "in 1960." ends.
        return not (goes_on or following[:1].isdigit())
    if text.lower() in _ABBREVIATIONS:
        return text.lower() in _ENDING_ABBREVIATIONS and not goes_on
    # "J." "Smith", but "the U.S." "We": a run of initials ends a sentence only before a capital.
    return not _INITIALS.match(text) or (len(text) > len("J.") and not goes_on)


def _add_segment_ends(
    breaks: npt.NDArray[np.bool_], *, starts: Floats, segments: Sequence[Segment]
) -> None:
    """Break as well where the next word lies in another segment, after enough words.

    Cues of a few words would otherwise count as sentences.
    """
    owner = np.searchsorted(np.array([segment.start for segment in segments]), starts, side="right")
    first = 0
    for index in np.flatnonzero(breaks | (np.diff(owner) != 0)).tolist():
        if breaks[index] or index + 1 - first >= _FEWEST_WORDS_BEFORE_SEGMENT_END:
            breaks[index] = True
            first = index + 1


def _split_long(
    first: int, stop: int, *, starts: Floats, ends: Floats, gaps: Floats
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


@dataclass(frozen=True, slots=True)
class LengthLimits:
    """Shortest and longest allowed stretch, seconds. No limit is 0 and infinity."""

    shortest: float
    longest: float

    @classmethod
    def of(cls, config: GenerationConfig) -> LengthLimits:
        """The limits of a configuration."""
        return cls(
            shortest=config.min_moment_length or 0.0,
            longest=np.inf if config.max_moment_length is None else config.max_moment_length,
        )

    def met_by(self, lengths: Floats | float) -> npt.NDArray[np.bool_]:
        """Whether stretches of these lengths meet the limits, to `LENGTH_TOLERANCE`."""
        long_enough = (lengths > 0) & (lengths >= self.shortest - LENGTH_TOLERANCE)
        return np.asarray(long_enough & (lengths <= self.longest + LENGTH_TOLERANCE))


@dataclass(frozen=True, slots=True)
class Edges:
    """Times at which a stretch may start (or end), with how good a place each is.

    Attributes:
        times: Ascending, without repeats; each is exactly a word's start (or end), seconds.
        quality: 0 (in the middle of a phrase) to 1 (a sentence edge at a pause).
    """

    times: Floats
    quality: Floats

    def quality_at(self, times: Floats) -> Floats:
        """The quality at given times; 0 where there is no edge."""
        at = np.minimum(np.searchsorted(self.times, times), len(self.times) - 1)
        return np.where(self.times[at] == times, self.quality[at], 0.0)

    def at(self, times: Floats) -> Edges:
        """The given times as edges."""
        return Edges(times, self.quality_at(times))


class SpeechLayout:
    """Where words, sentences and cutting places of a transcript lie, and what stretches of it hold.

    Measures take any number of stretches at once; they need at least one word in the transcript.

    Attributes:
        duration_seconds: Length of the video.
        words: The words inside the video, by start; those that are not inside are left out.
        sentences: The sentences that they form.
        word_starts: Starts of words, seconds, ascending.
        word_ends: Times by which words have ended, ascending.
        sentence_starts: Starts of sentences, ascending.
        sentence_ends: Times by which sentences have ended, ascending.
        starts: Where a stretch may start.
        ends: Where a stretch may end.
    """

    def __init__(self, transcript: Transcript, *, duration_seconds: float) -> None:
        """Find sentences and cutting places.

        Args:
            transcript: What is said.
            duration_seconds: Length of the video.
        """
        self.duration_seconds = duration_seconds
        self._language = transcript.language
        inside = [w for w in transcript.words if 0 <= w.start <= w.end <= duration_seconds]
        self.words = tuple(sorted(inside, key=lambda word: word.start))
        self.sentences = split_sentences(self.words, transcript.segments)
        self.word_starts, ends = _starts_and_ends(self.words)
        self.word_ends = np.maximum.accumulate(ends)
        self.sentence_starts, sentence_ends = _starts_and_ends(self.sentences)
        self.sentence_ends = np.maximum.accumulate(sentence_ends)
        self._sentence_words = np.array([s.stop - s.first for s in self.sentences])
        count = len(self.words)
        first, last, leaning = np.zeros((3, count))
        for sentence in self.sentences:
            first[sentence.first] = last[sentence.stop - 1] = 1.0
            leaning[sentence.first] = not _LEANING_OPENERS.isdisjoint(tokens(sentence.text)[:1])
        gaps = np.maximum(self.word_starts[1:] - self.word_ends[:-1], 0.0)
        pauses = np.pad(gaps, 1, constant_values=_FULL_PAUSE)
        before, after = pauses[:count], pauses[1 : count + 1]
        start_quality = _quality(first, pause=before) - _LEANING_PENALTY * leaning
        self.starts = _edges(self.word_starts, start_quality)
        self.ends = _edges(ends, _quality(last, pause=after))

    @property
    def spoken_seconds(self) -> float:
        """From the first word's start to the last word's end."""
        return float(self.ends.times[-1] - self.starts.times[0])

    @property
    def pauses(self) -> Floats:
        """How long it is silent before each sentence, seconds."""
        gaps = self.sentence_starts[1:] - self.sentence_ends[:-1]
        return np.concatenate((np.zeros(1), np.maximum(gaps, 0.0)))

    @cached_property
    def terms(self) -> list[list[str]]:
        """The index terms of each sentence."""
        return sentence_terms([s.text for s in self.sentences], language=self._language)

    @cached_property
    def rarity(self) -> dict[str, float]:
        """How much each term tells in the whole transcript."""
        return inverse_document_frequency(self.terms)

    @cached_property
    def _centrality_before(self) -> Floats:
        return running_sum(np.repeat(sentence_centrality(self.terms), self._sentence_words))

    @cached_property
    def _content_before(self) -> Floats:
        content = np.array([len(terms) for terms in self.terms]) / self._sentence_words
        return running_sum(np.repeat(content, self._sentence_words))

    @cached_property
    def _voiced(self) -> tuple[Floats, Floats]:
        """Breakpoints of the running total of spoken seconds: their times, and the totals."""
        starts, ends = self.word_starts, self.word_ends
        apart = starts[1:] - ends[:-1] > _BRIDGED_GAP
        run_starts, run_ends = starts[np.r_[True, apart]], ends[np.r_[apart, True]]
        total = running_sum(run_ends - run_starts)
        times = np.column_stack((run_starts, run_ends)).ravel()
        return times, np.column_stack((total[:-1], total[1:])).ravel()

    @cached_property
    def _titles(self) -> TitleWriter:
        texts = [sentence.text for sentence in self.sentences]
        return TitleWriter(texts, terms=self.terms, language=self._language)

    @cached_property
    def _announced(self) -> tuple[Floats, Floats]:
        """Breakpoints of the running total of seconds of announcements: times, and totals."""
        found = announcements(
            self.sentences, duration_seconds=self.duration_seconds, language=self._language
        )
        edges = np.array(found, float).reshape(-1, 2)
        total = running_sum(edges[:, 1] - edges[:, 0])
        return edges.ravel(), np.column_stack((total[:-1], total[1:])).ravel()

    def announcement_seconds(self, starts: Floats, ends: Floats) -> Floats:
        """How much of each stretch is an opening, a goodbye or an advert, seconds."""
        if not len(self._announced[0]):
            return np.zeros(len(starts))
        return np.interp(ends, *self._announced) - np.interp(starts, *self._announced)

    def starts_in_mid_answer(self, starts: Floats) -> npt.NDArray[np.bool_]:
        """Whether each stretch begins with a sentence that hangs on the one before it."""
        return np.isin(starts, self.sentence_starts[self._hanging])

    @cached_property
    def _hanging(self) -> npt.NDArray[np.bool_]:
        first = (tokens(sentence.text)[:1] for sentence in self.sentences)
        hangs = [not _HANGING_OPENERS.isdisjoint(word) for word in first]
        return np.array(hangs, dtype=np.bool_)

    def title(self, first: int, stop: int, *, start_time: float, taken: Collection[str]) -> str:
        """A title in the words of the sentences from `first` up to, not including, `stop`.

        Args:
            first: Index of the first sentence.
            stop: Index after the last.
            start_time: Where the moment starts, seconds.
            taken: Titles of other moments.
        """
        return self._titles.title(first, stop, start_time=start_time, taken=taken)

    def mean_centrality(self, starts: Floats, ends: Floats) -> Floats:
        """Mean over the words of each stretch of their sentences' centrality; 0 without words."""
        first, stop = self.word_range(starts, ends)
        total = self._centrality_before[stop] - self._centrality_before[first]
        return np.asarray(total / np.maximum(stop - first, 1))

    def content_words_per_second(self, starts: Floats, ends: Floats) -> Floats:
        """How many content words each stretch says in a second."""
        first, stop = self.word_range(starts, ends)
        total = self._content_before[stop] - self._content_before[first]
        return np.asarray(total / np.maximum(ends - starts, LENGTH_TOLERANCE))

    def speech_density(self, starts: Floats, ends: Floats) -> Floats:
        """Share of each stretch in which somebody speaks, short gaps between words included."""
        voiced = np.interp(ends, *self._voiced) - np.interp(starts, *self._voiced)
        return np.clip(voiced / np.maximum(ends - starts, LENGTH_TOLERANCE), 0.0, 1.0)

    def boundary_quality(self, starts: Floats, ends: Floats) -> Floats:
        """Mean quality of the places where each stretch starts and ends, 0 to 1.

        Between two words, that is what the next word's start and the last one's end are worth.
        """
        first = np.searchsorted(self.word_starts, starts, side="left")
        last = np.searchsorted(self.word_ends, ends, side="right")
        never = np.array([np.inf])
        spoken_until = np.concatenate((-never, self.word_ends))
        spoken_from = np.concatenate((self.word_starts, never))
        begins = np.where(spoken_until[first] <= starts, spoken_from[first], starts)
        stops = np.where(spoken_from[last] >= ends, spoken_until[last], ends)
        return (self.starts.quality_at(begins) + self.ends.quality_at(stops)) / 2

    def word_range(self, starts: Floats, ends: Floats) -> tuple[Integers, Integers]:
        """Index of the first word inside each stretch, and index after the last."""
        first = np.searchsorted(self.word_starts, starts, side="left")
        return first, np.maximum(first, np.searchsorted(self.word_ends, ends, side="right"))


def _starts_and_ends(pieces: Sequence[Word] | Sequence[Sentence]) -> Floats:
    """Starts in the first row, ends in the second."""
    return np.array([(piece.start, piece.end) for piece in pieces], float).reshape(-1, 2).T


def _quality(sentence_edge: Floats, *, pause: Floats) -> Floats:
    share = np.minimum(pause, _FULL_PAUSE) / _FULL_PAUSE
    return _SENTENCE_EDGE_WEIGHT * sentence_edge + (1 - _SENTENCE_EDGE_WEIGHT) * share


def _edges(times: Floats, quality: Floats) -> Edges:
    unique, owner = np.unique(times, return_inverse=True)
    best = np.zeros(len(unique))
    np.maximum.at(best, owner, quality)
    return Edges(unique, best)


def running_sum(values: Floats) -> Floats:
    """The sum of the values before each place, and of all of them."""
    return np.concatenate(([0.0], np.cumsum(values)))
